package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// badProxy stands between the clients and a node, and does wrong where a test plants it.
type badProxy struct {
	*httptest.Server
	node string
	// wrong is called with each request, one at a time, and may do as it likes. It forwards
	// with x.forward, or answers by itself.
	wrong func(x *exchange)

	mu sync.Mutex
}

// exchange is one request and its answer.
type exchange struct {
	t      testing.TB
	node   string
	r      *http.Request
	body   []byte
	status int
	answer []byte
	hung   bool // there is to be no answer
}

func newBadProxy(t testing.TB, node string, wrong func(x *exchange)) *badProxy {
	p := &badProxy{node: node, wrong: wrong}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(t, w, r) }))
	t.Cleanup(p.Close)
	return p
}

func (p *badProxy) serve(t testing.TB, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	x := &exchange{t: t, node: p.node, r: r, body: body}
	if x.isRead() && !x.planted() { // a read waits, and must not hold up the others
		x.forward()
	}
	p.mu.Lock()
	p.wrong(x)
	p.mu.Unlock()
	if x.hung {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", mediaV2)
	w.WriteHeader(x.status)
	_, _ = w.Write(x.answer)
}

func (x *exchange) planted() bool { return x.status != 0 }

func (x *exchange) isProduce() bool { return strings.HasPrefix(x.r.URL.Path, "/topics/") }
func (x *exchange) isRead() bool    { return strings.HasSuffix(x.r.URL.Path, "/records") }
func (x *exchange) isCommit() bool {
	return strings.HasSuffix(x.r.URL.Path, "/offsets") && x.r.Method == http.MethodPost
}

// forward has the node answer, unless it or the test has.
func (x *exchange) forward() {
	if x.status != 0 {
		return
	}
	x.status, x.answer = x.ask(x.r.Method, x.r.URL.RequestURI(), x.body)
}

// ask makes a request to the node.
func (x *exchange) ask(method, path string, body []byte) (int, []byte) {
	req, err := http.NewRequest(method, x.node+path, bytes.NewReader(body))
	if err != nil {
		x.t.Error(err)
		return 500, nil
	}
	for _, name := range []string{"Content-Type", "Accept"} {
		if v := x.r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 502, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 502, nil
	}
	return resp.StatusCode, answer
}

func (x *exchange) reply(status int, format string, args ...any) {
	x.status, x.answer = status, fmt.Appendf(nil, format, args...)
}

// slot is one of a produce answer's.
type slot struct {
	Partition *int32  `json:"partition"`
	Offset    *int64  `json:"offset"`
	ErrorCode *int    `json:"error_code"`
	Error     *string `json:"error"`
}

func okSlot(partition int32, offset int64) slot { return slot{Partition: &partition, Offset: &offset} }

func refusedSlot() slot {
	code, text := 50002, "Kafka answered with an error."
	return slot{ErrorCode: &code, Error: &text}
}

func (x *exchange) records() (out []map[string]any) {
	var e struct{ Records []map[string]any }
	if err := json.Unmarshal(x.body, &e); err != nil {
		x.t.Error(err)
	}
	return e.Records
}

func (x *exchange) setRecords(records []map[string]any) {
	x.body, _ = json.Marshal(map[string]any{"records": records})
}

func (x *exchange) slots() []slot {
	var a struct{ Offsets []slot }
	if err := json.Unmarshal(x.answer, &a); err != nil {
		x.t.Error(err)
	}
	return a.Offsets
}

func (x *exchange) setSlots(slots []slot) {
	x.status = http.StatusOK
	x.answer, _ = json.Marshal(map[string]any{"offsets": slots})
}

func (x *exchange) page() (out []map[string]any) {
	if x.status != http.StatusOK {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(x.answer))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		x.t.Error(err)
	}
	return out
}

func (x *exchange) setPage(page []map[string]any) { x.answer, _ = json.Marshal(page) }

// bad reports whether a record breaks the rule that this proxy has in place of a broker's.
func bad(record map[string]any) bool { return record["timestamp"] != nil }

// withRule forwards a produce request without its records that break the rule, whose slots it
// refuses.
func (x *exchange) withRule() {
	var good []map[string]any
	records := x.records()
	for _, r := range records {
		if !bad(r) {
			good = append(good, r)
		}
	}
	var slots []slot
	if len(good) == len(records) {
		x.forward()
		return
	}
	if len(good) > 0 {
		x.setRecords(good)
		if x.forward(); x.status != http.StatusOK {
			return
		}
		slots = x.slots()
	}
	var all []slot
	for _, r := range records {
		if bad(r) {
			all = append(all, refusedSlot())
		} else {
			all, slots = append(all, slots[0]), slots[1:]
		}
	}
	x.setSlots(all)
}
