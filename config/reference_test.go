package config

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite docs/settings.md")

// TestReference holds docs/settings.md to the table.
func TestReference(t *testing.T) {
	testkit.Reference(t, "../docs/settings.md", *update, WriteReference)
}

func TestWriteEffective(t *testing.T) {
	file := writeFile(t, t.TempDir(), "f", brokers+"\nproducer.acks=1\nclient.security.protocol=SASL_PLAINTEXT\nproducer.client.id=p\n"+
		"client.sasl.mechanism=PLAIN\nclient.sasl.jaas.config=PlainLoginModule required username=\"u\" password=\"hunter2\";\nssl.key.password=hunter2\n")
	c, err := Load(Sources{
		File:    file,
		Environ: []string{"KAFKA_REST_HOST_NAME=h"},
		Set:     []string{"id=me", "schema.registry.url=http://user:hunter2@r:1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.WriteEffective(&out); err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(out.String()) {
		name, rest, _ := strings.Cut(line, " ")
		lines[name] = strings.Join(strings.Fields(rest), " ")
	}
	for name, want := range map[string]string{
		"id":                          "me --set",
		"host.name":                   "h KAFKA_REST_HOST_NAME",
		"bootstrap.servers":           "b1:9092 " + file + ":1",
		"producer.acks":               "1 " + file + ":2",
		"producer.enable.idempotence": "false (producer.acks=1) default",
		"producer.linger.ms":          "5 default",
		"producer.client.id":          "p " + file + ":4",
		"client.sasl.jaas.config":     "*** " + file + ":6",
		"ssl.key.password":            "*** " + file + ":7",
		"ssl.keystore.password":       "(none) default",
		"schema.registry.url":         "http://user:xxxxx@r:1 --set",
	} {
		if lines[name] != want {
			t.Errorf("%s: got %q, want %q", name, lines[name], want)
		}
	}
	if _, ok := lines["consumer.client.id"]; ok {
		t.Error("a setting for one side that nobody gave is listed")
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("a secret is shown:\n%s", out.String())
	}
}
