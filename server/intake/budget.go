package intake

import (
	"sync"
	"sync/atomic"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/fair"
)

const (
	// Small is the largest body that may use the reserve.
	Small = 64 << 10
	// DefaultMemory is the budget where neither the settings nor a memory
	// limit of the process say otherwise.
	DefaultMemory = 128 << 20
	// patience is how long a large body waits for the room of one that was
	// cut for it. Its goroutine wakes and lets go within milliseconds.
	patience = time.Second
	// newcomer is the rate, in bytes a second, that a body which has not begun
	// is compared with when the budget is short.
	newcomer = 16 << 10
)

// Settings of a budget.
type Settings struct {
	// Memory is the budget in bytes (0: [DefaultMemory]).
	Memory int64
	// Share is how much of it, in percent, the large bodies of one caller may
	// hold together (0: all of it).
	Share int
	// Largest is the largest body that the edge accepts. The share of a
	// caller is at least that: otherwise it could never arrive.
	Largest int64
	// MinRate is how many bytes a second a body must bring, over any time of
	// Grace (0: any).
	MinRate int64
	// Grace is how long a body may bring nothing.
	Grace time.Duration
}

// Budget is the memory of all request bodies. Make one with [New].
type Budget struct {
	settings Settings
	limit    int64
	large    int64 // limit without the reserve, for bodies over Small
	share    int64 // of the large bodies of one caller

	used fair.Sum // bytes charged

	mu       sync.Mutex
	arriving map[*Body]struct{}
	ofLarge  map[*fair.Holder]int64 // bytes of large bodies
	cutting  int64                  // bytes of bodies that are cut and have not let go yet
	waiting  int                    // bodies that wait for freed
	freed    chan struct{}          // closed, and replaced, when a large body lets go while some wait
	peak     int64                  // the most that used was at a look since memory was given back
	calm     int                    // looks in a row that found little used

	refused, slow, displaced atomic.Uint64
}

// Stats is the state of a budget.
type Stats struct {
	// Used is the bytes charged, Limit their bound.
	Used, Limit int64
	// Refused counts bodies that found no room, Slow those cut for lack of
	// progress, Displaced those cut to make room for faster ones.
	Refused, Slow, Displaced uint64
}

// Room is what a budget of so much memory leaves for bodies over [Small].
func Room(memory int64) int64 { return memory - min(memory/4, 32<<20) }

// New returns a budget that nothing is charged to.
func New(s Settings) *Budget {
	if s.Memory == 0 {
		s.Memory = DefaultMemory
	}
	b := &Budget{
		settings: s, limit: s.Memory, large: Room(s.Memory), share: s.Memory,
		arriving: make(map[*Body]struct{}), ofLarge: make(map[*fair.Holder]int64), freed: make(chan struct{}),
	}
	if s.Share > 0 {
		b.share = max(s.Memory/100*int64(s.Share)+s.Memory%100*int64(s.Share)/100, s.Largest)
	}
	return b
}

// Stats returns the state of the budget.
func (b *Budget) Stats() Stats {
	return Stats{Used: b.used.Held(), Limit: b.limit, Refused: b.refused.Load(), Slow: b.slow.Load(), Displaced: b.displaced.Load()}
}

// Conn is what the budget needs of a connection, to end the waiting for more of a body.
type Conn interface {
	SetReadDeadline(t time.Time) error
}

// Body is the charge of one request's body. The zero Body is one of nobody; it
// belongs to the goroutine that reads the request. A body that was begun must
// be given back by [Body.Release].
type Body struct {
	budget *Budget
	held   int64 // bytes charged
	conn   Conn
	caller *fair.Holder // nil: nobody
	got    atomic.Int64 // bytes of body that have arrived

	// budget.mu guards what follows.
	counted bool         // held is in budget.ofLarge
	cut     *apierr.Kind // why it was cut
	began   time.Time
	mark    int64 // got at markAt, where the present time of grace began
	markAt  time.Time
	seen    int64 // got at the last look
	rate    int64 // bytes a second, of late
}

// Begin makes the zero Body one of the budget, of a caller, that nothing is
// charged for. Nil is nobody, who has no share.
func (b *Budget) Begin(body *Body, caller *fair.Holder) { body.budget, body.caller = b, caller }

