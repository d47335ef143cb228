package spool

import (
	"hash/crc32"
	"sync"
)

// sums returns the checksum of any stretch of a text in the same short time, however long the
// stretch is. A search looks at a stretch for each of its bytes: with as much work for each as the
// stretch is long, binary events could hold up a start for hours.
//
// A CRC is the remainder of a polynomial, so that of a stretch follows from those of two beginnings
// of the text: crc(ab) = crc(a)·x^(8·len(b)) + crc(b).
type sums struct {
	text   []byte
	prefix []uint32 // checksums of the first 0, step, 2·step… bytes
}

// step is as long as computing a checksum takes no time to speak of.
const step = 256

func newSums(text []byte) *sums {
	s := &sums{text: text, prefix: make([]uint32, len(text)/step+1)}
	for i := range len(s.prefix) - 1 {
		s.prefix[i+1] = crc32.Update(s.prefix[i], castagnoli, text[i*step:(i+1)*step])
	}
	return s
}

// of returns what [checksum] returns for the bytes from one offset to another.
func (s *sums) of(n uint64, from, to int64) uint32 {
	return s.upTo(to) ^ shift(s.upTo(from)^checksum(n, nil), to-from)
}

func (s *sums) upTo(end int64) uint32 {
	near := end / step
	return crc32.Update(s.prefix[near], castagnoli, s.text[near*step:end])
}

// shift returns sum·x^(8·bytes).
func shift(sum uint32, bytes int64) uint32 {
	for _, power := range powers() {
		sum = times(power[bytes&0xff], sum)
		bytes >>= 8
	}
	return sum
}

// one is the polynomial 1: the highest bit is x^0, the lowest one x^31.
const one = 1 << 31

// powers has for each byte of a number that of a stretch's bytes: [k][i] is x^(8·i·256^k). Four
// bytes are enough for all files that are read.
var powers = sync.OnceValue(func() *[4][256]uint32 {
	var p [4][256]uint32
	factor := uint32(one >> 8) // x^8
	for k := range p {
		p[k][0] = one
		for i := range 255 {
			p[k][i+1] = times(p[k][i], factor)
		}
		factor = times(p[k][255], factor)
	}
	return &p
})

// times multiplies two polynomials, modulo that of the checksum.
func times(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> 31)
		b = b>>1 ^ crc32.Castagnoli&-(b&1) // b·x
	}
	return product
}
