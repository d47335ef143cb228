package loadtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// producer makes the requests of a produce flow.
type producer struct {
	to     *endpoint
	flow   *Flow
	run    string
	url    string
	head   []byte // of every body, up to the first record
	values [][]byte
	ledger *ledger
}

func newProducer(to *endpoint, f *Flow, run string, l *ledger) (*producer, error) {
	values, err := f.Payload.values(f.Format)
	if err != nil {
		return nil, err
	}
	head, err := f.envelope()
	if err != nil {
		return nil, err
	}
	return &producer{
		to: to, flow: f, run: run, head: head, values: values, ledger: l,
		url: to.base + "/topics/" + url.PathEscape(f.Topic),
	}, nil
}

// target implements source.
func (p *producer) target(t *vegeta.Target) error {
	n := p.ledger.begin()
	t.Method, t.URL = http.MethodPost, p.url
	t.Header = p.to.header("Content-Type", mediaOf(p.flow.Format), "Accept", mediaV2, hitHeader, strconv.FormatUint(n, 10))
	t.Body = p.body(n)
	return nil
}

// body is the envelope of request n.
func (p *producer) body(n uint64) []byte {
	count := uint64(p.flow.Records)
	b := make([]byte, 0, len(p.head)+16+p.flow.Records*(p.flow.Payload.Size+100)*4/3)
	b = append(b, p.head...)
	var value []byte
	for seq := n * count; seq < (n+1)*count; seq++ {
		if seq > n*count {
			b = append(b, ',')
		}
		b = append(b, '{')
		if p.flow.Keys > 0 {
			b = append(b, `"key":`...)
			b = p.appendText(b, fmt.Appendf(nil, `"key-%06d"`, seq%uint64(p.flow.Keys)))
			b = append(b, ',')
		}
		value = appendValue(value[:0], recordID{p.run, p.ledger.worker, seq}, p.values[seq%uint64(len(p.values))])
		b = append(b, `"value":`...)
		b = p.appendText(b, value)
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// appendText appends JSON as the flow's format has it.
func (p *producer) appendText(dst, text []byte) []byte {
	if p.flow.Format != "binary" {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, text)
	return append(dst, '"')
}

// taken implements source.
func (p *producer) taken(res *vegeta.Result) outcome {
	if res.Code != http.StatusOK {
		return p.to.refused(res)
	}
	slots, failed, err := parseOffsets(res.Body, p.flow.Records)
	if err != nil {
		return outcome{failures: []failure{{Status: int(res.Code), Kind: "not a produce answer"}}, message: err.Error()}
	}
	n, err := strconv.ParseUint(res.Headers.Get(hitHeader), 10, 64)
	if err != nil {
		panic("BUG: the answer to a produce request came back without its number")
	}
	p.ledger.acked(n, res.Timestamp.Add(res.Latency), slots)
	out := outcome{ok: len(failed) == 0, records: len(slots) - len(failed), failedRecords: len(failed)}
	for _, f := range failed {
		out.failures = append(out.failures, failure{Status: int(res.Code), Code: f.code, Record: true})
		out.message = p.to.redact(f.message)
	}
	return out
}

// sent implements source.
func (p *producer) sent(n uint64) { p.ledger.sent(n) }

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
