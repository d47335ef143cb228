package avro

import (
	"encoding/binary"
	"math"
	"strconv"
	"sync"

	"millrace/codec"
)

// AppendDecoded implements [codec.Schema]. A payload that is not of the schema is a
// [*codec.Mismatch].
func (s *Schema) AppendDecoded(dst, payload []byte, d codec.Dialect) ([]byte, error) {
	r := decoders.Get().(*decoder)
	r.b, r.plain = payload, d == codec.Plain
	dst, err := r.decode(s.root, dst)
	r.b = nil
	decoders.Put(r)
	return dst, err
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// decoder walks Avro binary. Its methods take and return as the encoder's do.
type decoder struct {
	b      []byte
	plain  bool
	depth  int
	empty  int    // values that took no bytes
	bound  int    // how many there may be
	most   int    // how long dst may become
	number number // a decimal
	fault  *codec.Mismatch
}

func (d *decoder) decode(root *node, dst []byte) ([]byte, error) {
	d.depth, d.empty, d.bound = 0, 0, freeEmpty+emptyPerByte*len(d.b)
	d.most = len(dst) + min(freeText+textPerByte*len(d.b), maxText)
	var i int
	switch { // bytes on their own have no length
	case root.kind == kindBytes && root.logical == logicalDecimal && d.plain:
		dst, i = d.decimal(root, dst, 0, len(d.b))
	case root.kind == kindBytes:
		dst, i = d.bytes(root, dst, 0, len(d.b))
	default:
		dst, i = d.value(root, dst, 0)
	}
	if i >= 0 && d.tooLong(dst) {
		i = -1
	}
	if i >= 0 && i < len(d.b) {
		_, i = d.fail(dst, count(len(d.b)-i, "byte")+" behind the value")
	}
	if i < 0 {
		fault := d.fault
		d.fault = nil
		return dst, fault
	}
	return dst, nil
}

// value decodes the value at i.
func (d *decoder) value(n *node, dst []byte, i int) ([]byte, int) {
	if n.logical != logicalNone && d.plain {
		return d.logicalValue(n, dst, i)
	}
	switch n.kind {
	case kindString:
		return d.str(n, dst, i)
	case kindUnion:
		return d.union(n, dst, i)
	case kindInt, kindLong:
		v, i := d.integer(n, i)
		return strconv.AppendInt(dst, v, 10), i
	case kindRecord:
		return d.record(n, dst, i)
	case kindFloat, kindDouble:
		return d.float(n, dst, i)
	case kindBoolean:
		return d.boolean(n, dst, i)
	case kindNull:
		if !d.spend() {
			return dst, -1
		}
		return append(dst, "null"...), i
	case kindEnum:
		return d.enum(n, dst, i)
	case kindBytes:
		size, i := d.length(n, i)
		if i < 0 {
			return dst, i
		}
		return d.bytes(n, dst, i, size)
	case kindFixed:
		if n.size == 0 && !d.spend() {
			return dst, -1
		}
		return d.bytes(n, dst, i, n.size)
	case kindArray:
		return d.array(n, dst, i)
	default:
		return d.mapping(n, dst, i)
	}
}

func (d *decoder) fail(dst []byte, problem string) ([]byte, int) {
	d.fault = &codec.Mismatch{Problem: problem}
	return dst, -1
}

// short fails because the bytes end within a value of n.
func (d *decoder) short(n *node, dst []byte) ([]byte, int) {
	return d.fail(dst, "the bytes end within "+n.title())
}

func (d *decoder) enter() bool {
	if d.depth >= maxDepth {
		d.fail(nil, "nested too deeply")
		return false
	}
	d.depth++
	return true
}

func (d *decoder) leave() { d.depth-- }

// spend counts a value that takes no bytes; it is false when there are too many.
func (d *decoder) spend() bool {
	if d.empty++; d.empty > d.bound {
		d.fail(nil, "too many values that take no bytes")
		return false
	}
	return true
}

// A byte may become a long text: a field with its name, a symbol, a tag. freeText and textPerByte
// bound that text by the payload's size; maxText, which holds for Protobuf too, bounds it
// whatever the size.
const (
	freeText    = 16 << 20
	textPerByte = 1 << 10
	maxText     = 64 << 20
)

// tooLong fails when the text became too long. Every loop calls it, and decode at the end.
func (d *decoder) tooLong(dst []byte) bool {
	if len(dst) <= d.most {
		return false
	}
	d.fail(nil, "the value's text would be too long")
	return true
}

// long reads a zigzag number and returns the index behind it, or -1.
func (d *decoder) long(n *node, i int) (int64, int) {
	if i < len(d.b) && d.b[i] < 0x80 {
		u := uint64(d.b[i])
		return int64(u>>1) ^ -int64(u&1), i + 1
	}
	u, size := binary.Uvarint(d.b[i:])
	switch {
	case size == 0:
		_, i = d.short(n, nil)
		return 0, i
	case size < 0:
		_, i = d.fail(nil, "a number in "+n.title()+" has more than 64 bits")
		return 0, i
	}
	return int64(u>>1) ^ -int64(u&1), i + size
}

// integer reads an int or long.
func (d *decoder) integer(n *node, i int) (int64, int) {
	if n.kind == kindLong {
		return d.long(n, i)
	}
	return d.narrow(n, i)
}

// narrow reads what Avro writes as an int, in at most 5 bytes: ints, and the numbers
// of symbols and branches.
func (d *decoder) narrow(n *node, i int) (int64, int) {
	v, behind := d.long(n, i)
	switch {
	case behind < 0:
	case behind-i > binary.MaxVarintLen32:
		_, behind = d.fail(nil, "a number in "+n.title()+" has more than 5 bytes")
	case v != int64(int32(v)):
		_, behind = d.fail(nil, strconv.FormatInt(v, 10)+" is out of the range of int")
	}
	return v, behind
}

// length reads the length of what follows, which is within the bytes.
func (d *decoder) length(n *node, i int) (int, int) {
	v, i := d.long(n, i)
	switch {
	case i < 0:
	case v < 0:
		_, i = d.fail(nil, "the length of "+n.title()+" is negative")
	case v > int64(len(d.b)-i):
		_, i = d.short(n, nil)
	}
	return int(v), i
}

func (d *decoder) boolean(n *node, dst []byte, i int) ([]byte, int) {
	if i >= len(d.b) {
		return d.short(n, dst)
	}
	switch d.b[i] {
	case 0:
		return append(dst, "false"...), i + 1
	case 1:
		return append(dst, "true"...), i + 1
	}
	return d.fail(dst, "expected boolean, got the byte "+strconv.Itoa(int(d.b[i])))
}

// float decodes a float or double, to the fewest digits that read back as the same:
// Java 1.12 writes a float with the digits of the double that has its value, so that
// 21.3 comes out as 21.299999237060547; Java 1.11 writes 21.3.
func (d *decoder) float(n *node, dst []byte, i int) ([]byte, int) {
	v, size := 0.0, 64
	if n.kind == kindFloat {
		if len(d.b)-i < 4 {
			return d.short(n, dst)
		}
		v = float64(math.Float32frombits(binary.LittleEndian.Uint32(d.b[i:])))
		i += 4
		size = 32
	} else {
		if len(d.b)-i < 8 {
			return d.short(n, dst)
		}
		v = math.Float64frombits(binary.LittleEndian.Uint64(d.b[i:]))
		i += 8
	}
	switch {
	case v != v:
		return append(dst, nan...), i
	case v > math.MaxFloat64:
		return append(dst, inf...), i
	case v < -math.MaxFloat64:
		return append(dst, negInf...), i
	}
	return appendDouble(dst, v, size), i
}

func (d *decoder) enum(n *node, dst []byte, i int) ([]byte, int) {
	v, i := d.narrow(n, i)
	if i < 0 {
		return dst, i
	}
	if uint64(v) >= uint64(len(n.quoted)) {
		return d.fail(dst, n.title()+" has "+count(len(n.quoted), "symbol")+", got number "+strconv.FormatInt(v, 10))
	}
	return append(dst, n.quoted[v]...), i
}

// union writes {"string":…}, or null.
func (d *decoder) union(n *node, dst []byte, i int) ([]byte, int) {
	at, i := d.narrow(n, i)
	if i < 0 {
		return dst, i
	}
	if uint64(at) >= uint64(len(n.branches)) {
		return d.fail(dst, "the union has "+count(len(n.branches), "branch")+", got number "+strconv.FormatInt(at, 10))
	}
	if int(at) == n.null {
		return append(dst, "null"...), i
	}
	b := &n.branches[at]
	if d.plain && d.bare(n, b, i) {
		return d.value(b.node, dst, i)
	}
	if !d.enter() {
		return dst, -1
	}
	dst = append(dst, b.tag...)
	dst, i = d.value(b.node, dst, i)
	d.leave()
	return append(dst, '}'), i
}

func (d *decoder) record(n *node, dst []byte, i int) ([]byte, int) {
	if !d.enter() {
		return dst, -1
	}
	first := i
	dst = append(dst, '{')
	for k := range n.fields {
		f := &n.fields[k]
		if k == 0 {
			dst = append(dst, f.key...)
		} else {
			dst = append(dst, f.sep...)
		}
		if dst, i = d.value(f.node, dst, i); i < 0 || d.tooLong(dst) {
			prefix(d.fault, "."+f.name)
			return dst, -1
		}
	}
	d.leave()
	if i == first && !d.spend() {
		return dst, -1
	}
	return append(dst, '}'), i
}

// block reads how many items the next block has; 0 is the end. A negative number is followed by
// the block's size in bytes, for readers that skip blocks.
func (d *decoder) block(n *node, i int) (int64, int) {
	v, i := d.long(n, i)
	if i < 0 || v >= 0 {
		return v, i
	}
	if v == math.MinInt64 {
		_, i = d.fail(nil, "a block of "+n.title()+" has too many items")
		return 0, i
	}
	_, i = d.length(n, i)
	return -v, i
}

func (d *decoder) array(n *node, dst []byte, i int) ([]byte, int) {
	if !d.enter() {
		return dst, -1
	}
	dst = append(dst, '[')
	for at := 0; ; {
		var items int64
		if items, i = d.block(n, i); i < 0 {
			return dst, -1
		}
		if items == 0 {
			break
		}
		for ; items > 0; items-- {
			if at > 0 {
				dst = append(dst, ',')
			}
			if dst, i = d.value(n.items, dst, i); i < 0 || d.tooLong(dst) {
				prefix(d.fault, "["+strconv.Itoa(at)+"]")
				return dst, -1
			}
			at++
		}
	}
	d.leave()
	return append(dst, ']'), i
}

func (d *decoder) mapping(n *node, dst []byte, i int) ([]byte, int) {
	if !d.enter() {
		return dst, -1
	}
	dst = append(dst, '{')
	for more := false; ; {
		var items int64
		if items, i = d.block(n, i); i < 0 {
			return dst, -1
		}
		if items == 0 {
			break
		}
		for ; items > 0; items-- {
			if more {
				dst = append(dst, ',')
			}
			more = true
			key := len(dst)
			if dst, i = d.str(n, dst, i); i < 0 {
				return dst, -1
			}
			behind := len(dst)
			dst = append(dst, ':')
			if dst, i = d.value(n.items, dst, i); i < 0 || d.tooLong(dst) {
				prefix(d.fault, "."+codec.Clip(dst[key+1:behind-1]))
				return dst, -1
			}
		}
	}
	d.leave()
	return append(dst, '}'), i
}
