package jsonschema

import (
	"bytes"

	"millrace/codec/json"
	"millrace/pool"
)

// tree is a JSON value in the library's form, with the counts of its parts.
type tree struct {
	value   any
	objects int // with each true and false, which are schemas too
	paths   int // bytes of the JSON pointers of all objects, about
	depth   int // of its nesting; 0 for a scalar
}

// grow builds the tree of b, one valid JSON value. Its strings are views of b where they have no
// escapes. fault tells why a value cannot be checked at all.
//
// sonic, with views for strings, takes 12.1 us for the record of BenchmarkTree, where this takes
// 8.3, and 10.7 instead of 12.0 for a citation. It would need a second walk for the counts.
func grow(b []byte) (t tree, fault string) {
	g := grower{b: b}
	g.space()
	t.value = g.value(0)
	t.objects, t.paths, t.depth = g.objects, g.paths, g.depth
	return t, g.fault
}

// grower reads a text that is known to be valid, so it looks at no more bytes
// than it must.
type grower struct {
	b       []byte
	i       int
	objects int
	path    int // bytes of the JSON pointer to here, about
	paths   int
	depth   int
	fault   string
}

func (g *grower) space() { g.i = json.SkipSpace(g.b, g.i) }

func (g *grower) value(depth int) any {
	switch g.b[g.i] {
	case '{':
		return g.object(depth + 1)
	case '[':
		return g.array(depth + 1)
	case '"':
		return g.str()
	case 't':
		g.i += len("true")
		g.objects++
		return true
	case 'f':
		g.i += len("false")
		g.objects++
		return false
	case 'n':
		g.i += len("null")
		return nil
	}
	return g.number()
}

func (g *grower) object(depth int) any {
	m := map[string]any{}
	g.objects++
	g.paths += g.path
	g.depth = max(g.depth, depth)
	for g.more('}') {
		name := g.str()
		g.space()
		g.i++ // the colon
		g.space()
		g.path += len(name) + 1
		m[name] = g.value(depth)
		g.path -= len(name) + 1
	}
	return m
}

func (g *grower) array(depth int) any {
	list := []any{}
	g.depth = max(g.depth, depth)
	g.path += len("/00")
	for g.more(']') {
		list = append(list, g.value(depth))
	}
	g.path -= len("/00")
	return list
}

// more steps over the opening byte or a comma and reports whether a member or an element follows;
// if none does, it steps over the closing byte.
func (g *grower) more(closing byte) bool {
	g.space()
	if g.b[g.i] != closing {
		g.i++
		g.space()
	}
	if g.b[g.i] == closing {
		g.i++
		return false
	}
	return true
}

func (g *grower) str() string {
	start, escaped := g.i, false
	for g.i++; g.b[g.i] != '"'; g.i++ {
		if g.b[g.i] == '\\' {
			escaped = true
			g.i++
		}
	}
	g.i++
	raw := g.b[start:g.i]
	if escaped {
		return string(json.Unquote(bytes.Clone(raw)))
	}
	return pool.String(raw[1 : len(raw)-1])
}

// number takes a number's text. The library computes with exact fractions, so
// 1e999999 would be a number of a million digits.
func (g *grower) number() any {
	start, mark := g.i, 0
loop:
	for ; g.i < len(g.b); g.i++ {
		switch c := g.b[g.i]; c {
		case ',', ']', '}', ' ', '\n', '\r', '\t':
			break loop
		case 'e', 'E':
			mark = g.i + 1
		}
	}
	if g.i-start > maxDigits || mark > 0 && exponent(g.b[mark:g.i]) > maxDigits {
		g.fault = "a number has more than 1000 digits"
	}
	return json.Number(pool.String(g.b[start:g.i]))
}

// exponent is the absolute value of an exponent, or more than maxDigits.
func exponent(b []byte) int {
	n := 0
	for _, c := range b {
		if c >= '0' && c <= '9' && n <= maxDigits {
			n = n*10 + int(c-'0')
		}
	}
	return n
}
