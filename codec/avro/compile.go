package avro

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	hamba "github.com/hamba/avro/v2"

	"millrace/codec/json"
)

// Schema is a compiled Avro schema. It is immutable and may be used by any
// number of goroutines.
type Schema struct {
	root    *node
	misfits []string
}

// Reference is a schema that others name, under the name that they use.
type Reference struct {
	Name string
	Text string
}

// maxSchemaNodes bounds what one schema may expand to.
const maxSchemaNodes = 100_000

// Compile compiles the JSON text of a schema. References are the schemas that text names but does
// not define, in the order in which they depend on each other. The error is a phrase for the
// client that sent the text.
func Compile(text string, references []Reference) (*Schema, error) {
	cache := new(hamba.SchemaCache)
	c := compiler{nodes: map[hamba.Schema]*node{}, defaults: map[member][]byte{}, aliases: map[string][]string{}, spaces: map[string]bool{}, spaceless: map[string]bool{}}
	for _, r := range references {
		if _, err := c.parse(r.Text, cache); err != nil {
			return nil, fmt.Errorf("the referenced schema %s: %w", r.Name, err)
		}
	}
	parsed, err := c.parse(text, cache)
	if err != nil {
		return nil, err
	}
	root, err := c.node(parsed)
	if err != nil {
		return nil, err
	}
	c.fillDefaults()
	return &Schema{root: root, misfits: c.misfits()}, nil
}

// Misfits returns the fields whose default is ignored, because it does not fit their type. Such a
// schema is good for records; a registry accepts no new ones.
func (s *Schema) Misfits() []string { return s.misfits }

// Name returns the full name of a record, enum or fixed, and "" for all other types.
func (s *Schema) Name() string {
	switch s.root.kind {
	case kindRecord, kindEnum, kindFixed:
		return s.root.name
	}
	return ""
}

// compiler turns parsed schemas into nodes. Named types become one node each,
// however often they are named, so that recursion is a cycle of pointers.
type compiler struct {
	nodes     map[hamba.Schema]*node
	count     int
	names     int // bytes of full names
	records   []*node
	defaults  map[member][]byte   // JSON text
	aliases   map[string][]string // full names of types, by the full name of the one that has them
	spaces    map[string]bool     // namespaces of records
	spaceless map[string]bool     // names of types without a namespace
}

// parse reads one schema. Syntax and nesting are checked before: the parser would take text that
// is not JSON for a name, and bounds nothing.
func (c *compiler) parse(text string, cache *hamba.SchemaCache) (hamba.Schema, error) {
	b := []byte(text)
	start := json.SkipSpace(b, 0)
	end, _, err := json.Scan(b, start)
	if err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	if rest := json.SkipSpace(b, end); rest < len(b) {
		return nil, fmt.Errorf("it is not JSON: unexpected text at byte %d", rest)
	}
	if b[start] != '{' && b[start] != '[' && b[start] != '"' {
		return nil, errors.New("it is not an Avro schema: expected an object, an array or a string")
	}
	bare, err := c.takeDefaults(b[start:end])
	if err != nil {
		return nil, err
	}
	if err := c.reachSpaceless(cache); err != nil {
		return nil, err
	}
	parsed, err := hamba.ParseBytesWithCache(bare, "", cache)
	if err != nil {
		return nil, readable(err)
	}
	return parsed, nil
}

// reachSpaceless lets types that were parsed before, and have no namespace, be named within one.
// The specification forbids it, but Java allows it.
func (c *compiler) reachSpaceless(cache *hamba.SchemaCache) error {
	for name := range c.spaceless {
		s := cache.Get(name)
		if s == nil {
			continue
		}
		for space := range c.spaces {
			if err := c.named(len(space) + 1 + len(name)); err != nil {
				return err
			}
			if cache.Get(space+"."+name) == nil {
				cache.Add(space+"."+name, s)
			}
		}
	}
	return nil
}

// readable removes the parser's and Go's own terms from an error.
func readable(err error) error {
	text := strings.TrimPrefix(err.Error(), "avro: ")
	if what, _, ok := strings.Cut(text, ":"); ok && strings.HasPrefix(what, "error decoding ") {
		text = "a member of the " + strings.TrimPrefix(what, "error decoding ") + " has a value of the wrong type"
	}
	if name, ok := strings.CutPrefix(text, "unknown type: "); ok && strings.HasPrefix(name, "map[") {
		text = "a type has no name"
	}
	return errors.New(strings.ReplaceAll(text, "avro: ", ""))
}

