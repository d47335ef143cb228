package pool

import "sync/atomic"

// outstanding counts acquired lives that were not ended; only checked builds count.
var outstanding atomic.Int64

// Outstanding returns how many pooled things are in use. Builds without checks always return 0. A
// test that ends with another number than it began with has a leak.
func Outstanding() int64 { return outstanding.Load() }

// Life is embedded in a pooled type to catch its misuse. In builds without checks it has no
// effect and costs nothing.
type Life struct {
	alive atomic.Bool
}

// Begin marks the owner as in use. It panics when it is in use already.
func (l *Life) Begin() {
	if !Checked {
		return
	}
	if l.alive.Swap(true) {
		panic("BUG: acquired a pooled value that is in use")
	}
	outstanding.Add(1)
}

// End marks the owner as released. It panics when it was released before.
func (l *Life) End() {
	if !Checked {
		return
	}
	if !l.alive.Swap(false) {
		panic("BUG: released a pooled value twice")
	}
	outstanding.Add(-1)
}

// Poison overwrites b up to its capacity in checked builds, so that a view that outlived its
// owner shows garbage instead of plausible data.
func Poison(b []byte) {
	if !Checked {
		return
	}
	b = b[:cap(b)]
	for i := range b {
		b[i] = 0xDB
	}
}
