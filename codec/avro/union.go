package avro

import (
	"strings"

	"millrace/codec"
)

// union encodes a tagged value, {"string":"s"}, or null.
func (e *encoder) union(n *node, dst []byte, i int) ([]byte, int) {
	switch {
	case e.plain:
		return e.plainUnion(n, dst, i)
	case e.filling:
		return e.fillUnion(n, dst, i)
	case e.at(i) == '{':
		return e.tagged(n, dst, i)
	case n.null >= 0 && word(e.text, i, "null"):
		return appendLong(dst, int64(n.null)), i + 4
	}
	return e.fail(dst, "expected "+n.choices()+", got "+e.quote(i))
}

// fewBranches is the number of branches up to which comparing one by one is faster than the
// index.
const fewBranches = 8

// tagged encodes an object whose only member names the branch.
func (e *encoder) tagged(n *node, dst []byte, i int) ([]byte, int) {
	at, behind := -1, 0
	for k := range n.branches[:min(len(n.branches), fewBranches)] {
		if tag := n.branches[k].tag; k != n.null && word(e.text, i, tag) {
			at, behind = k, i+len(tag)
			break
		}
	}
	if at < 0 {
		if at, behind = e.findTag(n, i); at < 0 {
			return dst, -1
		}
	}
	if !e.enter() {
		return dst, -1
	}
	dst = appendLong(dst, int64(at))
	if dst, i = e.value(n.branches[at].node, dst, behind); i < 0 {
		return dst, -1
	}
	e.leave()
	if e.at(i) != '}' {
		return e.fail(dst, "expected one member, which names a branch of the union, got several")
	}
	return dst, i + 1
}

// findTag looks for a branch by the index: one of many, one whose tag is written with
// escapes, or the null's. Or it fails.
func (e *encoder) findTag(n *node, i int) (at, behind int) {
	if e.at(i+1) == '}' {
		e.fail(nil, "expected "+n.choices()+", got {}")
		return -1, 0
	}
	name, behind := e.plainString(i + 1)
	if behind < 0 || e.at(behind) != ':' {
		e.fail(nil, "unexpected text")
		return -1, 0
	}
	at, ok := n.index[string(name)]
	if !ok {
		e.fail(nil, "expected "+n.choices()+`, got the branch "`+codec.Clip(name)+`"`)
		return -1, 0
	}
	return at, behind + 1
}

// choices lists the values that a union takes: null or {"string":…}.
func (n *node) choices() string {
	var out []string
	for k, b := range n.branches {
		switch {
		case k == maxList:
			return strings.Join(out, ", ") + ", …"
		case b.node.kind == kindNull:
			out = append(out, "null")
		default:
			out = append(out, b.tag+"…}")
		}
	}
	return strings.Join(out, " or ")
}
