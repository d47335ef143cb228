package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

// listenPatience bounds the wait for a message.
const listenPatience = 30 * time.Second

// Listener takes in a stream of messages, a JSON record a line.
type Listener struct {
	t  *testing.T
	in chan string // what was sent, message by message
	// Gone, closed, has the next message refused with [ErrGone].
	Gone chan struct{}
	// Done has what the stream returned.
	Done chan error
	// End ends its context.
	End context.CancelFunc
}

// ErrGone is what a client that is gone returns.
var ErrGone = errors.New("the client is gone")

// Listen runs the stream until t ends.
func Listen(t *testing.T, run func(ctx context.Context, send func([]byte) error) error) *Listener {
	ctx, cancel := context.WithCancel(t.Context())
	l := &Listener{t: t, in: make(chan string, 100_000), Gone: make(chan struct{}), Done: make(chan error, 1), End: cancel}
	go func() {
		l.Done <- run(ctx, func(b []byte) error {
			select {
			case <-l.Gone:
				return ErrGone
			default:
			}
			for line := range bytes.Lines(b) {
				l.in <- string(bytes.TrimSuffix(line, []byte{'\n'}))
			}
			return nil
		})
	}()
	t.Cleanup(cancel)
	return l
}

// Message is the next one; "" after half a minute.
func (l *Listener) Message() string {
	select {
	case m := <-l.in:
		return m
	case <-time.After(listenPatience):
		return ""
	}
}

// Want fails unless the next records have these values.
func (l *Listener) Want(values []int) {
	l.t.Helper()
	for _, v := range values {
		text := l.Message()
		for text == "#begin" || text == "#beat" {
			text = l.Message()
		}
		var r struct{ Value json.RawMessage }
		if err := json.Unmarshal([]byte(text), &r); err != nil || string(r.Value) != fmt.Sprint(v) {
			l.t.Fatalf("the stream has %q, want the value %d", text, v)
		}
	}
}
