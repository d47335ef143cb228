package pool

import (
	"math/bits"
	"sync"
)

const (
	minClass = 10 // 1 KiB: smaller requests share the smallest class
	maxClass = 20 // 1 MiB
)

// MaxPooledBytes is the largest buffer that goes back into a pool. One large
// request must not keep its memory for ever.
const MaxPooledBytes = 1 << maxClass

// Buffer is a pooled byte slice. Its owner may grow and replace B at will.
type Buffer struct {
	// B is the content; it is empty after [GetBuffer].
	B    []byte
	life Life
}

// buffers has one pool for every power of two from 1 KiB to 1 MiB: a buffer in
// pool k has at least the capacity 1<<(minClass+k).
var buffers [maxClass - minClass + 1]sync.Pool

// GetBuffer returns an empty buffer with room for n bytes at least. The caller
// owns it until [Buffer.Release].
func GetBuffer(n int) *Buffer {
	class := bits.Len(uint(max(n, 1)-1)) - minClass
	if class < 0 {
		class = 0
	}
	if class >= len(buffers) {
		b := &Buffer{B: make([]byte, 0, n)}
		b.life.Begin()
		return b
	}
	b, _ := buffers[class].Get().(*Buffer)
	if b == nil {
		b = &Buffer{B: make([]byte, 0, 1<<(minClass+class))}
	}
	b.life.Begin()
	return b
}

// Release takes the buffer back. Nothing may use it or a view of it afterwards.
func (b *Buffer) Release() {
	b.life.End()
	Poison(b.B)
	class := bits.Len(uint(cap(b.B))) - 1 - minClass // the class whose promise the capacity keeps
	if class < 0 || cap(b.B) > MaxPooledBytes {
		return
	}
	b.B = b.B[:0]
	buffers[class].Put(b)
}
