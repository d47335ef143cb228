package avro

import (
	"math"
	"math/bits"
	"strconv"

	"millrace/pool"
)

// shape is a set of the kinds of JSON value.
type shape uint8

const (
	shapeNull shape = 1 << iota
	shapeBoolean
	shapeNumber
	shapeString
	shapeArray
	shapeObject

	shapes = iota // how many there are
)

// shape returns the shapes that values of n may have in a plain union, the same in both
// directions. A number that JSON has none for needs its tag there.
func (n *node) shape() shape {
	switch n.logical {
	case logicalDecimal:
		return shapeNumber
	case logicalDate, logicalTime, logicalTimestamp, logicalLocalTimestamp:
		return shapeString | shapeNumber
	}
	switch n.kind {
	case kindNull:
		return shapeNull
	case kindBoolean:
		return shapeBoolean
	case kindInt, kindLong, kindFloat, kindDouble:
		return shapeNumber
	case kindArray:
		return shapeArray
	case kindRecord, kindMap:
		return shapeObject
	}
	return shapeString
}

// setLooks sorts the branches by shape, and finds those that are written without a tag: those
// that cannot be mistaken for another. It runs before the records of the union are complete.
func (n *node) setLooks() {
	n.looks = new([shapes][]int)
	for k := range n.branches {
		s := n.branches[k].node.shape()
		for i := range n.looks {
			if s&(1<<i) != 0 {
				n.looks[i] = append(n.looks[i], k)
			}
		}
	}
	for k := range n.branches {
		s, bare := n.branches[k].node.shape(), true
		for i, alike := range n.looks {
			bare = bare && (s&(1<<i) == 0 || len(alike) == 1)
		}
		n.branches[k].bare = bare
	}
}

// alike are the branches that a value of one shape may be of.
func (n *node) alike(s shape) []int { return n.looks[bits.TrailingZeros8(uint8(s))] }

// bare reports whether the value at i of branch b is written without a tag.
func (d *decoder) bare(n *node, b *branch, i int) bool {
	if !b.bare {
		return false
	}
	switch b.node.kind {
	case kindRecord:
		// An object of one member with the name of a branch would be a tag.
		if len(b.node.fields) == 1 {
			_, taken := n.index[b.node.fields[0].name]
			return !taken
		}
	case kindMap:
		return !d.likeTag(n, i)
	case kindFloat:
		return len(d.b)-i < 4 || !notFinite32(d.b[i:])
	case kindDouble:
		return len(d.b)-i < 8 || !notFinite64(d.b[i:])
	}
	return true
}

// A value that is not finite has all bits of its exponent set.
func notFinite32(b []byte) bool { return b[3]&0x7F == 0x7F && b[2]&0x80 != 0 }
func notFinite64(b []byte) bool { return b[7]&0x7F == 0x7F && b[6]&0xF0 == 0xF0 }

// likeTag reports whether the map at i begins with a block of one item, whose key is
// the name of a branch.
func (d *decoder) likeTag(n *node, i int) bool {
	look := decoder{b: d.b}
	items, i := look.block(n, i)
	if i < 0 || items != 1 {
		return false
	}
	size, i := look.length(n, i)
	if i < 0 {
		return false
	}
	_, taken := n.index[string(d.b[i:i+size])]
	return taken
}

// plainUnion encodes a value for the branch that its tag names, or the only one
// that it fits.
func (e *encoder) plainUnion(n *node, dst []byte, i int) ([]byte, int) {
	var s shape
	switch c := e.at(i); c {
	case 'n':
		s = shapeNull
	case 't', 'f':
		s = shapeBoolean
	case '"':
		s = shapeString
	case '[':
		s = shapeArray
	case '{':
		tag, ok := e.isTag(n, i)
		switch {
		case !ok:
			return dst, -1
		case tag:
			return e.tagged(n, dst, i)
		}
		s = shapeObject
	default:
		s = shapeNumber
	}
	found := -1
	switch alike := n.alike(s); len(alike) {
	case 0:
		return e.fail(dst, "expected "+n.plainChoices()+", got "+e.quote(i))
	case 1:
		found = alike[0]
	default:
		if found = e.choose(n, i, s); found < 0 {
			return dst, -1
		}
	}
	return e.value(n.branches[found].node, appendLong(dst, int64(found)), i)
}

// isTag reports whether the object at i is a tagged value: its only member has the name of a
// branch. ok is false after a fault.
func (e *encoder) isTag(n *node, i int) (tag, ok bool) {
	name, behind := e.plainString(i + 1)
	if behind < 0 {
		return false, true // an empty object
	}
	objects := len(n.alike(shapeObject))
	if _, tag = n.index[string(name)]; !tag || objects == 0 {
		return objects == 0, true
	}
	end := e.lookPast(behind + 1)
	return end >= 0 && e.at(end) == '}', end >= 0
}

