package json

import (
	"bytes"
	"math"
	"math/bits"

	"millrace/pool"
)

// stops finds the bytes that end a run of plain ones in a string: quotes, backslashes and control
// characters.
//
// Strings of telemetry are short and of all lengths. A loop over the words of a string is left at
// another turn each time, which no branch predictor foresees, and the next string cannot be begun
// before the end of this one is known. So, where the machine has the instructions ([canList]), the
// stops of a chunk of the text are listed for 64 bytes at a time, before the grammar is looked at.
// Elsewhere next goes by words.
type stops struct {
	base int      // where the chunk begins in the text
	end  int      // the index behind the chunk
	at   int      // no stop of the list before this one is asked for any more
	n    int      // stops in the list; behind them stands endOfList
	list stopList // the stops of the chunk, relative to base, in order

	wide    uint32 // a bit for each block of the chunk that has a byte past ASCII
	from    int    // where the value begins that is scanned
	carried bool   // that value had a byte past ASCII in a chunk before this one, or in a word
}

const (
	blockBytes = 64 // what is listed at once
	maxBlocks  = 16 // of a chunk
	fullList   = 128
	endOfList  = math.MaxUint16
)

// stopList has room for the stops of a chunk, which ends with the block that made them fullList or
// more, for endOfList, and for the few that are written past those of a block.
type stopList [fullList + blockBytes + 8]uint16

// begin says that a value begins at i, of which [stops.isWide] will be asked.
func (s *stops) begin(i int) { s.from, s.carried = i, false }

// next returns the index of the first stop at or behind i, or len(b).
func (s *stops) next(b []byte, i int) int {
	if !canList {
		return s.byWords(b, i)
	}
	for {
		if i < s.end {
			k := s.at
			for at := i - s.base; int(s.list[k]) < at; {
				k++
			}
			s.at = k
			if k < s.n {
				return s.base + int(s.list[k])
			}
			i = s.end
		}
		if i >= len(b) {
			return len(b)
		}
		s.fill(b, i)
	}
}

// spaces are a block without a stop.
var spaces = [blockBytes]byte(bytes.Repeat([]byte{' '}, blockBytes))

// fill makes the chunk that begins with i.
func (s *stops) fill(b []byte, i int) {
	s.carried = s.carried || s.isWide(s.end)
	s.base, s.at = i, 0
	text, left := b[i:], len(b)-i
	if left >= blockBytes {
		text = text[:min(left/blockBytes, maxBlocks)*blockBytes]
	} else {
		last := spaces
		copy(last[:], text)
		text = last[:]
	}
	var done int
	s.n, done, s.wide = listStops(&s.list, text)
	s.list[s.n] = endOfList
	s.end = min(i+done*blockBytes, len(b))
}

// isWide reports whether the value that began last, up to end, has a byte past ASCII, or one is
// near it. It knows of those parts that have strings.
func (s *stops) isWide(end int) bool {
	if s.wide == 0 || end <= s.base {
		return s.carried
	}
	first, last := max(s.from-s.base, 0)/blockBytes, (end-1-s.base)/blockBytes
	return s.carried || s.wide>>first<<first&(2<<last-1) != 0
}

// members steps over members of an object whose values are strings without escapes, from the one
// whose name's opening quote is at b[i-1] on, as long as each has another one behind it and nothing
// but a colon and a comma between its strings. It returns the index behind the opening quote of the
// name of the first member that is left.
func (s *stops) members(b []byte, i int) int {
	if i > s.end { // the quote is not in the chunk, or there are none
		return i
	}
	k := s.at
	for at := i - 1 - s.base; int(s.list[k]) < at; {
		k++
	}
	limit := len(b) - 8 - s.base
	for k+4 < s.n {
		name, value := int(s.list[k+1]), int(s.list[k+3])
		if value > limit || pool.Word(b, s.base+name)&threeBytes != nameEnd || pool.Word(b, s.base+value)&threeBytes != valueEnd {
			break
		}
		k += 4
	}
	s.at = k
	return s.base + int(s.list[k]) + 1
}

const (
	threeBytes = 1<<24 - 1
	nameEnd    = '"' | ':'<<8 | '"'<<16
	valueEnd   = '"' | ','<<8 | '"'<<16
)

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// byWords is next for eight bytes at a time.
func (s *stops) byWords(b []byte, i int) int {
	var high uint64 // or-ed with a few bytes behind the stop: at worst a needless check of UTF-8
	for i+8 <= len(b) {
		w := pool.Word(b, i)
		high |= w
		if hit := special(w); hit != 0 {
			s.carried = s.carried || high&highs != 0
			return i + bits.TrailingZeros64(hit)>>3
		}
		i += 8
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
		high |= uint64(b[i])
		i++
	}
	s.carried = s.carried || high&highs != 0
	return i
}

// special flags the stops of w in the highest bits of their bytes. Exchanging 0x22 and 0x20, the
// quote is next to the control characters, and one subtraction finds both: it sets a byte's highest
// bit where it was below the subtrahend, or past ASCII, which &^w takes out again. The lowest
// flagged byte is always a true hit; borrows only flag bytes above it.
func special(w uint64) uint64 {
	return (((w ^ lows*0x02) - lows*0x21) | ((w ^ lows*'\\') - lows)) &^ w & highs
}
