package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"millrace/internal/testkit"
)

// helm runs the program of deploy/helm/tool, which is built when it is first used, on the chart.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root, err := testkit.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "helm"}, args...)...)
	cmd.Dir = filepath.Join(root, "deploy", "helm", "tool")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// chart is where helm finds the chart, and the version of Kubernetes that it is made for.
var chart = []string{"../millrace", "--kube-version=1.31"}

// TestHelmChart lints the chart and renders it: what it makes are manifests, with settings that
// millrace takes and probes that it answers; values that are wrong are refused.
func TestHelmChart(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_HELM", "the Helm chart was not tried: helm has to be built; `make helm` does")
	good := "--set=bootstrapServers=kafka:9092"
	if out, err := helm(t, append([]string{"lint", "--strict", good}, chart...)...); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	s, url := serve(t, testkit.Fake(t).Broker)
	defer s.Signal(t, os.Interrupt)
	small := []string{"ConfigMap", "Deployment", "PodDisruptionBudget", "Secret", "Service"}
	for _, c := range []struct {
		values []string
		kinds  []string
	}{
		{[]string{good}, small},
		{[]string{good, "--set=cluster.enable=false"}, []string{"ConfigMap", "Deployment", "PodDisruptionBudget", "Service"}},
		{[]string{
			good, "--set=schemaRegistryUrl=http://registry:8081", "--set=serviceMonitor.enabled=true", "--set=ingress.enabled=true",
			"--set=ingress.host=rest.example", "--set=replicas=3", "--set=secret.values.KAFKA_REST_AUTHENTICATION_REALM=x",
			`--set=settings.producer\.compression\.type=zstd`, `--set=settings.request\.max\.bytes=33554432`, `--set=settings.tracing\.sample\.ratio=0.5`,
		}, []string{"ConfigMap", "Deployment", "Ingress", "PodDisruptionBudget", "Secret", "Secret", "Service", "ServiceMonitor"}},
	} {
		out, err := helm(t, append(append([]string{"template", "try"}, c.values...), chart...)...)
		if err != nil {
			t.Fatalf("%q: %v:\n%s", c.values, err, out)
		}
		if kinds := checkManifests(t, out, url); !slices.Equal(kinds, c.kinds) {
			t.Errorf("%q makes %v, want %v", c.values, kinds, c.kinds)
		}
	}
	for want, values := range map[string][]string{
		"bootstrapServers":             {},
		"replcas":                      {good, "--set=replcas=3"},
		"replicas":                     {good, "--set=replicas=none"},
		"client.sasl.jaas.config":      {good, `--set=settings.client\.sasl\.jaas\.config=x`},
		"secret.existing and secret.v": {good, "--set=secret.existing=a", "--set=secret.values.KAFKA_REST_X=b"},
	} {
		if out, err := helm(t, append(append([]string{"template", "try"}, values...), chart...)...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%q is taken, or the reason does not name %s:\n%s", values, want, out)
		}
	}
}

// checkManifests fails unless what was rendered are manifests with settings that millrace takes,
// and with probes that the node at url answers. It returns their kinds, sorted.
func checkManifests(t *testing.T, text, url string) (kinds []string) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var manifest map[string]any
		if err := dec.Decode(&manifest); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if manifest == nil {
			continue
		}
		kinds = append(kinds, manifest["kind"].(string))
		for _, path := range valuesOf(manifest, "path") {
			if status, _ := call(t, "GET", url+path, ""); strings.HasPrefix(path, "/") && status != 200 {
				t.Errorf("%s answers %d", path, status)
			}
		}
		for _, properties := range valuesOf(manifest, "millrace.properties") {
			if strings.Contains(properties, "cluster.enable=true") {
				properties += "\ncluster.secret=0123456789abcdef0123456789abcdef\n"
			}
			accepted(t, properties)
		}
	}
	slices.Sort(kinds)
	return kinds
}
