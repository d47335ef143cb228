package kafka

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// A recorder without a Kafka holds up nobody: what finds no room is lost, and counted.
func TestRecorderNeverWaits(t *testing.T) {
	t.Parallel()
	r, err := NewRecorder(Settings{Brokers: []string{"127.0.0.1:1"}, ClientID: "test", Logger: slog.New(slog.DiscardHandler)}, "audit")
	if err != nil {
		t.Fatal(err)
	}
	const lines = 4 * recorderRecords
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range lines {
			if _, err := r.Write([]byte("{}\n")); err != nil {
				t.Error(err)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("a record has waited for Kafka")
	}
	if written, lost := r.Counts(); written != 0 || lost == 0 {
		t.Errorf("%d written, %d lost", written, lost)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := r.Close(ended); err == nil {
		t.Error("the records that Kafka has not taken are not told of")
	}
	testkit.Eventually(t, 10*time.Second, "the rest to be counted", func() bool {
		written, lost := r.Counts()
		return written+lost == lines
	})
}
