package avro

import (
	"strconv"
	"strings"

	"millrace/codec"
	"millrace/codec/json"
)

// maxList is how many names an error lists.
const maxList = 10

// fail records the fault of the value being encoded. The callers prepend the path while they
// return.
func (e *encoder) fail(dst []byte, problem string) ([]byte, int) {
	e.fault = &codec.Mismatch{Problem: problem}
	return dst, -1
}

// unexpected fails, quoting the text at i that is not a value of n.
func (e *encoder) unexpected(n *node, dst []byte, i int) ([]byte, int) {
	return e.fail(dst, "expected "+n.title()+", got "+e.quote(i))
}

// title is a type's name as an error shows it, with the full name of named types.
func (n *node) title() string {
	switch n.kind {
	case kindRecord:
		return "record " + n.name
	case kindEnum:
		return "enum " + n.name
	case kindFixed:
		return "fixed " + n.name
	}
	return n.name
}

// quote returns the beginning of the value at i, for an error.
func (e *encoder) quote(i int) string {
	switch e.at(i) {
	case 0, '}', ']', ',':
		return "nothing"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	end, _, err := json.Scan(e.text, i)
	if err != nil {
		return "what is not JSON"
	}
	return codec.Clip(e.text[i:end])
}

func list(names []string) string {
	if len(names) > maxList {
		return strings.Join(names[:maxList], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

func (e *encoder) behindField(f *field) { prefix(e.fault, "."+f.name) }
func (e *encoder) behindIndex(at int)   { prefix(e.fault, "["+strconv.Itoa(at)+"]") }

// behindName prepends the map key whose text begins at i to the path.
func (e *encoder) behindName(i int) {
	if name, end := e.plainString(i); end >= 0 {
		prefix(e.fault, "."+codec.Clip(name))
	}
}

// prefix prepends a segment to a fault's path. It keeps the path readable in deep nesting, and
// the work linear.
func prefix(m *codec.Mismatch, segment string) {
	if len(m.Path) < codec.MaxPath {
		m.Path = segment + m.Path
	} else if !strings.HasPrefix(m.Path, "…") {
		m.Path = "…" + m.Path
	}
}
