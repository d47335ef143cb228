package avro

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"millrace/codec"
	"millrace/codec/json"
)

// member names a field of a record by the record's full name.
type member struct{ record, field string }

const (
	// maxBranches bounds the branches of a union, which the parser and the choice
	// among them go over one by one.
	maxBranches = 500
	// maxNames bounds the bytes of all full names. A namespace is written once and
	// is in each of those that stand in it.
	maxNames = 8 << 20
)

var errNames = errors.New("it has names that are too long, so many and so nested")

// takeDefaults returns the schema for the parser: without the defaults of its fields, which it
// keeps in c.defaults, and without the aliases of types. The parser would convert defaults
// through a float64, which cannot hold every long, and would refuse defaults that Java has long
// accepted. It would also let a type be named by its alias, which Java does not: aliases are for
// readers with another schema, and are kept in c.aliases.
func (c *compiler) takeDefaults(text []byte) ([]byte, error) {
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, errors.New("it is not readable JSON")
	}
	if err := c.take(tree, ""); err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

func (c *compiler) take(tree any, namespace string) error {
	switch t := tree.(type) {
	case []any:
		if len(t) > maxBranches {
			return fmt.Errorf("a union has %d branches; at most %d are allowed", len(t), maxBranches)
		}
		for _, branch := range t {
			if err := c.take(branch, namespace); err != nil {
				return err
			}
		}
	case map[string]any:
		return c.takeType(t, namespace)
	case string: // the parser looks for it by its full name
		return c.named(len(namespace) + len(t))
	}
	return nil
}

// named counts a full name of so many bytes.
func (c *compiler) named(size int) error {
	if c.names += size; c.names > maxNames {
		return errNames
	}
	return nil
}

func (c *compiler) takeType(t map[string]any, namespace string) error {
	name, _ := t["name"].(string)
	own, given := t["namespace"].(string)
	if given && own == "" && namespace != "" && name != "" && !strings.Contains(name, ".") {
		name = "." + name // no namespace; the parser takes an empty one for one that is not given
		t["name"] = name
	}
	full, space := fullName(name, own, namespace)
	if err := c.named(len(full)); err != nil {
		return err
	}
	if err := c.takeAliases(t, full, space); err != nil {
		return err
	}
	if space != "" {
		c.spaces[space] = true
	} else if name != "" {
		c.spaceless[full] = true
	}
	fields, _ := t["fields"].([]any)
	for _, f := range fields {
		f, ok := f.(map[string]any)
		if !ok {
			continue // the parser reports it
		}
		if def, ok := f["default"]; ok {
			name, _ := f["name"].(string)
			c.defaults[member{full, name}], _ = json.Marshal(def)
			delete(f, "default")
		}
		if err := c.take(f["type"], space); err != nil {
			return err
		}
	}
	for _, part := range [...]string{"type", "items", "values"} {
		if err := c.take(t[part], namespace); err != nil {
			return err
		}
	}
	return nil
}

// takeAliases moves the aliases of a type into c.aliases. One without a dot is in the
// namespace of the type.
func (c *compiler) takeAliases(t map[string]any, full, space string) error {
	aliases, _ := t["aliases"].([]any)
	delete(t, "aliases")
	for _, a := range aliases {
		if alias, ok := a.(string); ok {
			alias, _ = fullName(alias, "", space)
			if err := c.named(len(alias)); err != nil {
				return err
			}
			c.aliases[full] = append(c.aliases[full], alias)
		}
	}
	return nil
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

// Records in defaults whose own defaults are filled in multiply. These constants bound their
// bytes, the steps to fill them in, and their nesting, all for one schema.
const (
	maxFilled = 1 << 20
	maxSteps  = 1 << 24
	maxRounds = 100
)

// fillDefaults encodes the defaults of all fields. A default may need the defaults of the records
// in it first, so fillDefaults repeats until no default is left. A default that does not fit its
// type is ignored: registries hold such schemas, written before Avro checked, and their records
// must be readable.
func (c *compiler) fillDefaults() {
	filled, steps := 0, 0
	for again, round := true, 0; again && round < maxRounds; round++ {
		again = false
		for _, n := range slices.Backward(c.records) { // inner ones come behind
			for k := range n.fields {
				f := &n.fields[k]
				if !f.hasDefault || f.def != nil {
					continue
				}
				e := encoder{text: c.defaults[member{n.name, f.name}], filling: true}
				def, err := e.encode(f.node, []byte{}, nil)
				filled += len(def)
				if steps += e.spent(); filled > maxFilled || steps > maxSteps {
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