// node returns the node of a parsed schema.
func (c *compiler) node(s hamba.Schema) (*node, error) {
	if ref, ok := s.(*hamba.RefSchema); ok {
		s = ref.Schema()
	}
	if n, ok := c.nodes[s]; ok {
		return n, nil
	}
	if c.count++; c.count > maxSchemaNodes {
		return nil, errors.New("it has too many types")
	}
	if named, ok := s.(hamba.NamedSchema); ok && !validFullName(named.FullName()) {
		return nil, fmt.Errorf("%q is not a name that Avro allows", named.FullName())
	} else if ok && isPrimitive(named.FullName()) {
		return nil, fmt.Errorf("a type cannot have the name %s, which is that of a primitive type", named.FullName())
	}
	n := &node{kind: kinds[s.Type()], name: string(s.Type())}
	if named, ok := s.(hamba.NamedSchema); ok {
		n.aliases = c.aliases[named.FullName()]
	}
	c.nodes[s] = n
	var err error
	switch s := s.(type) {
	case *hamba.PrimitiveSchema:
		n.setLogical(s.Logical(), s)
	case *hamba.FixedSchema:
		n.name, n.size = s.FullName(), s.Size()
		n.setLogical(s.Logical(), s)
	case *hamba.EnumSchema:
		n.name, n.symbols, n.fallback = s.FullName(), s.Symbols(), s.HasDefault()
		n.index = make(map[string]int, len(n.symbols))
		for i, symbol := range n.symbols {
			if !validName(symbol) {
				return nil, fmt.Errorf("%q is not a symbol that Avro allows", symbol)
			}
			n.quoted = append(n.quoted, quoteName(symbol))
			n.index[symbol] = i
		}
	case *hamba.ArraySchema:
		n.items, err = c.node(s.Items())
	case *hamba.MapSchema:
		n.items, err = c.node(s.Values())
	case *hamba.UnionSchema:
		err = c.union(n, s)
	case *hamba.RecordSchema:
		err = c.record(n, s)
	}
	return n, err
}

func (c *compiler) record(n *node, s *hamba.RecordSchema) error {
	n.name = s.FullName()
	n.fields = make([]field, len(s.Fields()))
	n.index = make(map[string]int, len(n.fields))
	c.records = append(c.records, n)
	for i, f := range s.Fields() {
		sub, err := c.node(f.Type())
		if err != nil {
			return err
		}
		if !validName(f.Name()) {
			return fmt.Errorf("%q is not a field name that Avro allows", f.Name())
		}
		quoted := quoteName(f.Name())
		n.fields[i] = field{name: f.Name(), aliases: f.Aliases(), key: quoted + ":", sep: "," + quoted + ":", node: sub}
		_, n.fields[i].hasDefault = c.defaults[member{n.name, f.Name()}]
	}
	// A name beats another field's alias.
	for i, f := range s.Fields() {
		for _, alias := range f.Aliases() {
			n.index[alias] = i
		}
	}
	for i, f := range s.Fields() {
		n.index[f.Name()] = i
	}
	return nil
}

func (c *compiler) union(n *node, s *hamba.UnionSchema) error {
	n.branches = make([]branch, len(s.Types()))
	n.index = make(map[string]int, len(n.branches))
	n.null = -1
	for i, t := range s.Types() {
		sub, err := c.node(t)
		if err != nil {
			return err
		}
		if _, ok := n.index[sub.name]; ok {
			return fmt.Errorf("a union has the branch %s twice", sub.name)
		}
		n.index[sub.name] = i
		n.branches[i] = branch{node: sub, tag: "{" + quoteName(sub.name) + ":"}
		if sub.kind == kindNull {
			n.null = i
		}
	}
	n.setLooks()
	return nil
}

// The parser takes ASCII names only; Java takes all letters, and so does this package. The parser
// has that setting for the whole process only, which is harmless: nothing but this package may
// import it (internal/lint), and it is set before anything is parsed.
func init() { hamba.SkipNameValidation = true }

// validName follows Java's rule: letters, digits and '_', no digit first.
func validName(name string) bool {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != "" && utf8.ValidString(name)
}

// validFullName is strict about the name, as validName is, and takes a namespace as registries hold
// them, with '-' and '$' in it: Java checks no namespace, and tools make one of a cluster's name or
// of a nested class.
func validFullName(name string) bool {
	last := strings.LastIndexByte(name, '.')
	for i, part := range strings.Split(name[:max(last, 0)], ".") {
		plain := strings.NewReplacer("-", "_", "$", "_").Replace(part)
		if !validName("_"+plain) || part == "" && (i > 0 || last >= 0) {
			return false
		}
	}
	return validName(name[last+1:])
}

func isPrimitive(name string) bool {
	switch name {
	case "null", "boolean", "int", "long", "float", "double", "bytes", "string":
		return true
	}
	return false
}

// quoteName makes a JSON string of a valid name, which needs no escapes.
func quoteName(name string) string { return `"` + name + `"` }
