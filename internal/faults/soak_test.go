package faults_test

import (
	"os"
	"testing"
	"time"

	"millrace/internal/faults"
	"millrace/internal/testkit"
)

// TestSoak has a node serve for as long as MILLRACE_SOAK says while one thing after the other
// breaks. It loses nothing, and holds no more in the end than once it had settled.
func TestSoak(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_SOAK", "no node was soaked: that takes three brokers and half an hour; `make soak` does, for as long as SOAK says")
	length, err := time.ParseDuration(os.Getenv("MILLRACE_SOAK"))
	if err != nil {
		t.Fatalf("MILLRACE_SOAK: %v", err)
	}
	result, held := faults.Soak(t, faults.StartCluster(t, false), faults.Program(t), length, uint64(time.Now().UnixNano()))
	t.Logf("\n%s", faults.Table([]faults.Result{result}))
	for _, f := range result.Failures() {
		t.Error(f)
	}
	if len(held) == 0 {
		t.Error("the node was not looked at")
	}
	for _, h := range held {
		t.Logf("%s: %.0f once it had settled, %.0f in the end", h.Name, h.Early, h.End)
		if h.Grown() {
			t.Errorf("there were more and more %s", h.Name)
		}
	}
}
