package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// conformanceSeed says which requests are made. How many at most of each operation, beside those of
// its corner cases, is the value of MILLRACE_TEST_CONFORMANCE; "short" leaves the corner cases out.
const conformanceSeed = "1"

// conformanceChecks are what each answer must be: no 5xx, and of a status, a media type, headers
// and a body that the specification has.
const conformanceChecks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"

// Schemathesis makes requests out of the specification that a node serves, right and wrong ones,
// the same each time, and finds no answer that the specification does not have. Left out are the
// two streams that have no end whatever is asked for.
func TestConformance(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_CONFORMANCE", "the specification was not tried with schemathesis, which has to be downloaded; `make conformance` does")
	python := testkit.Python(t, filepath.Join("testdata", "clients", "conformance", "requirements.txt"))
	settings := []string{
		"--set=consumer.request.timeout.ms=20", // reads wait so long for records
		"--set=ingest.otlp.traces.topic=spans", "--set=ingest.otlp.logs.topic=logs", "--set=ingest.otlp.metrics.topic=numbers",
	}
	t.Run("dev", func(t *testing.T) {
		t.Parallel()
		_, url, _ := dev(t, settings...)
		conformance(t, python, url)
	})
	t.Run("kafka", func(t *testing.T) {
		t.Parallel()
		k := testkit.StartKafka(t, testkit.KafkaOptions{}) // its settings are changed
		_, url := serve(t, k.Broker, append(settings, atRegistry(t)...)...)
		conformance(t, python, url)
	})
}

func conformance(t *testing.T, python, url string) {
	t.Helper()
	names, err := json.Marshal(furnish(t, url))
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := filepath.Abs(filepath.Join("testdata", "clients", "conformance", "hooks.py"))
	if err != nil {
		t.Fatal(err)
	}
	phases, requests := "examples,coverage,fuzzing", os.Getenv("MILLRACE_TEST_CONFORMANCE")
	if requests == "short" {
		phases, requests = "examples,fuzzing", "3"
	}
	cmd := exec.CommandContext(t.Context(), python, "-m", "schemathesis.cli", "run", url+"/openapi.json",
		"--url", url, "--seed", conformanceSeed, "--max-examples", requests, "--generation-database", "none",
		"--checks", conformanceChecks, "--phases", phases, "--mode", "all", "--continue-on-failure", "--no-shrink",
		"--request-timeout", "20", "--suppress-health-check", "all", "--warnings", "off", "--no-color",
		"--exclude-path", "/metadata/changes", "--exclude-path", "/ui/events")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS="+hooks, "MILLRACE_NAMES="+string(names))
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No issues found") {
		t.Errorf("schemathesis: %v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}

// furnish makes some of what requests can be about, and returns its names by path parameter.
func furnish(t *testing.T, url string) map[string]string {
	t.Helper()
	var list struct {
		Data []struct {
			ID string `json:"cluster_id"`
		} `json:"data"`
	}
	if _, body := call(t, http.MethodGet, url+"/v3/clusters", ""); json.Unmarshal([]byte(body), &list) != nil || len(list.Data) != 1 {
		t.Fatalf("the list of clusters is %s", body)
	}
	for _, c := range [][2]string{
		{"/topics/readings", `{"records":[{"value":{"a":1}},{"value":null}]}`},
		{"/topics/spare", `{"records":[{"value":1}]}`},
		{"/consumers/dash", `{"name":"one","format":"json","auto.offset.reset":"earliest"}`},
		{"/consumers/dash/instances/one/subscription", `{"topics":["readings"]}`},
	} {
		if status, body := call(t, http.MethodPost, url+c[0], c[1]); status >= 300 {
			t.Fatalf("POST %s: %d %s", c[0], status, body)
		}
	}
	transactions := url + "/v3/clusters/" + list.Data[0].ID + "/transactions/none"
	testkit.Eventually(t, time.Minute, "Kafka to have made its topic of transactions", func() bool {
		status, _ := call(t, http.MethodGet, transactions, "")
		return status == http.StatusNotFound
	})
	return map[string]string{
		"cluster_id": list.Data[0].ID, "topic": "readings", "partition": "0", "group": "dash", "instance": "one", "name": "retention.ms",
		"user": "alice",
	}
}
