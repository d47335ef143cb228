package batch

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/apierr"
)

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		p := newTestProducer(t, s, 4000)
		// Kafka does not ack: admitted bytes stay admitted after the time-out.
		for range 20 {
			_, _ = p.Produce(fill(t, p, `{"records":[{"value":1}]}`), "t", AnyPartition, nil, results)
		}
		got := p.Stats()
		if got.Limit != 4000 || got.Held != p.Held() || got.Held == 0 || got.Refused == 0 {
			t.Errorf("in an outage: %+v", got)
		}
		if got.Jobs.Gets != 20 || got.Jobs.Out != 20-int64(got.Refused) || got.Jobs.Misses == 0 {
			t.Errorf("in an outage, with %d refused: %+v", got.Refused, got.Jobs)
		}
		s.finish(noError)
		if got := p.Stats(); got.Held != 0 || got.Jobs.Out != 0 {
			t.Errorf("after it: %+v", got)
		}
	})
}

// Waited is called for one request in sixteen, with how long it waited.
func TestWaited(t *testing.T) {
	var told, wrong atomic.Int32
	timed := cluster
	timed.Waited = func(d time.Duration) {
		told.Add(1)
		if d < 0 || d > time.Minute {
			wrong.Add(1)
		}
	}
	p := New(&sink{auto: true}, timed, Settings{BufferBytes: 1 << 20, Timeout: time.Minute})
	defer p.Close(context.Background())
	const n = 4000
	for range n {
		if _, err := p.Produce(fill(t, p, `{"records":[{"value":1}]}`), "t", AnyPartition, nil, results); err != nil {
			t.Fatal(err)
		}
	}
	if got := told.Load(); got != n/16 || wrong.Load() > 0 {
		t.Errorf("%d of %d requests were told of, %d with nonsense", got, n, wrong.Load())
	}
}

func TestWritten(t *testing.T) {
	p := New(&sink{auto: true}, cluster, Settings{BufferBytes: 1 << 20, Timeout: time.Minute})
	defer p.Close(context.Background())
	written := -1
	body := `{"records":[{"partition":9},{"partition":1},{"value":` + strings.Repeat("1", 10) + `}]}`
	_, err := p.Produce(fill(t, p, body), "t", AnyPartition, nil, func(dst []byte, j *Job) []byte {
		written = j.Written()
		return dst
	})
	if err != nil || written != 2 {
		t.Errorf("%d records are written, %v", written, err)
	}
	if _, err := p.Produce(fill(t, p, `{"records":[{"partition":9}]}`), "t", AnyPartition, nil, results); !apierr.PartitionNotFound.Is(err) {
		t.Errorf("got %v", err)
	}
}
