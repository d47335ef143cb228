package faults

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"millrace/loadtest/check"
)

// outage is a service that is away from one time to another, and slow until a third.
func outage(began time.Time, from, to, slowTo time.Duration) func(context.Context, int32) error {
	return func(ctx context.Context, _ int32) error {
		takes := swift / 2
		switch at := time.Since(began); {
		case at < from:
		case at < to:
			return errors.New("away")
		case at < slowTo:
			takes = 2 * swift
		}
		<-time.After(takes)
		return ctx.Err()
	}
}

func TestProbeFindsTheEndOfAnOutage(t *testing.T) {
	for name, want := range map[string]struct{ to, slowTo, recovered time.Duration }{
		"refused":          {to: 15 * time.Second, recovered: 15 * time.Second},
		"refused and slow": {to: 15 * time.Second, slowTo: 17 * time.Second, recovered: 17 * time.Second},
		"never away":       {recovered: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				p := &Probe{send: outage(began, 10*time.Second, want.to, want.slowTo)}
				ctx, cancel := context.WithCancel(t.Context())
				var partitions atomic.Int32
				partitions.Store(2)
				var running sync.WaitGroup
				running.Go(func() { p.run(ctx, &partitions) })
				defer running.Wait()
				defer cancel()
				time.Sleep(want.recovered + time.Second)
				if _, ok := p.recovered(time.Now()); ok {
					t.Error("it counts as recovered after a second")
				}
				time.Sleep(5 * time.Second)
				at, ok := p.recovered(time.Now())
				if got := at.Sub(began); !ok || got < want.recovered || got > want.recovered+2*probeEvery {
					t.Errorf("recovered %v, after %v, want %v", ok, got, want.recovered)
				}
			})
		})
	}
}

// TestDisturbancesAreMeasuredApart has the brokers away for a second where a fault begins, and the
// service for a second where it ends, of two faults one after the other.
func TestDisturbancesAreMeasuredApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away, lame atomic.Int64 // until when brokers and service are, in nanoseconds
		probe := func(until *atomic.Int64) *Probe {
			return &Probe{send: func(context.Context, int32) error {
				if time.Now().UnixNano() < until.Load() {
					return errors.New("away")
				}
				return nil
			}}
		}
		disturb := func(until *atomic.Int64) func(context.Context, *Run) error {
			return func(context.Context, *Run) error {
				until.Store(time.Now().Add(time.Second).UnixNano())
				return nil
			}
		}
		r := &Run{t: t, brokers: probe(&away), service: probe(&lame), traffic: &traffic{began: make(chan struct{})}}
		close(r.traffic.began)
		r.partitions.Store(1)
		one := Fault{Begin: disturb(&away), Survivable: true, Lasts: 10 * time.Second, End: disturb(&lame)}
		two := one
		two.Then = &one
		ctx, cancel := context.WithCancel(t.Context())
		var probes sync.WaitGroup
		probes.Go(func() { r.brokers.run(ctx, &r.partitions) })
		probes.Go(func() { r.service.run(ctx, &r.partitions) })
		defer probes.Wait()
		defer cancel()
		r.inflict(ctx, Schedule{Fault: two})
		for what, got := range map[string]time.Duration{"Kafka": r.result.ClusterAway, "the service, after Kafka,": r.result.Recovery} {
			if got < time.Second-probeEvery || got > time.Second+2*probeEvery {
				t.Errorf("%s was away for %v, want a second", what, got)
			}
		}
	})
}

