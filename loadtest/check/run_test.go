package check

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// startNode starts a node in front of b and returns its URL.
func startNode(t testing.TB, b testkit.Broker, args ...string) (*testkit.Process, string) {
	t.Helper()
	args = append([]string{"serve", "--set=bootstrap.servers=" + strings.Join(b.Addrs, ","), "--set=listeners=http://127.0.0.1:0"}, args...)
	p := testkit.StartMillrace(t, args...)
	return p, p.WaitLine(t, `msg=serving addresses=\[(http://[^\]]+)\]`, 20*time.Second)[1]
}

// judge reads the log behind a history and returns the report, and its text.
func judge(t testing.TB, dial Dial, h *History) (*Report, string) {
	t.Helper()
	log, err := ReadLog(t.Context(), dial, h)
	if err != nil {
		t.Fatal(err)
	}
	report := Check(h, log)
	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return report, text.String()
}

// TestNodeIsKilled has two nodes of one service under load, one of which is killed. Requests
// end without an answer, instances move, records come again; and that is no anomaly.
func TestNodeIsKilled(t *testing.T) {
	b := testkit.Fake(t)
	var nodes []*testkit.Process
	o := Options{Dial: Brokers(b.Addrs...), Seed: 3, Partitions: 4, Clients: 6, Groups: []int{2, 2}, Patience: time.Minute}
	for _, id := range []string{"a", "b"} {
		p, url := startNode(t, b.Broker, "--set=id="+id, "--set=cluster.enable=true", "--set=cluster.secret=sixteen letters.", "--set=cluster.heartbeat.interval.ms=300", "--set=cluster.lease.ms=2000")
		nodes, o.URLs = append(nodes, p), append(o.URLs, url)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o.Started = func(h *History) {
		go func() {
			defer stop()
			pause(ctx, 300*time.Millisecond)
			h.Disturb("node b is killed")
			nodes[1].Signal(t, syscall.SIGKILL)
			pause(ctx, time.Second)
		}()
	}
	h, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	report, text := judge(t, o.Dial, h)
	if !report.Clean() || len(report.Totals.Errors) == 0 {
		t.Errorf("want requests without an answer, and no anomaly:\n%s", text)
	}
}

// TestOnKafka checks a node in front of a real Kafka, whose rules are the broker's own.
func TestOnKafka(t *testing.T) {
	b := testkit.RealKafka(t)
	_, url := startNode(t, b)
	o := Options{URLs: []string{url}, Dial: Brokers(b.Addrs...), Seed: 4, Clients: 6, Requests: 15, Pause: -1, Patience: time.Minute}
	h, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	report, text := judge(t, o.Dial, h)
	if !report.Clean() || report.Totals.Acknowledged == 0 || report.Totals.Unknown+report.Totals.Failed > 0 {
		t.Error(text)
	}
	o.Bad = .05
	if h, err = Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	report, text = judge(t, o.Dial, h)
	if report.Totals.Bad == 0 || report.Totals.BadAccepted > 0 {
		t.Errorf("the broker takes records of next month:\n%s", text)
	}
	// A batch fails as a whole for one record that breaks a rule, and takes along what other
	// clients have in it. All else must hold for them too.
	for _, f := range report.Findings {
		if f.Anomaly != StrangerRefused && f.Anomaly != NeighbourRefused {
			t.Errorf("%s:\n%s", f.Anomaly, text)
		}
	}
	t.Logf("%d strangers and %d neighbours refused for %d bad records", report.Count(StrangerRefused), report.Count(NeighbourRefused), report.Totals.Bad)
}

func TestRunRefuses(t *testing.T) {
	dial := Brokers("127.0.0.1:1")
	for want, o := range map[string]Options{
		"without the proxy's URL and the brokers": {Dial: dial},
		"it must be http://HOST:PORT":             {Dial: dial, URLs: []string{"proxy:8082"}},
		"cannot reach the brokers":                {Dial: dial, URLs: []string{"http://127.0.0.1:1"}},
	} {
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
