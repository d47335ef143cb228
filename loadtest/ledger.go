package loadtest

import (
	"sync"
	"time"
)

// ledger is what one produce flow sent and what came back for it: the truth
// that the topic is compared with. Request i holds the records i·n … i·n+n-1.
type ledger struct {
	topic   string
	worker  int
	records int // n, a request
	epoch   time.Time

	mu       sync.Mutex
	requests []request // by number
}

// request is one produce request. Times are since the ledger's epoch, 0 for
// what did not happen.
type request struct {
	sent, acked time.Duration
	// slots are the answer's, one a record; nil when the request as a whole
	// was not acknowledged.
	slots []slot
}

// slot is what the proxy said of one record: where it is, or with a partition
// below 0 that it failed.
type slot struct {
	offset    int64
	partition int32
}

func (s slot) acked() bool { return s.partition >= 0 }

func newLedger(f *Flow, worker int, epoch time.Time) *ledger {
	return &ledger{topic: f.Topic, worker: worker, records: f.Records, epoch: epoch}
}

// begin opens the next request and returns its number.
func (l *ledger) begin() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, request{})
	return uint64(len(l.requests) - 1)
}

// sent notes that request n goes to the network now. Being early is harmless:
// it can only make the check of order more lenient.
func (l *ledger) sent(n uint64) {
	now := time.Since(l.epoch)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < uint64(len(l.requests)) {
		l.requests[n].sent = now
	}
}

// acked notes the answer to request n, which had arrived by at. It keeps slots.
func (l *ledger) acked(n uint64, at time.Time, slots []slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < uint64(len(l.requests)) {
		l.requests[n].acked, l.requests[n].slots = at.Sub(l.epoch), slots
	}
}
