package kafka

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A warning that the library gives at each attempt is logged once while it is the same, and once
// more when it is another, or was not logged for a while.
func TestRepeatedLinesAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := newLogger(slog.New(slog.NewTextHandler(&text, nil)))
		say := func(broker, err string) {
			log.Log(kgo.LogLevelWarn, "unable to open connection to broker", "addr", "127.0.0.1:9092", "broker", broker, "err", errors.New(err))
		}
		want := func(lines int) {
			t.Helper()
			if got := strings.Count(text.String(), "\n"); got != lines {
				t.Errorf("%d lines, want %d:\n%s", got, lines, text.String())
			}
		}
		for range 40 {
			say("1", "dial tcp 127.0.0.1:35000->127.0.0.1:9092: connection refused")
			say("1", "dial tcp 127.0.0.1:35001->127.0.0.1:9092: connection refused") // another port of its own
			time.Sleep(100 * time.Millisecond)
		}
		want(1)
		say("2", "connection refused")
		say("1", "i/o timeout")
		say("1", "i/o timeout")
		want(3)
		time.Sleep(sameLineFor)
		say("1", "i/o timeout")
		want(4)
		if !strings.Contains(text.String(), "more_since_the_last=") {
			t.Errorf("how many were left out is not said:\n%s", text.String())
		}
		say("seed_0", "connection refused") // package metadata reports that no broker answers
		want(4)
		for range 2 * maxSameLines { // what differs without end costs no memory
			say(time.Now().String(), "x")
			time.Sleep(time.Nanosecond)
		}
		if n := len(log.same.lines); n > maxSameLines {
			t.Errorf("%d lines are kept", n)
		}
	})
}
