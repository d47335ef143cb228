package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
	"millrace/loadtest/check"
)

// promises has clients of package check at a service while a proof makes its faults.
type promises struct {
	dial    check.Dial
	history *check.History
	stop    context.CancelFunc
	done    chan error
}

// startPromises lets clients produce and consume through url until judge is called.
func startPromises(t *testing.T, b testkit.Broker, url string) *promises {
	t.Helper()
	p := &promises{dial: check.Brokers(b.Addrs...), done: make(chan error, 1)}
	topic := testkit.Topic(t)
	admin := kadm.NewClient(testkit.Client(t, b))
	if _, err := admin.CreateTopic(t.Context(), 4, 3, nil, topic); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(t.Context())
	started := make(chan *check.History, 1)
	o := check.Options{
		URLs: []string{url}, Dial: p.dial, Seed: 1, Topics: []string{topic}, Clients: 4, Pause: 20 * time.Millisecond,
		Groups: []int{2}, Timeout: time.Minute, Patience: time.Minute, Started: func(h *check.History) { started <- h },
	}
	go func() {
		_, err := check.Run(ctx, o)
		p.done <- err
	}()
	select {
	case p.history = <-started:
	case err := <-p.done:
		t.Fatalf("cannot begin to check: %v", err)
	}
	return p
}

// disturb notes a fault before it is made.
func (p *promises) disturb(name string) { p.history.Disturb(name) }

// judge ends the clients, when their groups have read all, and holds what they were told
// against the log.
func (p *promises) judge(t *testing.T) {
	t.Helper()
	p.stop()
	if err := <-p.done; err != nil {
		t.Error(err)
	}
	log, err := check.ReadLog(t.Context(), p.dial, p.history)
	if err != nil {
		t.Fatal(err)
	}
	report := check.Check(p.history, log)
	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	t.Logf("what clients were promised:\n%s", &text)
	if !report.Clean() {
		t.Error("promises were broken")
	}
}
