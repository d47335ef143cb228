package avro

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
)

// maxDigits bounds the decimals of the plain dialect: converting between two and
// ten takes time that grows with the square of their length.
const maxDigits = 1000

const (
	chunkDigits = 18
	chunk       = 1e18 // 10^chunkDigits, which a uint64 holds
)

// number is a natural number of any size: uint64 digits, the least first, none
// that are zero at the end. Its memory is kept and used again.
type number []uint64

// mulAdd makes x = x·m + a.
func (x number) mulAdd(m, a uint64) number {
	for k := range x {
		high, low := bits.Mul64(x[k], m)
		var carry uint64
		x[k], carry = bits.Add64(low, a, 0)
		a = high + carry
	}
	if a > 0 {
		x = append(x, a)
	}
	return x
}

// div makes x = x/m and returns the remainder.
func (x number) div(m uint64) (number, uint64) {
	var rest uint64
	for k := len(x) - 1; k >= 0; k-- {
		x[k], rest = bits.Div64(rest, x[k], m)
	}
	return x.trim(), rest
}

func (x number) trim() number {
	for len(x) > 0 && x[len(x)-1] == 0 {
		x = x[:len(x)-1]
	}
	return x
}

// addOne and subOne count up and down; subOne wants x > 0.
func (x number) addOne() number { return x.mulAdd(1, 1) }

func (x number) subOne() number {
	for k := range x {
		x[k]--
		if x[k] != ^uint64(0) {
			break
		}
	}
	return x.trim()
}

func (x number) bitLen() int {
	if len(x) == 0 {
		return 0
	}
	return len(x)*64 - bits.LeadingZeros64(x[len(x)-1])
}

// decimal encodes a JSON number as the two's complement of its unscaled value.
func (e *encoder) decimal(n *node, dst []byte, i int) ([]byte, int) {
	if c := e.at(i); c != '-' && c-'0' > 9 {
		return e.fail(dst, "expected a number (decimal), got "+e.quote(i))
	}
	end := numberEnd(e.text, i)
	x, neg, problem := parseDecimal(n, e.number[:0], e.text[i:end])
	e.number = x
	if problem != "" {
		return e.fail(dst, e.quote(i)+" "+problem+" of "+n.decimalTitle())
	}
	var sign byte
	if neg && len(x) > 0 { // -m is the complement of m-1
		sign, x = 0xFF, x.subOne()
	}
	size := x.bitLen()/8 + 1
	if n.kind == kindFixed {
		if size > n.size {
			return e.fail(dst, e.quote(i)+" does not fit into the "+count(n.size, "byte")+" of "+n.title())
		}
		size = n.size
		var ok bool
		if dst, ok = e.room(dst, size); !ok || !e.spend(size) { // every digit, for one more
			return dst, -1
		}
	} else {
		dst = appendLong(dst, int64(size))
	}
	for k := size - 1; k >= 0; k-- {
		var c byte
		if at := k / 8; at < len(x) {
			c = byte(x[at] >> (k % 8 * 8))
		}
		dst = append(dst, c^sign)
	}
	return dst, end
}

func (n *node) decimalTitle() string {
	return "decimal(" + strconv.Itoa(n.prec) + ", " + strconv.Itoa(n.scale) + ")"
}

// parseDecimal reads a JSON number as x·10^-scale. problem says why it has no exact
// value of n, or is empty.
func parseDecimal(n *node, x number, b []byte) (_ number, neg bool, problem string) {
	neg, digits, count, exp := digitsOf(b)
	if count == 0 {
		return x, false, "is not a number"
	}
	whole := count + exp + n.scale // how many of the digits are in the unscaled value
	at, significant := 0, 0
	var part uint64
	size := 0
	for k := 0; k < len(digits) || at < whole; k++ {
		c := byte('0')
		if k < len(digits) {
			if c = digits[k]; c == '.' {
				continue
			}
		}
		if at >= whole {
			if c != '0' {
				return x, neg, "has more digits behind the point than the scale"
			}
			continue
		}
		at++
		if significant == 0 && c == '0' {
			if k >= len(digits) {
				break // zero, whatever its exponent
			}
			continue
		}
		if significant++; significant > min(n.prec, maxDigits) {
			return x, neg, "has more digits than the precision"
		}
		part, size = part*10+uint64(c-'0'), size+1
		if size == chunkDigits {
			x, part, size = x.mulAdd(chunk, part), 0, 0
		}
	}
	power := uint64(1)
	for range size {
		power *= 10
	}
	return x.mulAdd(power, part), neg, ""
}

// decimal decodes size bytes, a two's complement, to a JSON number with as many
// digits behind the point as the scale.
func (d *decoder) decimal(n *node, dst []byte, i, size int) ([]byte, int) {
	if size > len(d.b)-i {
		return d.short(n, dst)
	}
	end := i + size
	b := d.b[i:end]
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xFF && b[1] >= 0x80) {
		b = b[1:] // sign bytes
	}
	if len(b) == 0 || len(b) > maxDigits/2 {
		return d.fail(dst, "a decimal of "+count(len(b), "byte"))
	}
	var sign byte
	if b[0] >= 0x80 {
		sign = 0xFF
		dst = append(dst, '-')
	}
	x := d.number[:0]
	for at := len(b); at > 0; at -= 8 {
		var eight [8]byte
		part := b[max(at-8, 0):at]
		copy(eight[8-len(part):], part)
		for k := 8 - len(part); k < 8; k++ {
			eight[k] ^= sign
		}
		x = append(x, binary.BigEndian.Uint64(eight[:]))
	}
	if x = x.trim(); sign != 0 {
		x = x.addOne()
	}
	dst = appendScaled(dst, x, n.scale)
	d.number = x[:0]
	return dst, end
}

// appendScaled appends x·10^-scale. It uses x up.
func appendScaled(dst []byte, x number, scale int) []byte {
	start, digits := len(dst), 0
	for len(x) > 0 || digits <= scale { // the last digit first
		var rest uint64
		x, rest = x.div(chunk)
		for k := 0; k < chunkDigits && (len(x) > 0 || rest > 0 || digits <= scale); k++ {
			if digits == scale && scale > 0 {
				dst = append(dst, '.')
			}
			dst = append(dst, byte('0'+rest%10))
			rest /= 10
			digits++
		}
	}
	slices.Reverse(dst[start:])
	return dst
}
