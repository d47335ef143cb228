package avro

import (
	"math"
	"slices"
	"sync"

	"millrace/codec"
	"millrace/codec/json"
)

// These constants bound the cost of one value, so that neither a hostile request nor hostile
// bytes take more than their size is worth.
const (
	// maxDepth bounds the nesting of values, each way. JSON text that passed
	// [json.Scan] is within it.
	maxDepth = json.MaxDepth
	// freeEmpty is how many values that take no bytes (null outside of a union,
	// empty records) one value may hold, whatever its size…
	freeEmpty = 1 << 16
	// …and emptyPerByte is how many more for each of its bytes.
	emptyPerByte = 64
	// effortPerByte bounds in the same way, beside the free effort of a request
	// ([codec.FreeEffort]), the work that is repeated for one text: bytes moved, or read twice,
	// for members out of order and long arrays; fields gone over, or filled in; branches tried.
	// Nesting and repetition multiply that work.
	effortPerByte = 64
)

var _ codec.Schema = (*Schema)(nil)

// AppendEncoded implements [codec.Schema].
func (s *Schema) AppendEncoded(dst, text []byte, d codec.Dialect, b *codec.Budget) ([]byte, error) {
	e := encoders.Get().(*encoder)
	e.text, e.plain = text, d == codec.Plain
	dst, err := e.encode(s.root, dst, b)
	if b != nil {
		b.Effort = e.effort
	}
	e.text = nil
	encoders.Put(e)
	return dst, err
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// encoder walks one JSON text. Its methods take the buffer that they append to
// and the index at which their value starts, which travel in registers, and return
// the index behind the value, or -1 after recording the fault.
type encoder struct {
	text    []byte
	plain   bool
	filling bool // the text is a field's default: unions have no tags
	trials  int  // of branches for it
	depth   int
	empty   int    // values that took no bytes
	most    int    // how long dst may become
	effort  int    // work that may still be done
	shared  int    // the part of effort that the request has left
	over    bool   // the fault is that of the request, not of the value
	spans   []span // of the fields of the records that are open
	name    []byte // a string without its escapes
	number  number // a decimal
	fault   *codec.Mismatch
}

// span is where a field's bytes are in the destination; start is -1 for a field
// that did not come yet.
type span struct{ start, end int }

// maxSpans is how much of the scratch memory is kept between values.
const maxSpans = 1 << 12

func (e *encoder) encode(root *node, dst []byte, b *codec.Budget) ([]byte, error) {
	start := len(dst)
	room, effort := b.Left()
	e.depth, e.empty, e.over = 0, 0, false
	e.most = start + min(room, math.MaxInt-start)
	e.shared, e.effort = effort, effort+effortPerByte*len(e.text)
	dst, i := e.value(root, dst, 0)
	if root.kind == kindBytes && i >= 0 && !e.filling {
		dst = cutLength(dst, start) // Confluent's serializers write these bare
	}
	if i >= 0 {
		switch written := len(dst) - start; {
		case i != len(e.text):
			_, i = e.fail(dst, "unexpected text behind the value")
		case e.empty > freeEmpty+emptyPerByte*written:
			_, i = e.fail(dst, "too many values that take no bytes")
		}
	}
	if cap(e.spans) > maxSpans {
		e.spans = nil
	}
	if cap(e.name) > maxSpans {
		e.name = nil
	}
	e.spans = e.spans[:0]
	if i < 0 {
		fault := e.fault
		e.fault = nil
		if e.over {
			return dst, codec.ErrOverBudget
		}
		return dst, fault
	}
	return dst, nil
}

// value encodes the value at i.
func (e *encoder) value(n *node, dst []byte, i int) ([]byte, int) {
	if n.logical != logicalNone && e.plain {
		return e.logicalValue(n, dst, i)
	}
	switch n.kind {
	case kindString:
		return e.str(n, dst, i)
	case kindUnion:
		return e.union(n, dst, i)
	case kindInt, kindLong:
		v, end := e.integer(n, i)
		return appendLong(dst, v), end
	case kindRecord:
		return e.record(n, dst, i)
	case kindFloat, kindDouble:
		return e.float(n, dst, i)
	case kindBoolean:
		if word(e.text, i, "true") {
			return append(dst, 1), i + 4
		}
		if word(e.text, i, "false") {
			return append(dst, 0), i + 5
		}
		return e.unexpected(n, dst, i)
	case kindNull:
		if !word(e.text, i, "null") {
			return e.unexpected(n, dst, i)
		}
		e.empty++
		return dst, i + 4
	case kindEnum:
		return e.enum(n, dst, i)
	case kindBytes:
		return e.latin1(n, dst, i, -1)
	case kindFixed:
		return e.latin1(n, dst, i, n.size)
	case kindArray:
		return e.array(n, dst, i)
	default:
		return e.mapping(n, dst, i)
	}
}

// enter counts a level of nesting; every enter that returns true has its leave.
func (e *encoder) enter() bool {
	if e.depth >= maxDepth {
		e.fail(nil, "nested too deeply")
		return false
	}
	e.depth++
	return true
}

func (e *encoder) leave() { e.depth-- }

// spend counts steps beyond walking over the text once; it is false when they are too many. When
// the value on its own might still be within bounds, the request is at fault.
func (e *encoder) spend(steps int) bool {
	if e.effort -= steps; e.effort < 0 {
		e.over = e.shared-e.effort <= codec.FreeEffort
		e.fail(nil, "too costly: members out of order, long arrays, defaults, or branches of a union to choose from, nested or repeated too often")
		return false
	}
	return true
}

// spent returns what the value has spent.
func (e *encoder) spent() int { return e.shared + effortPerByte*len(e.text) - e.effort }

// tooLong reports that dst became longer than the request may. Every loop calls it.
func (e *encoder) tooLong(dst []byte) bool {
	if len(dst) <= e.most {
		return false
	}
	e.over = true
	e.fail(nil, "too long")
	return true
}

// room reports whether dst may take n more bytes, and makes room for them. Callers that write
// more than a few bytes for each byte of text call it. It at least doubles dst, so that all the
// memory that was outgrown is not more than that.
func (e *encoder) room(dst []byte, n int) ([]byte, bool) {
	if n > e.most-len(dst) {
		e.over = true
		e.fail(nil, "too long")
		return dst, false
	}
	if n > cap(dst)-len(dst) {
		dst = slices.Grow(dst, max(n, cap(dst)))
	}
	return dst, true
}

func (e *encoder) enum(n *node, dst []byte, i int) ([]byte, int) {
	text, end := e.plainString(i)
	if end < 0 {
		return e.unexpected(n, dst, i)
	}
	at, ok := n.index[string(text)]
	if !ok {
		return e.fail(dst, "symbol "+e.quote(i)+" is not one of "+list(n.symbols))
	}
	return appendLong(dst, int64(at)), end
}

// array encodes all elements as one block. Their number is known only behind them: room is left
// for a small number, and made for a larger one.
func (e *encoder) array(n *node, dst []byte, i int) ([]byte, int) {
	if e.at(i) != '[' {
		return e.unexpected(n, dst, i)
	}
	if !e.enter() {
		return dst, -1
	}
	i++
	start, count := len(dst), 0
	dst = append(dst, 0)
	if e.at(i) != ']' {
		for {
			if dst, i = e.value(n.items, dst, i); i < 0 || e.tooLong(dst) {
				e.behindIndex(count)
				return dst, -1
			}
			count++
			if e.at(i) != ',' {
				break
			}
			i++
		}
	}
	return e.endBlock(dst, i, ']', start, count)
}

// endBlock writes the number of items into the byte that was left at start.
func (e *encoder) endBlock(dst []byte, i int, closing byte, start, count int) ([]byte, int) {
	e.leave()
	if e.at(i) != closing {
		return e.fail(dst, "unexpected text")
	}
	if count == 0 {
		return dst, i + 1 // the byte is the end of the blocks
	}
	if count < 1<<6 {
		dst[start] = byte(count << 1)
		return append(dst, 0), i + 1
	}
	if !e.spend(len(dst) - start) {
		return dst, -1
	}
	var long [10]byte
	size := len(appendLong(long[:0], int64(count)))
	dst = append(dst, long[:size-1]...)
	copy(dst[start+size:], dst[start+1:len(dst)-size+1])
	appendLong(dst[:start], int64(count))
	return append(dst, 0), i + 1
}

// mapping encodes all members as one block, in their order.
func (e *encoder) mapping(n *node, dst []byte, i int) ([]byte, int) {
	if e.at(i) != '{' {
		return e.unexpected(n, dst, i)
	}
	if !e.enter() {
		return dst, -1
	}
	i++
	start, count := len(dst), 0
	dst = append(dst, 0)
	if e.at(i) != '}' {
		for {
			key := i
			if dst, i = e.str(n, dst, i); i < 0 {
				return dst, -1
			}
			if e.at(i) != ':' {
				return e.fail(dst, "unexpected text")
			}
			if dst, i = e.value(n.items, dst, i+1); i < 0 || e.tooLong(dst) {
				e.behindName(key)
				return dst, -1
			}
			count++
			if e.at(i) != ',' {
				break
			}
			i++
		}
	}
	return e.endBlock(dst, i, '}', start, count)
}

// at is the byte at i, or 0 at the end.
func (e *encoder) at(i int) byte {
	if i < len(e.text) {
		return e.text[i]
	}
	return 0
}

// word reports whether the text continues with w at i.
func word(text []byte, i int, w string) bool {
	return len(text)-i >= len(w) && string(text[i:i+len(w)]) == w
}
