package pool

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	minClass = 10 // 1 KiB: smaller requests share the smallest class
	maxClass = 24 // 16 MiB: the largest request body by default
)

// MaxPooledBytes is the largest body or arena that its owner keeps for its next life. Otherwise
// one large request would keep its memory forever.
const MaxPooledBytes = 1 << 20

// Buffer is a pooled byte slice. Its owner may grow and replace B at will.
type Buffer struct {
	// B is the content; it is empty after [GetBuffer].
	B    []byte
	life Life
}

// buffers has one pool for every power of two from 1 KiB to 16 MiB: a buffer in
// pool k has at least the capacity 1<<(minClass+k).
var buffers [maxClass - minClass + 1]sync.Pool

// These counters are the statistics of all pools of buffers.
var buffersTaken, buffersMade, buffersReturned atomic.Uint64

// BufferStats are the statistics of all pools of buffers together. The bytes that the pools hold
// are not among them: the garbage collector empties the pools when it likes.
type BufferStats struct {
	// Gets counts buffers that were taken, Misses those newly made for that.
	Gets, Misses uint64
	// Out is the number of buffers in use.
	Out int64
}

// Buffers returns the state of the pools of buffers.
func Buffers() BufferStats {
	returned := buffersReturned.Load() // read first: never more than were taken
	taken := buffersTaken.Load()
	return BufferStats{Gets: taken, Misses: buffersMade.Load(), Out: int64(taken - returned)}
}

// Room returns the capacity that [GetBuffer] makes a buffer of n bytes with. One that
// comes from a pool may have up to twice that, where its last owner put it.
func Room(n int) int {
	if n > 1<<maxClass {
		return n
	}
	return 1 << max(bits.Len(uint(max(n, 1)-1)), minClass)
}

// GetBuffer returns an empty buffer with room for n bytes at least. The caller
// owns it until [Buffer.Release].
func GetBuffer(n int) *Buffer {
	class := bits.Len(uint(max(n, 1)-1)) - minClass
	if class < 0 {
		class = 0
	}
	buffersTaken.Add(1)
	if class >= len(buffers) {
		buffersMade.Add(1)
		b := &Buffer{B: make([]byte, 0, n)}
		b.life.Begin()
		return b
	}
	b, _ := buffers[class].Get().(*Buffer)
	if b == nil {
		buffersMade.Add(1)
		b = &Buffer{B: make([]byte, 0, 1<<(minClass+class))}
	}
	b.life.Begin()
	return b
}

// Release takes the buffer back. Nothing may use it or a view of it afterwards.
func (b *Buffer) Release() {
	b.life.End()
	buffersReturned.Add(1)
	Poison(b.B)
	b.put()
}

// put puts the buffer into the pool of its class: that whose minimum the capacity reaches.
func (b *Buffer) put() {
	class := bits.Len(uint(cap(b.B))) - 1 - minClass
	if class < 0 || cap(b.B) > 1<<maxClass {
		b.B = nil
		hollow.Put(b)
		return
	}
	b.B = b.B[:0]
	buffers[class].Put(b)
}

// hollow holds buffers whose memory went elsewhere, for memory that comes without one.
var hollow = sync.Pool{New: func() any { return new(Buffer) }}

// Return puts memory into the pools that came out of a [Buffer] whose B was replaced. Nothing may
// use it or a view of it afterwards.
func Return(b []byte) {
	Poison(b)
	of := hollow.Get().(*Buffer)
	of.B = b
	of.put()
}

// Abandon ends the buffer's life without returning it to a pool: another goroutine may still be
// reading it.
func (b *Buffer) Abandon() {
	b.life.End()
	buffersReturned.Add(1)
}

// Grow returns b with room for n bytes more, like [slices.Grow], but takes the memory from the
// pools, and returns that of b to them, so b must not be used any more. The result goes back with
// the [Buffer] whose B it becomes.
func Grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	larger := GetBuffer(len(b) + n)
	grown := append(larger.B, b...)
	larger.B = b
	larger.Release()
	return grown
}
