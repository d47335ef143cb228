package avro

import "millrace/codec/json"

// record encodes an object. Members in the order of the schema, which programs write, are
// compared with the expected text and encoded; nothing is looked up. From the first member out of
// order, unordered continues.
func (e *encoder) record(n *node, dst []byte, i int) ([]byte, int) {
	if e.at(i) != '{' {
		return e.unexpected(n, dst, i)
	}
	if !e.enter() {
		return dst, -1
	}
	first, base := len(dst), len(e.spans)
	e.open(len(n.fields))
	i++
	k := 0
	for k < len(n.fields) {
		f := &n.fields[k]
		if k > 0 {
			if !word(e.text, i, f.sep) {
				break
			}
			i += len(f.sep)
		} else {
			if !word(e.text, i, f.key) {
				break
			}
			i += len(f.key)
		}
		start := len(dst)
		if dst, i = e.value(f.node, dst, i); i < 0 {
			e.behindField(f)
			return dst, -1
		}
		e.spans[base+k] = span{start, len(dst)}
		k++
	}
	if k < len(n.fields) || e.at(i) != '}' {
		if !e.spend(len(n.fields)) {
			return dst, -1
		}
		for j := k; j < len(n.fields); j++ {
			e.spans[base+j] = span{-1, -1}
		}
		if dst, i = e.unordered(n, dst, i, k); i < 0 {
			return dst, -1
		}
		if dst, i = e.arrange(n, dst, i, first); i < 0 {
			return dst, -1
		}
	}
	e.spans = e.spans[:base]
	e.leave()
	if len(dst) == first {
		e.empty++
	}
	return dst, i + 1
}

// open makes room for the spans of n fields.
func (e *encoder) open(n int) {
	if need := len(e.spans) + n; need <= cap(e.spans) {
		e.spans = e.spans[:need]
		return
	}
	e.spans = append(e.spans, make([]span, n)...)
}

// unordered encodes the members from i on, in the order in which they come, and
// returns the index of the closing brace. seen is how many came before. A member that
// comes twice is encoded twice, and the last counts; members that the schema does
// not have are skipped.
func (e *encoder) unordered(n *node, dst []byte, i, seen int) ([]byte, int) {
	base := len(e.spans) - len(n.fields)
	first := seen == 0
	for e.at(i) != '}' {
		if !first {
			if e.at(i) != ',' {
				return e.fail(dst, "unexpected text")
			}
			i++
		}
		first = false
		name, behind := e.plainString(i)
		if behind < 0 || e.at(behind) != ':' {
			return e.fail(dst, "unexpected text")
		}
		k, ok := n.index[string(name)]
		i = behind + 1
		if !ok {
			if i = e.skip(i); i < 0 {
				return dst, -1
			}
			continue
		}
		start := len(dst)
		if dst, i = e.value(n.fields[k].node, dst, i); i < 0 {
			e.behindField(&n.fields[k])
			return dst, -1
		}
		e.spans[base+k] = span{start, len(dst)}
	}
	return dst, i
}

// skip returns the index behind the value at i.
func (e *encoder) skip(i int) int {
	end, _, err := json.Scan(e.text, i)
	if err != nil {
		_, end = e.fail(nil, "unexpected text")
	}
	return end
}

// arrange brings the fields' bytes, which begin at first in the order of the
// members, into the order of the schema, and adds defaults.
func (e *encoder) arrange(n *node, dst []byte, i, first int) ([]byte, int) {
	spans := e.spans[len(e.spans)-len(n.fields):]
	ordered, end := true, first
	for k, s := range spans {
		if s.start < 0 {
			f := &n.fields[k]
			if dst, s = e.absent(f, dst); s.start < 0 {
				return dst, -1
			}
			spans[k] = s
		}
		ordered = ordered && s.start == end
		end = s.end
	}
	if ordered && end == len(dst) {
		return dst, i
	}
	mark := len(dst)
	if !e.spend(2 * (mark - first)) {
		return dst, -1
	}
	for _, s := range spans {
		dst = append(dst, dst[s.start:s.end]...)
	}
	size := copy(dst[first:], dst[mark:])
	return dst[:first+size], i
}

// absent appends the default of a missing field. Avro's JSON encoding has no defaults: Java's
// decoder refuses, and so does this one in the tagged dialect, which replaces it.
func (e *encoder) absent(f *field, dst []byte) ([]byte, span) {
	switch {
	case (e.plain || e.filling) && f.def != nil:
		if !e.spend(1 + len(f.def)) {
			break
		}
		start, ok := len(dst), true
		if dst, ok = e.room(dst, len(f.def)); !ok {
			break
		}
		dst = append(dst, f.def...)
		return dst, span{start, len(dst)}
	case f.hasDefault && !e.plain && !e.filling:
		e.fail(dst, "missing; its default is only filled in with avro=plain")
	default:
		e.fail(dst, "missing, and it has no default")
	}
	e.behindField(f)
	return dst, span{-1, -1}
}
