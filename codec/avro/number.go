package avro

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"

	"millrace/pool"
)

// appendLong appends Avro's int or long: zigzag, seven bits a byte.
func appendLong(dst []byte, v int64) []byte {
	u := uint64(v<<1) ^ uint64(v>>63)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

// integer reads the int or long at i and returns the index behind it, or -1.
func (e *encoder) integer(n *node, i int) (int64, int) {
	b, j := e.text, i
	if e.at(j) == '-' {
		j++
	}
	start, u := j, int64(0)
	for j < len(b) && b[j]-'0' <= 9 {
		u = u*10 + int64(b[j]-'0')
		j++
	}
	if j == start {
		_, j = e.unexpected(n, nil, i)
		return 0, j
	}
	if j-start > 18 || j < len(b) && (b[j] == '.' || b[j]|0x20 == 'e') {
		return e.exact(n, i)
	}
	if b[i] == '-' {
		u = -u
	}
	if n.kind == kindInt && u != int64(int32(u)) {
		return e.outOfRange(n, i)
	}
	return u, j
}

func (e *encoder) outOfRange(n *node, i int) (int64, int) {
	_, end := e.fail(nil, e.quote(i)+" is out of the range of "+n.name)
	return 0, end
}

// exact is integer for numbers that are long, or have a point or an exponent: 1.0
// and 1e3 are integers too.
func (e *encoder) exact(n *node, i int) (int64, int) {
	end := numberEnd(e.text, i)
	v, integral, ok := wholeNumber(e.text[i:end])
	if !integral {
		_, end = e.unexpected(n, nil, i)
		return 0, end
	}
	if !ok || n.kind == kindInt && v != int64(int32(v)) {
		return e.outOfRange(n, i)
	}
	return v, end
}

// numberEnd returns the index behind the characters of a number.
func numberEnd(b []byte, i int) int {
	for i < len(b) && (b[i]-'0' <= 9 || b[i] == '.' || b[i] == '-' || b[i] == '+' || b[i]|0x20 == 'e') {
		i++
	}
	return i
}

// digitsOf takes a JSON number apart: value = ±digits · 10^exp, where digits may
// have a point in them, which counts in exp already; n is how many digits there are.
func digitsOf(b []byte) (neg bool, digits []byte, n, exp int) {
	if len(b) > 0 && b[0] == '-' {
		neg, b = true, b[1:]
	}
	digits = b
	for i, c := range b {
		if c|0x20 == 'e' {
			digits = b[:i]
			exp = exponent(b[i+1:])
			break
		}
	}
	n = len(digits)
	for i, c := range digits {
		if c == '.' {
			n--
			exp -= len(digits) - i - 1
			break
		}
	}
	return neg, digits, n, exp
}

// exponent reads an exponent; one that is too large to matter stays too large.
func exponent(b []byte) int {
	const far = 1 << 30
	neg, v := false, 0
	for i, c := range b {
		switch {
		case i == 0 && (c == '-' || c == '+'):
			neg = c == '-'
		case c-'0' <= 9 && v < far:
			v = v*10 + int(c-'0')
		}
	}
	v = min(v, far)
	if neg {
		return -v
	}
	return v
}

// wholeNumber is the value of a JSON number as an int64. integral is false when it has a
// fraction, ok is false when it has too many digits.
func wholeNumber(b []byte) (v int64, integral, ok bool) {
	neg, digits, n, exp := digitsOf(b)
	if n == 0 {
		return 0, false, false
	}
	var u uint64
	whole := n + exp // digits before the point, after the exponent is applied
	fits := true
	at := 0
	for _, c := range digits {
		if c == '.' {
			continue
		}
		if at >= whole {
			if c != '0' {
				return 0, false, false
			}
			continue
		}
		at++
		fits = fits && u <= (math.MaxUint64-9)/10
		u = u*10 + uint64(c-'0')
	}
	for ; at < whole && u != 0 && fits; at++ {
		fits = u <= math.MaxUint64/10
		u *= 10
	}
	if limit := uint64(math.MaxInt64); !fits || u > limit && !(neg && u == limit+1) {
		return 0, true, false
	}
	if neg {
		return -int64(u), true, true
	}
	return int64(u), true, true
}

// Names of the numbers that JSON has none for, as Java's encoder writes them.
const (
	nan    = `"NaN"`
	inf    = `"Infinity"`
	negInf = `"-Infinity"`
)

// float encodes a float or double.
func (e *encoder) float(n *node, dst []byte, i int) ([]byte, int) {
	if e.at(i) == '"' {
		return e.notFinite(n, dst, i)
	}
	if v, end := shortFloat(e.text, i); end > 0 && n.kind == kindDouble {
		return appendFloat(n, dst, v), end
	}
	end := numberEnd(e.text, i)
	size := 64
	if n.kind == kindFloat {
		size = 32
	}
	v, err := strconv.ParseFloat(pool.String(e.text[i:end]), size)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			_, end = e.outOfRange(n, i)
			return dst, end
		}
		return e.unexpected(n, dst, i)
	}
	return appendFloat(n, dst, v), end
}

