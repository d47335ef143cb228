package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// An OpenTelemetry collector sends traces, logs and metrics to millrace as it does to any OTLP
// endpoint: by its configuration alone, and also what it could not send while millrace was away.
func TestCollectorSendsUnchanged(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_OTELCOL", "An OpenTelemetry collector takes minutes to build: make otelcol")
	b := testkit.Fake(t).Broker
	topics := map[string]string{}
	addr, front := freeAddr(t), freeAddr(t)
	args := []string{"--set=listeners=http://" + addr}
	for _, signal := range []string{"traces", "logs", "metrics"} {
		topics[signal] = testkit.CreateTopic(t, b, 1)
		args = append(args, "--set=ingest.otlp."+signal+".topic="+topics[signal])
	}
	file := filepath.Join(t.TempDir(), "otelcol.yaml")
	const pipelines = `receivers: {otlp: {protocols: {http: {endpoint: %s}}}}
exporters: {otlphttp: {endpoint: "http://%s", retry_on_failure: {initial_interval: 100ms}}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [otlphttp]}
    logs: {receivers: [otlp], exporters: [otlphttp]}
    metrics: {receivers: [otlp], exporters: [otlphttp]}
`
	if err := os.WriteFile(file, fmt.Appendf(nil, pipelines, front, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	collector := exec.CommandContext(t.Context(), os.Getenv("MILLRACE_TEST_OTELCOL"), "--config="+file)
	collector.Stdout, collector.Stderr = &log, &log
	if err := collector.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = collector.Process.Kill()
		_ = collector.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	bodies := map[string]string{
		"traces":  `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a span","kind":1}]}]}]}`,
		"logs":    `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a log record"}}]}]}]}`,
		"metrics": `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a metric","gauge":{"dataPoints":[{"asInt":"7"}]}}]}]}]}`,
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(signal string) {
		t.Helper()
		testkit.Eventually(t, time.Minute, "the collector to take "+signal, func() bool {
			resp, err := client.Post("http://"+front+"/v1/"+signal, "application/json", strings.NewReader(bodies[signal]))
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
	}
	for signal := range bodies { // nothing listens at its endpoint yet
		post(signal)
	}
	serve(t, b, args...)
	for signal := range bodies {
		post(signal)
		for _, r := range testkit.ReadTopic(t, b, topics[signal], 2) {
			if want := map[string]string{"traces": "a span", "logs": "a log record", "metrics": "a metric"}[signal]; !strings.Contains(string(r.Value), want) {
				t.Errorf("%s: the record %q has no %q", signal, r.Value, want)
			}
		}
	}
}
