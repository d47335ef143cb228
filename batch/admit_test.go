package batch

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// While Kafka does not ack, memory is bounded: requests beyond the buffer are refused at once,
// those that time out stay charged, and all bytes are returned when the answers come at last.
func TestOutageBoundsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const buffer = 16_000
		m := newModel()
		m.hold = make(chan struct{})
		p := start(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.BufferBytes, s.Timeout = buffer, time.Second })
		var admitted, refused int
		for range 20 {
			_, err := produce(t, p, `{"records":[{"value":1}]}`, AnyPartition)
			switch {
			case apierr.WriteUnknown.Is(err):
				admitted++
			case apierr.Overloaded.Is(err):
				refused++
			default:
				t.Fatalf("unexpected %v", err)
			}
			if p.Held() > buffer+buffer/requestShare { // frames are charged when they are made
				t.Fatalf("%d bytes admitted", p.Held())
			}
		}
		stats := p.Stats()
		if admitted < 2 || refused < 2 || p.Held() == 0 || stats.Limit != buffer || stats.Held != p.Held() || stats.Refused != uint64(refused) {
			t.Errorf("%d admitted, %d refused, %d held, %+v", admitted, refused, p.Held(), stats)
		}
		if stats.Jobs.Gets != 20 || stats.Jobs.Out != int64(admitted) || stats.Jobs.Misses == 0 || p.Buffered() != int64(admitted) {
			t.Errorf("jobs %+v, %d buffered", stats.Jobs, p.Buffered())
		}
		m.mu.Lock()
		close(m.hold) // the abandoned jobs are released by their answers
		m.hold = nil
		m.mu.Unlock()
		time.Sleep(time.Second)
		if stats := p.Stats(); p.Held() != 0 || stats.Jobs.Out != 0 {
			t.Errorf("%d bytes held after the outage, %+v", p.Held(), stats)
		}
	})
}

func TestRequestLargerThanTheBufferIsTheClientsMistake(t *testing.T) {
	p := start(t, newModel(), func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.BufferBytes = 1000 })
	if _, err := produce(t, p, `{"records":[{"value":"`+strings.Repeat("x", 2000)+`"}]}`, AnyPartition); !apierr.BodyTooLarge.Is(err) {
		t.Errorf("got %v", err)
	}
}

// The memory of headers counts too, however short they are.
func TestHeadersAreAdmitted(t *testing.T) {
	const headers = 2 * codec.MaxHeaders
	p := start(t, newModel(), func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.BufferBytes = headers * 40 })
	record := `{"headers":[` + strings.Repeat(`{"key":""},`, codec.MaxHeaders-1) + `{"key":""}]}`
	text := `{"records":[` + record + `,` + record + `]}`
	if len(text) > headers*40/2 {
		t.Fatal("the body alone is too large")
	}
	if _, err := produce(t, p, text, AnyPartition); !apierr.BodyTooLarge.Is(err) {
		t.Errorf("got %v", err)
	}
}

// A job whose response could not be written is not used again, and holds no memory.
func TestPanicWhileAnswering(t *testing.T) {
	p := start(t, newModel())
	j := fill(t, p, `{"records":[{"value":1}]}`)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _ = p.Produce(j, "t", AnyPartition, nil, func([]byte, *Job) []byte { panic("a defect") })
	}()
	for range 10 {
		if other := p.Acquire(); other == j {
			t.Error("the job is used again")
		} else {
			other.discard() // so that the pool has to make another one
		}
	}
}

// The deadline races the last answer: the one that comes second must leave the job alone. The
// race detector and the lifetime checks judge.
func TestTimeoutRacesLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.latency = func() time.Duration { return 200 * time.Microsecond }
		p := start(t, m, func(_ *Cluster, s *Settings, _ *kafka.Producer) { s.Timeout = 200 * time.Microsecond })
		for range 300 {
			got, err := produce(t, p, `{"records":[{"value":1},{"value":2}]}`, AnyPartition)
			if err != nil && !apierr.WriteUnknown.Is(err) {
				t.Errorf("unexpected %v", err)
			}
			if err == nil && strings.Count(got, "@") != 2 {
				t.Errorf("answer %q", got)
			}
		}
	})
}

// Close says what is lost, and ends all the same.
func TestCloseReportsWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("t", 3)
		m.hold = make(chan struct{})
		none, err := kafka.NewCompressor(kafka.None, 0)
		if err != nil {
			t.Fatal(err)
		}
		p := New(m, none, cluster, Settings{BufferBytes: 1 << 20, Timeout: time.Second, BatchBytes: 1 << 20}, kafka.DefaultProducer())
		if _, err := produce(t, p, `{"records":[{"value":1}]}`, AnyPartition); !apierr.WriteUnknown.Is(err) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "cannot flush") {
			t.Errorf("got %v", err)
		}
		if p.Held() != 0 || p.Buffered() != 0 {
			t.Errorf("%d bytes held, %d records buffered", p.Held(), p.Buffered())
		}
	})
}

// Waited is called for one request in sixteen, with how long it waited.
func TestWaited(t *testing.T) {
	var told, wrong atomic.Int32
	p := start(t, newModel(), func(c *Cluster, _ *Settings, _ *kafka.Producer) {
		c.Waited = func(d time.Duration) {
			told.Add(1)
			if d < 0 || d > time.Minute {
				wrong.Add(1)
			}
		}
	})
	const n = 800
	for range n {
		if _, err := produce(t, p, `{"records":[{"value":1}]}`, AnyPartition); err != nil {
			t.Fatal(err)
		}
	}
	if got := told.Load(); got != n/16 || wrong.Load() > 0 {
		t.Errorf("%d of %d requests were told of, %d with nonsense", got, n, wrong.Load())
	}
}

func TestWritten(t *testing.T) {
	p := start(t, newModel())
	written := -1
	text := `{"records":[{"partition":9},{"partition":1},{"value":` + strings.Repeat("1", 10) + `}]}`
	_, err := p.Produce(fill(t, p, text), "t", AnyPartition, nil, func(dst []byte, j *Job) []byte {
		written = j.Written()
		return dst
	})
	if err != nil || written != 2 {
		t.Errorf("%d records are written, %v", written, err)
	}
}
