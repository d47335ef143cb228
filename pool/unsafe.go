package pool

import (
	"encoding/binary"
	"unsafe"
)

// Word returns the eight bytes of b from i on as a little-endian number. The caller guarantees
// that b has them: Word is for inner loops where the compiler's bounds check costs more than the
// load. A checked build panics when b is too short.
func Word(b []byte, i int) uint64 {
	if Checked {
		_ = b[i : i+8 : len(b)]
	}
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))[:])
}

// String returns b's bytes as a string without a copy. The string is a view:
// it changes when b changes and dies when b's owner releases it.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Index returns the position of e in s, given that e points into s, in
// constant time. It panics when e points elsewhere.
func Index[T any](s []T, e *T) int {
	var zero T
	i := int((uintptr(unsafe.Pointer(e)) - uintptr(unsafe.Pointer(unsafe.SliceData(s)))) / unsafe.Sizeof(zero))
	if i >= len(s) || &s[i] != e {
		panic("BUG: pool.Index of an element of another slice")
	}
	return i
}
