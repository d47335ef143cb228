package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"millrace/config"
	"millrace/internal/testkit"
)

// deployed returns a file of deploy/.
func deployed(t *testing.T, path ...string) string {
	t.Helper()
	root, err := testkit.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(append([]string{root, "deploy"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// accepted fails unless millrace takes the properties, and uses all of them.
func accepted(t *testing.T, properties string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "millrace.properties")
	if err := os.WriteFile(file, []byte(properties), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.NotUsed) > 0 {
		t.Errorf("not used: %v", cfg.NotUsed)
	}
}

func TestSampleProperties(t *testing.T) {
	t.Parallel()
	sample := deployed(t, "millrace.properties")
	accepted(t, sample)
	// With what is commented out, but for the parts of one thing that need
	// each other's values.
	uncommented := regexp.MustCompile(`(?m)^#([a-z.]+=)`).ReplaceAllString(sample, "$1")
	accepted(t, uncommented+"\nclient.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"a\" password=\"b\";\n")
}

// The manifests are YAML, probe paths that exist, and configure what exists.
func TestKubernetesManifests(t *testing.T) {
	t.Parallel()
	s, url := serve(t, testkit.Fake(t).Broker)
	defer s.Signal(t, os.Interrupt)
	dec := yaml.NewDecoder(strings.NewReader(deployed(t, "kubernetes", "millrace.yaml")))
	var kinds []string
	for {
		var manifest map[string]any
		if err := dec.Decode(&manifest); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, manifest["kind"].(string))
		for _, path := range valuesOf(manifest, "path") {
			if strings.HasPrefix(path, "/") {
				if status, _ := call(t, "GET", url+path, ""); status != 200 {
					t.Errorf("%s answers %d", path, status)
				}
			}
		}
		for _, text := range valuesOf(manifest, "millrace.properties") {
			accepted(t, text+"cluster.secret=0123456789abcdef0123456789abcdef\n")
		}
	}
	if want := []string{"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}; !slices.Equal(kinds, want) {
		t.Errorf("the manifests are %v, want %v", kinds, want)
	}
}

// Variables in the manifests and the compose file are settings.
func TestDeployedVariables(t *testing.T) {
	t.Parallel()
	for _, text := range []string{deployed(t, "docker", "compose.yaml"), deployed(t, "kubernetes", "millrace.yaml")} {
		var environ []string
		for _, name := range regexp.MustCompile(`KAFKA_REST_[A-Z_]+`).FindAllString(text, -1) {
			value := "http://a:1"
			switch {
			case strings.HasSuffix(name, "SERVERS"):
				value = "a:1"
			case strings.HasSuffix(name, "JAAS_CONFIG"):
				continue // needs its mechanism; TestSampleProperties has it
			case strings.HasSuffix(name, "SECRET"):
				continue // TestKubernetesManifests has it
			}
			environ = append(environ, name+"="+value)
		}
		if _, err := config.Load(config.Sources{Preset: []string{"bootstrap.servers=a:1"}, Environ: environ}); err != nil {
			t.Error(err)
		}
	}
}

// The page about moving shows what check-config really says of a proxy's file.
func TestMigrationPage(t *testing.T) {
	t.Parallel()
	root, err := testkit.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "migration.md"))
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command(testkit.Binary(t), "check-config", "--config", "kafka-rest.properties")
	check.Dir = "testdata"
	var said bytes.Buffer
	check.Stderr = &said
	if err := check.Run(); err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	here, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(said.String(), here+string(filepath.Separator), "")
	if !bytes.Contains(page, []byte("```text\n"+want+"```\n")) {
		t.Errorf("docs/migration.md does not show what check-config says:\n%s", want)
	}
}

// valuesOf are the texts of all members of that name.
func valuesOf(node any, name string) (texts []string) {
	switch node := node.(type) {
	case map[string]any:
		for k, v := range node {
			if text, ok := v.(string); ok && k == name {
				texts = append(texts, text)
			}
			texts = append(texts, valuesOf(v, name)...)
		}
	case []any:
		for _, v := range node {
			texts = append(texts, valuesOf(v, name)...)
		}
	}
	return texts
}