// shortFloat reads a number of few digits without an exponent: the digits and the power of ten
// are exact, so that their quotient is rounded once. end is 0 for others.
func shortFloat(b []byte, i int) (v float64, end int) {
	neg := i < len(b) && b[i] == '-'
	if neg {
		i++
	}
	start, point, u := i, -1, uint64(0)
	for ; i < len(b); i++ {
		if c := b[i] - '0'; c <= 9 {
			u = u*10 + uint64(c)
		} else if b[i] == '.' && point < 0 {
			point = i
		} else {
			break
		}
	}
	if n := i - start; n == 0 || n > 16 || i < len(b) && b[i]|0x20 == 'e' {
		return 0, 0
	}
	if point >= 0 {
		v = float64(u) / powers[i-point-1]
	} else {
		v = float64(u)
	}
	if neg {
		v = -v
	}
	if u >= 1<<53 {
		return 0, 0
	}
	return v, i
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16}

func (e *encoder) notFinite(n *node, dst []byte, i int) ([]byte, int) {
	switch {
	case word(e.text, i, nan):
		return appendFloat(n, dst, math.NaN()), i + len(nan)
	case word(e.text, i, inf):
		return appendFloat(n, dst, math.Inf(1)), i + len(inf)
	case word(e.text, i, negInf):
		return appendFloat(n, dst, math.Inf(-1)), i + len(negInf)
	}
	return e.unexpected(n, dst, i)
}

// appendFloat appends a float's or double's bits; NaN has those that Java gives it.
func appendFloat(n *node, dst []byte, v float64) []byte {
	if n.kind == kindFloat {
		if v != v {
			return binary.LittleEndian.AppendUint32(dst, 0x7fc00000)
		}
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(v)))
	}
	if v != v {
		return binary.LittleEndian.AppendUint64(dst, 0x7ff8000000000000)
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

// count is a number of things, in English.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if strings.HasSuffix(thing, "ch") {
		thing += "e"
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// appendMillionths appends m/10^6 without zeros at its end, but one behind the point.
func appendMillionths(dst []byte, m int64, neg bool) []byte {
	if neg {
		dst = append(dst, '-')
	}
	dst = append(strconv.AppendInt(dst, m/1e6, 10), '.')
	rest := m % 1e6
	for unit := int64(1e5); ; unit /= 10 {
		dst = append(dst, byte('0'+rest/unit))
		if rest %= unit; rest == 0 {
			return dst
		}
	}
}

// appendDouble appends a finite double as Java prints it, valid JSON all the same:
// 1.0, 1.0E10. The digits are the fewest that read back as v.
func appendDouble(dst []byte, v float64, size int) []byte {
	if abs := math.Abs(v); abs == 0 || abs >= 1e-3 && abs < 1e7 {
		// At most 13 digits: if they are v, no others of as many are.
		if m := int64(abs*1e6 + 0.5); size == 64 && float64(m)/1e6 == abs {
			return appendMillionths(dst, m, math.Signbit(v))
		}
		start := len(dst)
		dst = strconv.AppendFloat(dst, v, 'f', -1, size)
		for _, c := range dst[start:] {
			if c == '.' {
				return dst
			}
		}
		return append(dst, '.', '0')
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, size)
	var room [8]byte
	e := start
	for dst[e] != 'e' {
		e++
	}
	exp := append(room[:0], dst[e+1:]...) // +10, -05
	point := false
	for _, c := range dst[start:e] {
		point = point || c == '.'
	}
	dst = dst[:e]
	if !point {
		dst = append(dst, '.', '0')
	}
	dst = append(dst, 'E')
	if exp[0] == '-' {
		dst = append(dst, '-')
	}
	if exp = exp[1:]; exp[0] == '0' {
		exp = exp[1:]
	}
	return append(dst, exp...)
}