// Watch says that the body's bytes are yet to arrive, on a connection, and has
// it watched until [Body.Arrived].
func (y *Body) Watch(conn Conn) {
	b := y.budget
	y.conn = conn
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	y.began, y.markAt = now, now
	y.rate = max(newcomer, 16*b.settings.MinRate)
	b.arriving[y] = struct{}{}
}

// Progress says that n bytes of the body have arrived so far.
func (y *Body) Progress(n int) { y.got.Store(int64(n)) }

// Arrived ends the watching. The charge stays.
func (y *Body) Arrived() {
	b := y.budget
	b.mu.Lock()
	delete(b.arriving, y)
	b.mu.Unlock()
}

// Cut returns why the body was cut, or nil when it was not.
func (y *Body) Cut() *apierr.Kind {
	y.budget.mu.Lock()
	defer y.budget.mu.Unlock()
	return y.cut
}

// Held is the number of bytes charged.
func (y *Body) Held() int64 { return y.held }

// Fits returns why a body of n bytes cannot arrive now, or nil. It charges
// nothing: the bytes may never come. When the budget is short it cuts slow
// bodies for it, as [Body.Charge] does.
func (y *Body) Fits(n int64) error {
	b := y.budget
	if n <= Small {
		if b.used.Held()+n > b.used.Room(y.caller.Bodies(), y.held, n, b.limit) {
			return b.refuse()
		}
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return y.room(n, true)
}

// Ample reports whether half of the budget is left with n bytes charged to the body, and that is
// little of what its caller may hold: room for bytes that may never come then hinders nobody.
func (y *Body) Ample(n int64) bool {
	b := y.budget
	return b.used.Held()+n-y.held <= b.large/2 && n <= b.share/16
}

// Charge charges the body n bytes in all, where it has been charged less. When
// there is no room for a large body it waits for a moment, if wait is set, for
// that of slower ones that it has cut. An error charges nothing.
func (y *Body) Charge(n int64, wait bool) error {
	if n <= y.held {
		return nil
	}
	b := y.budget
	if n <= Small {
		if y.conn != nil { // it may be cut meanwhile, and what it holds is counted then
			b.mu.Lock()
			defer b.mu.Unlock()
			if y.cut != nil {
				return y.cut.Err()
			}
		}
		if !b.used.Take(y.caller.Bodies(), y.held, n-y.held, b.limit) {
			return b.refuse()
		}
		y.held = n
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := y.room(n, wait); err != nil {
		return err
	}
	b.charge(y, n)
	return nil
}

// Shrink gives back what is charged beyond n bytes.
func (y *Body) Shrink(n int64) {
	if y.held <= n {
		return
	}
	b := y.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.charge(y, n)
}

// Release gives the charge back. The body is the zero Body again.
func (y *Body) Release() {
	b := y.budget
	if y.conn == nil && !y.counted { // never watched: nobody else has heard of it
		b.used.Add(y.caller.Bodies(), -y.held)
		y.forget()
		return
	}
	b.mu.Lock()
	delete(b.arriving, y)
	b.charge(y, 0)
	b.mu.Unlock()
	y.forget()
}

func (y *Body) forget() {
	y.budget, y.caller, y.conn, y.held, y.counted, y.cut = nil, nil, nil, 0, false, nil
	y.began, y.markAt = time.Time{}, time.Time{}
	y.mark, y.seen, y.rate = 0, 0, 0
	y.got.Store(0)
}

// charge sets what y is charged to n bytes; b.mu is held.
func (b *Budget) charge(y *Body, n int64) {
	more := n - y.held
	b.used.Add(y.caller.Bodies(), more)
	if y.cut != nil {
		b.cutting += more
	}
	switch {
	case y.counted:
		b.ofLarge[y.caller] += more
	case n > Small:
		b.ofLarge[y.caller] += n
		y.counted = true
	}
	if y.counted && n <= Small {
		if b.ofLarge[y.caller] -= n; b.ofLarge[y.caller] == 0 {
			delete(b.ofLarge, y.caller)
		}
		y.counted = false
	}
	y.held = n
	if more < 0 && b.waiting > 0 {
		close(b.freed)
		b.freed = make(chan struct{})
	}
}

func (b *Budget) refuse() error {
	b.refused.Add(1)
	return apierr.BodiesFull.Err()
}
