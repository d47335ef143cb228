package avro

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"slices"
	"strings"

	"millrace/codec"
)

// member names a field of a record by the record's full name.
type member struct{ record, field string }

// takeDefaults returns the schema without the defaults of its fields, which it
// keeps in c.defaults. The parser would send them through a float64, in which a long
// does not survive, and refuses what Java has long accepted.
func (c *compiler) takeDefaults(text []byte) ([]byte, error) {
	dec := stdjson.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, errors.New("it is not readable JSON")
	}
	c.take(tree, "")
	return stdjson.Marshal(tree)
}

func (c *compiler) take(tree any, namespace string) {
	switch t := tree.(type) {
	case []any:
		for _, branch := range t {
			c.take(branch, namespace)
		}
	case map[string]any:
		name, _ := t["name"].(string)
		own, given := t["namespace"].(string)
		if given && own == "" && namespace != "" && name != "" && !strings.Contains(name, ".") {
			name = "." + name // has none; to the parser an empty one is one that is not given
			t["name"] = name
		}
		full, space := fullName(name, own, namespace)
		if space != "" {
			c.spaces[space] = true
		} else if name != "" {
			c.spaceless[full] = true
		}
		fields, _ := t["fields"].([]any)
		for _, f := range fields {
			f, ok := f.(map[string]any)
			if !ok {
				continue // the parser will say so
			}
			if def, ok := f["default"]; ok {
				name, _ := f["name"].(string)
				c.defaults[member{full, name}], _ = stdjson.Marshal(def)
				delete(f, "default")
			}
			c.take(f["type"], space)
		}
		c.take(t["type"], namespace)
		c.take(t["items"], namespace)
		c.take(t["values"], namespace)
	}
}

// fullName follows Avro's rules of names; space is where unqualified names inside
// of the type are looked for.
func fullName(name, own, enclosing string) (full, space string) {
	if at := strings.LastIndexByte(name, '.'); at >= 0 {
		if at == 0 {
			return name[1:], ""
		}
		return name, name[:at]
	}
	if own == "" {
		own = enclosing
	}
	if own == "" {
		return name, ""
	}
	return own + "." + name, own
}

// Records in defaults whose own defaults are filled in multiply; a schema may have
// so many bytes of them, and so deep a nesting.
const (
	maxFilled = 1 << 20
	maxRounds = 100
)

// fillDefaults encodes the defaults of all fields. One may need the defaults of
// the records in it first, so it goes around until nothing is left. A default that
// does not fit its type is none: registries hold such schemas, written before Avro
// checked, and their records must be readable.
func (c *compiler) fillDefaults() {
	filled := 0
	for again, round := true, 0; again && round < maxRounds; round++ {
		again = false
		for _, n := range slices.Backward(c.records) { // inner ones come behind
			for k := range n.fields {
				f := &n.fields[k]
				if !f.hasDefault || f.def != nil {
					continue
				}
				e := encoder{text: c.defaults[member{n.name, f.name}], filling: true}
				def, err := e.encode(f.node, []byte{})
				if filled += e.moves; filled > maxFilled {
					return
				}
				if err == nil {
					f.def, again = def, true
				}
			}
		}
	}
}

// misfits lists the fields whose default fillDefaults could not fill in.
func (c *compiler) misfits() (out []string) {
	for _, n := range c.records {
		for k := range n.fields {
			if f := &n.fields[k]; f.hasDefault && f.def == nil {
				out = append(out, n.name+"."+f.name)
			}
		}
	}
	return out
}

// maxTrials bounds the search for the branch of a default, which nesting multiplies.
const maxTrials = 1000

// fillUnion encodes a default, which has no tag, for the first branch that it fits.
func (e *encoder) fillUnion(n *node, dst []byte, i int) ([]byte, int) {
	start, depth, spans := len(dst), e.depth, len(e.spans)
	e.fault = &codec.Mismatch{Problem: "no branch of the union fits"}
	for k := range n.branches {
		if e.trials++; e.trials > maxTrials {
			break
		}
		dst = appendLong(dst[:start], int64(k))
		var end int
		if dst, end = e.value(n.branches[k].node, dst, i); end >= 0 {
			return dst, end
		}
		e.depth, e.spans = depth, e.spans[:spans]
	}
	return dst, -1
}
