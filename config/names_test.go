package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every name that the Confluent proxy, its web server and Kafka's Java clients define is known: it
// is a setting, or listed as not used, or refused because it protects something. The lists were
// made from their sources: rest-utils and kafka-rest, and the clients of Kafka 4.4, of which the
// proxy takes each name with client. for all of them.
func TestNamesOfOthers(t *testing.T) {
	files, err := filepath.Glob("testdata/names/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no lists", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(string(text)) {
			names := []string{name}
			if side, rest, _ := strings.Cut(name, "."); filepath.Base(file) == "kafka-clients.txt" && side != "admin" {
				names = append(names, "client."+rest)
			}
			for _, name := range names {
				if !known(name) {
					t.Errorf("%s: %s is unknown", filepath.Base(file), name)
				}
			}
		}
	}
}

func known(name string) bool {
	if rowNamed(registryName(name)) != nil || len(generalRows(name)) > 0 {
		return true
	}
	if _, refused := refusal(name, "x"); refused {
		return true
	}
	_, listed := notUsedName(name)
	return listed
}
