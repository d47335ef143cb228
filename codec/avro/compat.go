package avro

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxComparisons bounds the pairs of types that one comparison looks at: a few for
// each type that a schema may have.
const maxComparisons = 1 << 18

var errComparisons = errors.New("the schemas are too complex to be compared")

// Reads returns nil if s reads all that was written with writer, else an error
// that says which part it does not read. The rules are those of Java's
// SchemaCompatibility, which Confluent's registry goes by: types with the same
// short name are the same type, logical types do not matter, and a field that
// finds two fields of the writer by its name and aliases is refused.
//
// The library that parses schemas has such a check, which is not used: it sees no
// defaults (takeDefaults), refuses some that Java takes when it does, and accepts a
// field that finds two. TestReads compares it with this one.
func (s *Schema) Reads(writer *Schema) error {
	c := comparison{failed: map[pair]error{}}
	for {
		c.assumed, c.learned = map[pair]bool{}, false
		if err := c.reads(s.root, writer.root); err != nil || !c.learned {
			return err
		}
	}
}

// pair is a type of the reader and one of the writer.
type pair struct{ reader, writer *node }

// comparison is one run of [Schema.Reads]. Types are recursive, so a pair under comparison counts
// as compatible (assumed) until it fails. A failure is final, because it happened although more
// was assumed than may hold. A success is not: it may rest on a pair that failed later, behind
// another branch of a union. So the whole comparison is repeated until one round adds no failure
// (learned).
type comparison struct {
	assumed map[pair]bool
	failed  map[pair]error
	learned bool
	steps   int
	path    []string // of the value under comparison
}

func (c *comparison) reads(r, w *node) error {
	p := pair{r, w}
	if err := c.failed[p]; err != nil || c.assumed[p] {
		return err
	}
	if c.steps++; c.steps > maxComparisons {
		return errComparisons
	}
	c.assumed[p] = true
	err := c.match(r, w)
	if err != nil {
		c.failed[p], c.learned = err, true
	}
	return err
}

// readsAt is reads for a part of the present value.
func (c *comparison) readsAt(part string, r, w *node) error {
	c.path = append(c.path, part)
	defer func() { c.path = c.path[:len(c.path)-1] }()
	return c.reads(r, w)
}

func (c *comparison) problem(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if len(c.path) > 0 {
		text = "at " + strings.Join(c.path, ".") + ": " + text
	}
	return errors.New(text)
}

func (c *comparison) match(r, w *node) error {
	switch {
	case w.kind == kindUnion:
		for _, b := range w.branches {
			if err := c.reads(r, b.node); err != nil {
				return err
			}
		}
		return nil
	case r.kind == kindUnion:
		for _, b := range r.branches {
			if alike(b.node, w) {
				if err := c.reads(b.node, w); err == nil || err == errComparisons {
					return err
				}
			}
		}
		return c.problem("no branch of the reader's union reads the writer's %s", w.name)
	case !alike(r, w) && r.kind == w.kind:
		return c.problem("the writer's type is called %s, the reader's %s, which has no such alias", w.name, r.name)
	case !alike(r, w):
		return c.problem("%s cannot be read as %s", w.name, r.name)
	case r.kind == w.kind:
		return c.matchParts(r, w)
	}
	return nil
}

// alike reports whether two types, of which neither is a union, can be compatible by
// their kinds and names.
func alike(r, w *node) bool {
	switch {
	case r.kind != w.kind:
		return promotes(w.kind, r.kind)
	case r.kind == kindFixed, r.kind == kindEnum, r.kind == kindRecord:
		return shortName(r.name) == shortName(w.name) || slices.Contains(r.aliases, w.name)
	}
	return true
}

// promotes reports whether a value of type from can be read as one of another type.
func promotes(from, to kind) bool {
	switch from {
	case kindInt:
		return to == kindLong || to == kindFloat || to == kindDouble
	case kindLong:
		return to == kindFloat || to == kindDouble
	case kindFloat:
		return to == kindDouble
	case kindString:
		return to == kindBytes
	case kindBytes:
		return to == kindString
	}
	return false
}

// matchParts compares the parts of two types that are alike, of one kind.
func (c *comparison) matchParts(r, w *node) error {
	switch r.kind {
	case kindArray, kindMap:
		return c.readsAt("[]", r.items, w.items)
	case kindFixed:
		if r.size != w.size {
			return c.problem("%s has %d bytes at the writer and %d at the reader", r.name, w.size, r.size)
		}
	case kindEnum:
		for _, symbol := range w.symbols {
			if _, ok := r.index[symbol]; !ok && !r.fallback {
				return c.problem("the reader's %s has neither the symbol %s nor a default", r.name, symbol)
			}
		}
	case kindRecord:
		return c.matchFields(r, w)
	}
	return nil
}

func (c *comparison) matchFields(r, w *node) error {
	for i := range r.fields {
		f := &r.fields[i]
		var from *field
		for _, name := range append([]string{f.name}, f.aliases...) {
			k, ok := w.index[name]
			switch {
			case !ok || w.fields[k].name != name: // the writer's aliases do not count
			case from != nil && from != &w.fields[k]:
				return c.problem("the reader's field %s is both %s and %s of the writer", f.name, from.name, name)
			default:
				from = &w.fields[k]
			}
		}
		if from == nil {
			if !f.hasDefault {
				return c.problem("the reader's field %s has no default, and the writer has no such field", f.name)
			}
			continue
		}
		if err := c.readsAt(f.name, f.node, from.node); err != nil {
			return err
		}
	}
	return nil
}

func shortName(full string) string { return full[strings.LastIndexByte(full, '.')+1:] }