const log = `12 [ReplicaFetcherThread-0-1] WARN kafka.server.ReplicaFetcherThread - Error in response for fetch request
java.io.IOException: Connection to 1 was disconnected before the response was read
	at org.apache.kafka.clients.NetworkClientUtils.sendAndReceive(NetworkClientUtils.java:111)
13 [data-plane-kafka-request-handler-6] ERROR kafka.server.ReplicaManager - Error processing append operation
java.lang.IllegalStateException: there is no room
	at kafka.server.ReplicaManager.append(ReplicaManager.scala:1)
14 [main] WARN org.apache.kafka.Harmless - nothing to see
15 [data-plane-kafka-request-handler-1] ERROR kafka.server.ReplicaManager - Error processing append operation on partition id:t-0
org.apache.kafka.common.errors.NotEnoughReplicasException: 1 of 2
16 [data-plane-kafka-request-handler-2] ERROR kafka.server.ReplicaManager - Error processing append operation on partition id:t-0
org.apache.kafka.common.errors.OutOfOrderSequenceException: Out of order sequence number: 5, 3 (behind the refused one)
17 [data-plane-kafka-request-handler-2] ERROR kafka.server.ReplicaManager - Error processing append operation on partition id:t-1
org.apache.kafka.common.errors.OutOfOrderSequenceException: Out of order sequence number: 9, 3 (behind none)
`

func TestLogsAreCutIntoEntriesAndExcused(t *testing.T) {
	want := []string{
		"13 [data-plane-kafka-request-handler-6] ERROR kafka.server.ReplicaManager - Error processing append operation / java.lang.IllegalStateException: there is no room",
		"17 [data-plane-kafka-request-handler-2] ERROR kafka.server.ReplicaManager - Error processing append operation on partition id:t-1 / " +
			"org.apache.kafka.common.errors.OutOfOrderSequenceException: Out of order sequence number: 9, 3 (behind none)",
	}
	var got []string
	for _, e := range alarmsIn(log, nil) {
		got = append(got, brief(e))
	}
	if !slices.Equal(got, want) {
		t.Errorf("alarms are %q", got)
	}
}

// TestFailures misses each goal, one after the other.
func TestFailures(t *testing.T) {
	fine := func() Result {
		return Result{Schedule: Schedule{Name: "x"}, Report: &check.Report{Totals: check.Totals{Acknowledged: 1}}, Requests: 1}
	}
	if got := fine().Failures(); len(got) > 0 {
		t.Errorf("a result that meets all goals fails: %q", got)
	}
	found := []check.Finding{{Anomaly: check.LostWrite, Count: 2}}
	for want, break_ := range map[string]func(*Result){
		"2 of lost-write":            func(r *Result) { r.Report.Findings = found },
		"no record":                  func(r *Result) { r.Report.Totals.Acknowledged = 0 },
		"1 requests were cut off: x": func(r *Result) { r.Cuts = []string{"x"} },
		"was well 4s after":          func(r *Result) { r.Recovery = 4 * time.Second },
		"the node had":               func(r *Result) { r.Peak = r.Steady + bodyBudget + producerBuffer + 1 },
		"logged by broker 1: oops":   func(r *Result) { r.Alarms = []string{"broker 1: oops"} },
		"printed by a node: panic:":  func(r *Result) { r.Complaints = []string{"panic: x"} },
	} {
		r := fine()
		break_(&r)
		if got := r.Failures(); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("failures are %q, want %q", got, want)
		}
	}
	r := fine()
	r.Report.Findings, r.Schedule.Expected = found, map[check.Anomaly]string{check.LostWrite: "known"}
	if got := r.Failures(); len(got) > 0 || !strings.Contains(r.row(), "2 (expected)") {
		t.Errorf("an expected anomaly: %q, %s", got, r.row())
	}
}

func TestRowsAreReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.md")
	kept, replaced := Schedules[0].Name, Schedules[1].Name
	text := "a\n" + sectionBegin + "\n\n" + head + "| " + kept + " | 1 |\n| " + replaced + " | 2 |\n| gone | 3 |\n\n" + sectionEnd + "\nb\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	result := Result{Schedule: Schedules[1], Report: &check.Report{Totals: check.Totals{Acknowledged: 77}}}
	if err := WriteTable(file, []Result{result}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	want := "a\n" + sectionBegin + "\n\n" + head + "| " + kept + " | 1 |\n" + result.row() + "\n" + sectionEnd + "\nb\n"
	if err != nil || string(got) != want {
		t.Errorf("the document is %q (%v), want %q", got, err, want)
	}
	if err := os.WriteFile(file, []byte("no marks\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteTable(file, nil); err == nil {
		t.Error("a document without marks was written")
	}
}
