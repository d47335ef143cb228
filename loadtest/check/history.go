package check

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Outcome is what a client knows after a request, or of one record of it.
type Outcome string

const (
	// OK is an acknowledgement: the record is stored, the page was received.
	OK Outcome = "ok"
	// Failed is a refusal: nothing was written.
	Failed Outcome = "failed"
	// Unknown is all else: the record may be stored now, later, or never.
	Unknown Outcome = "unknown"
)

// Kind is what an [Op] did.
type Kind string

const (
	// Produce sends records.
	Produce Kind = "produce"
	// Read asks for a page of a consumer instance.
	Read Kind = "read"
	// Commit commits all that the instance was given.
	Commit Kind = "commit"
	// Join creates an instance, or subscribes it.
	Join Kind = "join"
	// Leave deletes an instance, or notes that the proxy does not know it any more.
	Leave Kind = "leave"
	// Committed is a look at a group's committed offsets, at the brokers.
	Committed Kind = "committed"
	// Disturbed marks a fault that was made on purpose. Consumers may be sent back to what
	// is committed for a while after it.
	Disturbed Kind = "disturbed"
)

// Op is one request of a client, with its outcome. Times count from the start of the
// history, by the monotonic clock.
type Op struct {
	Kind   Kind          `json:"kind"`
	Client int           `json:"client"`
	Conn   int           `json:"conn"` // which connection of the client's
	Seq    int           `json:"seq"`  // which request of the client's
	Sent   time.Duration `json:"sent"`
	Done   time.Duration `json:"done"`

	Outcome Outcome `json:"outcome"`
	Status  int     `json:"status,omitempty"` // of HTTP; 0 for no response
	Code    int     `json:"code,omitempty"`   // error_code of the response as a whole
	// Late is set when no response came within the time that the client gives a request.
	Late bool `json:"late,omitempty"`
	// Malformed says why a response could not be understood.
	Malformed string `json:"malformed,omitempty"`
	// Note is an error of the connection, or the name of a fault.
	Note string `json:"note,omitempty"`

	Topic   string `json:"topic,omitempty"`
	Records []Sent `json:"records,omitempty"` // of Produce

	Group     string     `json:"group,omitempty"`
	Instance  string     `json:"instance,omitempty"`
	Page      []Given    `json:"page,omitempty"`      // of Read
	Positions []Position `json:"positions,omitempty"` // of Committed
}

// Sent is one record of a produce request.
type Sent struct {
	ID
	// Asked is the partition that the client named, -1 for none.
	Asked int32 `json:"asked"`
	// Bad is set for a record that breaks a rule of its topic on purpose.
	Bad     bool    `json:"bad,omitempty"`
	Outcome Outcome `json:"outcome"`
	Code    int     `json:"code,omitempty"` // error_code of its slot
	// Partition and Offset are the answer's, where Outcome is OK.
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// Given is one record of a page.
type Given struct {
	Place
	ID
	// Foreign is the beginning of a value that this run did not make; ID is then empty.
	Foreign string `json:"foreign,omitempty"`
}

// Partition is one of a topic.
type Partition struct {
	Topic  string `json:"topic"`
	Number int32  `json:"partition"`
}

// Place is where a record stands.
type Place struct {
	Partition
	Offset int64 `json:"offset"`
}

// String is for reports.
func (p Place) String() string {
	return fmt.Sprintf("%s, partition %d, offset %d", p.Topic, p.Number, p.Offset)
}

// Position is an offset of a partition: the next one to be read.
type Position = Place

// Header is the part of a history that is not an operation.
type Header struct {
	Run  string `json:"run"`
	Seed uint64 `json:"seed"`
	// Topics are those of the run. Exclusive says that nobody else writes to them.
	Topics    []string `json:"topics"`
	Exclusive bool     `json:"exclusive"`
	// Disturbed says that faults are made during the whole run, as [Disturbed] does of a time.
	Disturbed bool `json:"disturbed,omitempty"`
	// Starts and Ends bound what the groups had to be given. Ends are looked up when no
	// client produces any more.
	Starts []Position `json:"starts"`
	Ends   []Position `json:"ends"`
}

// History is all that the clients of a run did. Append may be called by many at once.
type History struct {
	Header
	start time.Time

	mu  sync.Mutex
	ops []Op // guarded by mu
}

// NewHistory returns an empty history that begins now.
func NewHistory(h Header) *History { return &History{Header: h, start: time.Now()} }

// Now returns the time since the history began.
func (h *History) Now() time.Duration { return time.Since(h.start) }

// Append takes op, which is not changed afterwards.
func (h *History) Append(op Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// Disturb notes that a fault is made now.
func (h *History) Disturb(name string) {
	now := h.Now()
	h.Append(Op{Kind: Disturbed, Client: -1, Sent: now, Done: now, Outcome: OK, Note: name})
}

// Ops returns the operations in the order in which they ended.
func (h *History) Ops() []Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	ops := slices.Clone(h.ops)
	slices.SortStableFunc(ops, func(a, b Op) int { return int(a.Done - b.Done) })
	return ops
}

// WriteTo writes the history as JSON: its header, then one operation a line.
func (h *History) WriteTo(w io.Writer) (int64, error) {
	counted := &countingWriter{w: w}
	buffered := bufio.NewWriter(counted)
	enc := json.NewEncoder(buffered)
	err := enc.Encode(h.Header)
	for _, op := range h.Ops() {
		if err != nil {
			break
		}
		err = enc.Encode(op)
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		err = fmt.Errorf("cannot write the history: %w", err)
	}
	return counted.n, err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// ReadHistory reads what WriteTo wrote.
func ReadHistory(r io.Reader) (*History, error) {
	h := &History{}
	dec := json.NewDecoder(bufio.NewReader(r))
	if err := dec.Decode(&h.Header); err != nil {
		return nil, fmt.Errorf("cannot read the history: %w", err)
	}
	for {
		var op Op
		switch err := dec.Decode(&op); err {
		case nil:
			h.ops = append(h.ops, op)
		case io.EOF:
			return h, nil
		default:
			return nil, fmt.Errorf("cannot read operation %d of the history: %w", len(h.ops)+1, err)
		}
	}
}
