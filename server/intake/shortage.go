package intake

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/fair"
)

// look is how often the progress of bodies is looked at.
const look = 250 * time.Millisecond

// muchFaster is how many times faster than another a body must be for that to be
// cut for it. Uploads that are about as fast must not cut one another in turns.
const muchFaster = 8

// Memory is given back to the system once the budget has been used to a quarter, and
// then to no more than a sixteenth for quiet looks in a row. A collection is
// forced for that, so it must not come with every burst.
const (
	usedMuch, usedLittle = 4, 16
	quiet                = 20 // 5 s
)

// room returns nil when y may be charged n bytes, which are more than Small, in
// all. Otherwise it cuts slower bodies as far as that helps, and waits for
// their room, if wait is set. b.mu is held, and let go of while it waits.
func (y *Body) room(n int64, wait bool) error {
	b := y.budget
	if n > b.large {
		return apierr.BodyTooLarge.New("The request body needs %d bytes of memory; request.buffer.memory leaves room for %d. Send less at once.", n, b.large)
	}
	for deadline := time.Now().Add(patience); ; {
		if y.cut != nil {
			return y.cut.Err()
		}
		short, among, why := y.lacks(n)
		if short <= 0 {
			return nil
		}
		if !wait || !b.displace(y, short, among) || !b.await(deadline) {
			b.refused.Add(1)
			return why.Err()
		}
	}
}

// lacks returns how many bytes are missing for y to hold n, the caller whose
// bodies are too many, if they are, and the error of the refusal.
func (y *Body) lacks(n int64) (short int64, among *fair.Holder, why *apierr.Kind) {
	b := y.budget
	if short = b.used.Held() + n - y.held - b.large; short > 0 || y.caller == nil {
		return short, nil, apierr.BodiesFull
	}
	own := b.ofLarge[y.caller]
	if y.counted {
		own -= y.held
	}
	over := b.used.Held() + n - y.held - b.used.Room(y.caller.Bodies(), y.held, n-y.held, b.large)
	if own+n <= b.share {
		return over, y.caller, apierr.BodiesFull
	}
	return max(own+n-b.share, over), y.caller, apierr.BodiesOfOneFull
}

// displace cuts the slowest bodies, of the caller if there is one, until those
// that are cut hold short bytes. It cuts none that makes progress beside y,
// but for a caller over its fair share where that of y is not, and
// is false when there is too little to wait for. b.mu is held.
func (b *Budget) displace(y *Body, short int64, among *fair.Holder) bool {
	modest := y.caller != nil && !b.over(y, short)
	for b.cutting < short {
		var slowest *Body
		for other := range b.arriving {
			if other == y || other.cut != nil || !other.counted || among != nil && other.caller != among {
				continue
			}
			if other.rate >= max(y.rate/muchFaster, newcomer) && !(modest && b.over(other, 0)) {
				continue
			}
			if slowest == nil || other.rate < slowest.rate {
				slowest = other
			}
		}
		if slowest == nil {
			break
		}
		b.end(slowest, apierr.BodyDisplaced)
		b.displaced.Add(1)
	}
	return b.cutting >= short
}

// over reports whether the caller of a body is over its fair share with more bytes of it.
func (b *Budget) over(y *Body, more int64) bool {
	return b.used.Over(y.caller.Bodies(), y.held, more, b.large)
}

// end has the reader of a body stop waiting for more of it; b.mu is held.
func (b *Budget) end(y *Body, why *apierr.Kind) {
	y.cut = why
	b.cutting += y.held
	_ = y.conn.SetReadDeadline(time.Unix(1, 0)) // that fails only when the connection is closed
}

// await waits until a body has let go; it is false when the deadline passed.
func (b *Budget) await(deadline time.Time) bool {
	freed := b.freed
	b.waiting++
	b.mu.Unlock()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	ok := true
	select {
	case <-freed:
	case <-timer.C:
		ok = false
	}
	b.mu.Lock()
	b.waiting--
	return ok
}

// Run watches the bodies that arrive until ctx ends.
func (b *Budget) Run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			if b.look(now) {
				runtime.GC() // the pools let go of what two collections in a row have found unused
				debug.FreeOSMemory()
			}
		case <-ctx.Done():
			return
		}
	}
}

// look cuts what has made too little progress. It reports whether a time in
// which the budget was used much has passed, so that its memory is to go back
// to the system: by itself the runtime would keep it for minutes.
func (b *Budget) look(now time.Time) (settled bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for y := range b.arriving {
		got := y.got.Load()
		y.rate = (y.rate + int64(float64(got-y.seen)/look.Seconds())) / 2
		y.seen = got
		if b.settings.MinRate == 0 || y.cut != nil || now.Sub(y.markAt) < b.settings.Grace {
			continue
		}
		if float64(got-y.mark) < float64(b.settings.MinRate)*b.settings.Grace.Seconds() {
			b.end(y, apierr.SlowRequest)
			b.slow.Add(1)
		}
		y.mark, y.markAt = got, now
	}
	return b.settled()
}

// settled reports, once, that a time in which the budget was used much has passed.
func (b *Budget) settled() bool {
	used := b.used.Held()
	b.peak = max(b.peak, used)
	b.calm++
	if used > b.limit/usedLittle {
		b.calm = 0
	}
	if b.peak <= b.limit/usedMuch || b.calm < quiet {
		return false
	}
	b.peak = 0
	return true
}
