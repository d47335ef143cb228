package ops_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"millrace/metrics"
	"millrace/server"
	"millrace/server/ops"
)

// A scrape over HTTP counts itself as its own route and changes nothing else.
func TestScrapeLeavesNoTrace(t *testing.T) {
	m := metrics.New(metrics.Settings{Topics: 10}, metrics.Build{})
	edge := server.New(server.Settings{
		Listeners: []server.Listener{{Addr: "127.0.0.1:0"}}, MaxHeaderBytes: 4096, MaxConnections: 10,
	}, server.Deps{Logger: slog.New(slog.DiscardHandler), Metrics: m})
	edge.Handle(ops.NewMetrics(edge).Routes()...)
	m.Watch(metrics.Sources{Server: edge.Stats})
	addrs, err := edge.Listen()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- edge.Serve() }()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer func() {
		client.CloseIdleConnections()
		if err := edge.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	scrape := func() []string {
		resp, err := client.Get("http://" + addrs[0].String() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s, %v", resp.Status, body, err)
		}
		return strings.Split(string(body), "\n")
	}
	others := func(lines []string) []string {
		return slices.DeleteFunc(lines, func(line string) bool {
			return !strings.HasPrefix(line, "millrace_") || strings.Contains(line, `route="/metrics"`)
		})
	}
	first := others(scrape())
	if second := others(scrape()); !slices.Equal(first, second) {
		t.Errorf("the first scrape shows\n%s\nthe second\n%s", strings.Join(first, "\n"), strings.Join(second, "\n"))
	}
	if !slices.Contains(first, "millrace_http_requests_in_flight 0") || !slices.Contains(first, "millrace_http_connections 1") {
		t.Errorf("a scrape counts itself:\n%s", strings.Join(first, "\n"))
	}
	if lines := scrape(); !slices.Contains(lines, `millrace_http_requests_total{method="GET",route="/metrics",status="200"} 2`) {
		t.Errorf("the scrapes before are not counted:\n%s", strings.Join(lines, "\n"))
	}
}
