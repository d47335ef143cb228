package json

import "math/bits"

// marks are the bytes of a block that the grammar of objects is made of, a bit for each, the first
// byte's lowest. Those of structure are marked within strings too.
type marks struct {
	quotes                        uint64
	parity                        uint64 // of the quotes up to the byte, and with it
	colons, commas, opens, closes uint64 // opens and closes are of braces
	foreign                       uint64 // backslashes and control characters
	wide                          uint64 // past ASCII
}

// markedBlocks is how many blocks are marked at once.
const markedBlocks = 8

// marked is the part of the text whose blocks are marked, from base on.
type marked struct {
	base, blocks int
	list         [markedBlocks]marks
	// pause counts the values that are left to the grammar before the next is tried here, after one
	// that was not for this.
	pause int
}

// pauseAfter is the pause after a value that is not for [scanner.flat]: a text with one such value
// has others.
const pauseAfter = 15

// at returns the index of the marked block that has the byte b[i].
func (m *marked) at(b []byte, i int) int {
	if k := uint(i-m.base) / blockBytes; i >= m.base && k < uint(m.blocks) {
		return int(k)
	}
	m.mark(b, i)
	return 0
}

// mark marks blocks from b[i] on, which exists.
func (m *marked) mark(b []byte, i int) {
	text := b[i:]
	if len(text) >= blockBytes {
		m.blocks = min(len(text)/blockBytes, markedBlocks)
		text = text[:m.blocks*blockBytes]
	} else {
		last := spaces
		copy(last[:], text)
		text, m.blocks = last[:], 1
	}
	m.base = i
	mark(&m.list, text)
}

// carries are what a block says of the next: bit 0 of each is of the next one's first byte.
type carries struct {
	in                                  uint64 // all ones within a string
	name                                uint64 // 1 within a string that is a name
	comma, colon, named, valued, scalar uint64 // 1 behind a comma or a brace that opens, a colon, …
}

// tried is [scanner.flat] for a value that may be for it, and -1 for others.
func (s *scanner) tried(b []byte, i int) int {
	if !canList || i >= len(b) || b[i] != '{' {
		return -1
	}
	if s.marked.pause > 0 {
		s.marked.pause--
		return -1
	}
	end := s.flat(b, i)
	if end < 0 {
		s.marked.pause = pauseAfter
	}
	return end
}

// flat checks an object that begins at b[i], of members that are strings, numbers, literals, and
// objects of these, without white space and without escapes, as machines write most of telemetry.
// It returns the index behind the object, or -1 if the object is another one, or is none: then the
// grammar decides.
//
// It looks at 64 bytes at once, without a branch for a token. In such objects, what may follow a
// token depends on the token alone, where names and values that are strings are told apart; and a
// string is a name where a brace or a comma is before it. So the places behind each kind of token,
// its bits moved up by one, are compared with the places of the kinds that stand there. Whether a
// string is a name is known where it begins and carried to its end by an addition: within a string
// all bits are set, so a bit that is added where it begins comes out where it ends.
func (s *scanner) flat(b []byte, i int) int {
	m := &s.marked
	k := m.at(b, i)
	first := uint64(1) << (uint(i-m.base) % blockBytes)
	live := -first // bits from b[i] on
	// The quotes before b[i] do not count.
	c := carries{in: -(m.list[k].parity << 1 >> (uint(i-m.base) % blockBytes) & 1)}
	var depth int
	var wide uint64
	for {
		now := &m.list[k%markedBlocks]
		in := (now.parity ^ c.in) & live // strings, from the opening quote on, up to the closing one
		outside := live &^ in
		begins, ends := now.quotes&in, now.quotes&outside
		colons, commas, opens, closes := now.colons&outside, now.commas&outside, now.opens&outside, now.closes&outside
		scalars := outside ^ (ends | colons | commas | opens | closes)

		names := (commas|opens)<<1 | c.comma // where they must begin
		sum, out := bits.Add64(in, names, c.name)
		nameEnds := sum & ends
		valueEnds := (ends ^ nameEnds) | closes
		behindScalar := scalars<<1 | c.scalar
		scalarBegins := scalars &^ behindScalar

		wrong := now.foreign & live
		wrong |= (nameEnds<<1 | c.named) ^ colons
		wrong |= (valueEnds<<1 | c.valued | behindScalar&^scalars) ^ (commas | closes)
		wrong |= (colons<<1 | c.colon | first) ^ (scalarBegins | opens | (begins ^ names))

		within, end := ^uint64(0), false
		for braces := opens | closes; braces != 0; braces &= braces - 1 {
			if brace := braces & -braces; opens&brace != 0 {
				if depth++; depth > MaxDepth {
					return -1
				}
			} else if depth--; depth == 0 {
				within, end = brace|(brace-1), true
				break
			}
		}
		if wrong&within != 0 {
			return -1
		}
		at := m.base + k*blockBytes
		if begins := scalarBegins & within; begins != 0 && !s.scalars(b, at, begins) {
			return -1
		}
		wide |= now.wide & live & within
		if end {
			end := at + bits.Len64(within)
			s.stops.carried = wide != 0
			return end
		}

		c = carries{
			in: uint64(int64(in) >> 63), name: out, comma: (commas | opens) >> 63, colon: colons >> 63,
			named: nameEnds >> 63, valued: valueEnds >> 63, scalar: scalars >> 63,
		}
		live, first = ^uint64(0), 0
		if k++; k == m.blocks {
			if at += blockBytes; at >= len(b) {
				return -1
			}
			m.mark(b, at)
			k = 0
		}
	}
}

// scalars checks the numbers and literals that begin at the bits of begins, from b[at] on.
func (s *scanner) scalars(b []byte, at int, begins uint64) bool {
	for ; begins != 0; begins &= begins - 1 {
		i := at + bits.TrailingZeros64(begins)
		if i >= len(b) {
			return false
		}
		switch c := b[i]; {
		case c == '-' || c-'0' <= 9:
			i = s.number(b, i)
		case c == 't':
			i = s.literal(b, i, "true")
		case c == 'f':
			i = s.literal(b, i, "false")
		case c == 'n':
			i = s.literal(b, i, "null")
		default:
			return false
		}
		if i < 0 || i >= len(b) || b[i] != ',' && b[i] != '}' {
			return false
		}
	}
	return true
}
