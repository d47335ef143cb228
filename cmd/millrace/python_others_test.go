package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// PyPI's kafka-bridge-client (as for the Confluent proxy), nlp-kafka-rest-api and pymapr-kafkarest
// write and read as their documentation has it.
func TestPythonClientsOfV2(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_CLIENTS", "three Python clients were not tried: they have to be downloaded; `make clients` does")
	t.Parallel()
	dir := filepath.Join("testdata", "clients", "python-others")
	python := testkit.Python(t, filepath.Join(dir, "requirements.txt"))
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b)
		for _, client := range []string{"bridge", "nlp", "mapr"} {
			cmd := exec.CommandContext(t.Context(), python, filepath.Join(dir, "clients.py"), client, url, testkit.CreateTopic(t, b, 1), testkit.Group(t))
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, time.Second
			kill := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
			err := cmd.Run()
			kill.Stop()
			if got := strings.TrimSpace(stdout.String()); err != nil || got != `[["k1", "one"], ["k2", "two"]]` {
				t.Errorf("%s: %v, read %s\n%s", client, err, got, stderr.String())
			}
		}
	})
}