// lookPast is skip for a value that is read again; the number of such reads is bounded.
func (e *encoder) lookPast(i int) int {
	end := e.skip(i)
	if end >= 0 && !e.spend(end-i) {
		return -1
	}
	return end
}

// choose finds the only branch that the value at i fits among several of its shape.
// It returns -1 after recording the fault.
func (e *encoder) choose(n *node, i int, s shape) int {
	found, first := -1, -1
	for _, k := range n.alike(s) {
		b := n.branches[k].node
		if b.kind == kindMap {
			continue
		}
		fits, ok := e.fits(b, i)
		switch {
		case !ok:
			return -1
		case fits && found >= 0:
			e.fail(nil, e.quote(i)+" fits several branches of the union, such as "+n.branches[first].node.name+" and "+
				b.name+": send "+n.branches[first].tag+"…} or "+n.branches[k].tag+"…}")
			return -1
		case fits:
			found, first = k, k
		}
	}
	if at, ok := n.index["map"]; ok && s == shapeObject && found < 0 {
		return at // a map takes any names, and so comes last
	}
	if found < 0 {
		e.fail(nil, "expected "+n.plainChoices()+", got "+e.quote(i)+", which fits none")
	}
	return found
}

// fits reports whether the value at i, which has the shape, is one of n. It compares only the
// names of an object. ok is false after a fault.
func (e *encoder) fits(n *node, i int) (fits, ok bool) {
	if n.kind == kindRecord {
		if !e.spend(1 + len(n.fields)) {
			return false, false
		}
		return e.fitsNames(n, i)
	}
	if e.at(i) == '"' {
		text, end := e.plainString(i)
		if !e.spend(1 + len(text)) {
			return false, false
		}
		return end >= 0 && n.fitsText(text), true
	}
	end := numberEnd(e.text, i)
	if !e.spend(1 + end - i) {
		return false, false
	}
	return e.fitsNumber(n, e.text[i:end]), true
}

func (n *node) fitsText(text []byte) bool {
	switch {
	case n.logical == logicalUUID:
		var room [16]byte
		_, ok := appendUUIDBytes(room[:0], text)
		return ok
	case n.perSecond > 0:
		_, problem := parseTime(n, text)
		return problem == ""
	case n.kind == kindEnum:
		_, ok := n.index[string(text)]
		return ok
	case n.kind == kindBytes:
		_, ok := latin1Len(text)
		return ok
	case n.kind == kindFixed:
		size, ok := latin1Len(text)
		return ok && size == n.size
	}
	return true
}

func (e *encoder) fitsNumber(n *node, b []byte) bool {
	switch {
	case n.logical == logicalDecimal:
		x, _, problem := parseDecimal(n, e.number[:0], b)
		e.number = x
		return problem == ""
	case n.kind == kindFloat:
		_, err := strconv.ParseFloat(pool.String(b), 32)
		return err == nil
	case n.kind == kindDouble:
		_, err := strconv.ParseFloat(pool.String(b), 64)
		return err == nil
	}
	v, integral, ok := wholeNumber(b)
	return integral && ok && (n.kind == kindLong || v >= math.MinInt32 && v <= math.MaxInt32)
}

// fitsNames reports whether the object at i has all fields of the record that have
// no default, and no members that are not of it.
func (e *encoder) fitsNames(n *node, i int) (fits, ok bool) {
	base := len(e.spans)
	e.open(len(n.fields))
	defer func() { e.spans = e.spans[:base] }()
	for k := range n.fields {
		e.spans[base+k].start = -1
	}
	for i++; e.at(i) != '}'; {
		name, behind := e.plainString(i)
		if behind < 0 {
			e.fail(nil, "unexpected text")
			return false, false
		}
		k, known := n.index[string(name)]
		if !known {
			return false, true
		}
		e.spans[base+k].start = i
		if i = e.lookPast(behind + 1); i < 0 {
			return false, false
		}
		if e.at(i) == ',' {
			i++
		}
	}
	for k := range n.fields {
		if e.spans[base+k].start < 0 && n.fields[k].def == nil {
			return false, true
		}
	}
	return true, true
}

// plainChoices lists the values that a plain union takes.
func (n *node) plainChoices() string {
	names := make([]string, len(n.branches))
	for k, b := range n.branches {
		names[k] = b.node.name
	}
	return "one of " + list(names)
}
