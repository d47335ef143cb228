package avro

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
)

// jsonTree is a JSON text taken apart, whose parts can be changed. It keeps the order
// of members, members that come twice, and scalars as they are written.
type jsonTree struct {
	kind   byte     // '{', '[', or 0
	scalar string   // as it is written
	names  []string // as they are written
	kids   []*jsonTree
}

// parseTree takes a text apart, which has no white space.
func parseTree(text string) *jsonTree {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	next := func() (json.Token, string) {
		from := dec.InputOffset()
		token, err := dec.Token()
		if err != nil && err != io.EOF {
			panic(err)
		}
		return token, strings.TrimLeft(text[from:dec.InputOffset()], ",:")
	}
	var value func() *jsonTree
	value = func() *jsonTree {
		token, raw := next()
		delim, ok := token.(json.Delim)
		if !ok {
			return &jsonTree{scalar: raw}
		}
		t := &jsonTree{kind: byte(delim)}
		for dec.More() {
			if delim == '{' {
				_, name := next()
				t.names = append(t.names, name)
			}
			t.kids = append(t.kids, value())
		}
		next() // the closing one
		return t
	}
	return value()
}

func (t *jsonTree) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t *jsonTree) write(b *strings.Builder) {
	if t.kind == 0 {
		b.WriteString(t.scalar)
		return
	}
	b.WriteByte(t.kind)
	for i, k := range t.kids {
		if i > 0 {
			b.WriteByte(',')
		}
		if t.kind == '{' {
			b.WriteString(t.names[i] + ":")
		}
		k.write(b)
	}
	b.WriteByte(t.kind + 2) // ']' and '}' are two behind
}

// nodes are all values within t, and t.
func (t *jsonTree) nodes() []*jsonTree {
	all := []*jsonTree{t}
	for _, k := range t.kids {
		all = append(all, k.nodes()...)
	}
	return all
}

// put has a member stand at i.
func (t *jsonTree) put(i int, name string, value *jsonTree) {
	t.names = slices.Insert(t.names, i, name)
	t.kids = slices.Insert(t.kids, i, value)
}

// oddValues are values that a client might send where another is expected.
var oddValues = []string{
	`null`, `true`, `0`, `-1`, `1.0`, `1e3`, `1.5`, `"1"`, `"1.5"`, `2147483647`, `2147483648`, `-2147483649`,
	`9223372036854775807`, `9223372036854775808`, `1e400`, `-0.0`, `1e-400`, `3.5e38`, `"NaN"`, `"Infinity"`, `"-Infinity"`, `"nan"`, `""`, `"a"`,
	`"S0"`, `"S99"`, `"\u00ff"`, `"\u0100"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\ude00"`, `"\/\b\u0000"`, `[]`, `[1]`, `{}`,
	`{"string":"a"}`, `{"null":null}`, `{"int":1}`, `{"nope":1}`, `"2023-11-14T22:13:20Z"`,
}

// oddNames are names that a client might give a member.
var oddNames = []string{
	`""`, `"nope"`, `"string"`, `"bytes"`, `"int"`, `"long"`, `"double"`, `"null"`, `"array"`, `"map"`, `"f1"`, `"f2"`, `"a1"`,
	`"\u00661"`, `"self"`, `"R1"`, `"top.R1"`,
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// mutate makes a text that is wrong, or odd, of a correct one. It stays JSON.
func mutate(r *rand.Rand, text string) string {
	t := parseTree(text)
	for range 1 + r.IntN(8)/7 {
		t.change(r)
	}
	return t.String()
}

// change changes one value within t.
func (t *jsonTree) change(r *rand.Rand) {
	n := pick(r, t.nodes())
	odd := &jsonTree{scalar: pick(r, oddValues)}
	if strings.ContainsAny(odd.scalar[:1], "[{") {
		odd = parseTree(odd.scalar)
	}
	switch {
	case r.IntN(6) == 0:
		*n = *odd
	case r.IntN(12) == 0:
		inner := *n
		*n = jsonTree{kind: '{', names: []string{pick(r, oddNames)}, kids: []*jsonTree{&inner}}
	case n.kind == '{':
		n.changeObject(r, odd)
	case n.kind == '[':
		n.kids = slices.Insert(n.kids, r.IntN(len(n.kids)+1), odd)
	case n.scalar[0] == '"':
		n.changeString(r)
	default:
		n.scalar = pick(r, []string{n.scalar + ".0", n.scalar + "e0", n.scalar + "0e-1", n.scalar + "0000000000", `"` + n.scalar + `"`, n.scalar + ".5"})
		if !json.Valid([]byte(n.scalar)) {
			n.scalar = "17"
		}
	}
}

func (t *jsonTree) changeObject(r *rand.Rand, odd *jsonTree) {
	if len(t.kids) == 0 {
		t.put(0, pick(r, oddNames), odd)
		return
	}
	at := r.IntN(len(t.kids))
	switch r.IntN(7) {
	case 0, 1:
		r.Shuffle(len(t.kids), func(i, j int) {
			t.names[i], t.names[j] = t.names[j], t.names[i]
			t.kids[i], t.kids[j] = t.kids[j], t.kids[i]
		})
	case 2:
		t.put(r.IntN(len(t.kids)+1), pick(r, oddNames), odd)
	case 3:
		t.names, t.kids = slices.Delete(t.names, at, at+1), slices.Delete(t.kids, at, at+1)
	case 4:
		t.put(r.IntN(len(t.kids)+1), t.names[at], odd) // twice
	case 5:
		t.names[at] = pick(r, oddNames)
	case 6:
		*t = *t.kids[at] // without its tag
	}
}

func (t *jsonTree) changeString(r *rand.Rand) {
	inner := t.scalar[1 : len(t.scalar)-1]
	t.scalar = `"` + pick(r, []string{
		inner + `\u0100`, inner + `\ud83d`, inner + `x`, inner + `\u0078`, `\u00e9` + inner, strings.ToLower(inner), inner + inner,
	}) + `"`
}

// damage changes bytes, or how many there are.
func damage(r *rand.Rand, encoded []byte) []byte {
	b := bytes.Clone(encoded)
	for range 1 + r.IntN(3)/2 {
		if len(b) == 0 {
			return append(b, byte(r.Uint32()))
		}
		at := r.IntN(len(b))
		switch r.IntN(6) {
		case 0:
			b = b[:at]
		case 1:
			b = slices.Insert(b, at, byte(r.Uint32()))
		case 2:
			b = slices.Delete(b, at, at+1)
		case 3:
			b[at] ^= 1 << r.IntN(8)
		case 4:
			b[at] = pick(r, []byte{0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF})
		case 5:
			b = append(b, b[at:]...)
		}
	}
	return b
}

func unquoted(quoted string) (text string) {
	if err := json.Unmarshal([]byte(quoted), &text); err != nil {
		panic(err)
	}
	return text
}
