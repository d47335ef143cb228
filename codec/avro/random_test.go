package avro

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// randomType is a schema and a generator of its values, as tagged JSON text in the form in which
// they are written again.
type randomType struct {
	text  string
	label string // the tag in a union
	value func() string
}

// generator makes random schemas and values of them.
type generator struct {
	*rand.Rand
	names int
	space string       // namespace of the enclosing record
	known []randomType // named types defined so far
	// simple leaves out maps of several members, as not every library keeps their order.
	simple bool
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 4)), names: 0}
}

// name returns a new type's name; declared are the schema's members that declare it.
func (g *generator) name(kind string) (declared, full, space string) {
	g.names++
	name := kind + strconv.Itoa(g.names)
	switch g.IntN(5) {
	case 0:
		space = fmt.Sprintf("n%d.s", g.IntN(3))
		declared = fmt.Sprintf(`"name":"%s.%s"`, space, name)
	case 1:
		space = fmt.Sprintf("m%d", g.IntN(3))
		declared = fmt.Sprintf(`"namespace":"%s","name":"%s"`, space, name)
	case 2:
		declared = fmt.Sprintf(`"name":"%s","namespace":""`, name)
	case 3:
		space = "top"
		declared = fmt.Sprintf(`"name":"top.%s","namespace":"ignored"`, name)
	default:
		space = g.space
		declared = fmt.Sprintf(`"name":"%s"`, name)
	}
	full, _ = fullName(name, space, "")
	return declared, full, space
}

// named remembers a defined type, so that it can be used again.
func (g *generator) named(r randomType) randomType {
	g.known = append(g.known, r)
	return r
}

// again returns a type that is defined already, by its name; ok is false when none can be named
// here: one without a namespace cannot be named within one.
func (g *generator) again() (r randomType, ok bool) {
	if len(g.known) == 0 {
		return r, false
	}
	r = g.known[g.IntN(len(g.known))]
	space, short := "", r.label
	if at := strings.LastIndexByte(r.label, '.'); at >= 0 {
		space, short = r.label[:at], r.label[at+1:]
	}
	r.text = strconv.Quote(r.label)
	if space == g.space && g.IntN(2) == 0 {
		r.text = strconv.Quote(short)
	}
	return r, space != "" || g.space == ""
}

func (g *generator) schema(depth int) randomType {
	if g.IntN(6) == 0 {
		if r, ok := g.again(); ok {
			return r
		}
	}
	n := 14
	if depth <= 0 {
		n = 10
	}
	switch k := g.IntN(n); k {
	case 8:
		return g.enum()
	case 9:
		return g.fixed()
	case 10, 11:
		return g.record(depth - 1)
	case 12:
		if g.IntN(2) == 0 {
			return g.array(g.schema(depth - 1))
		}
		return g.mapping(g.schema(depth - 1))
	case 13:
		return g.union(depth - 1)
	default:
		if g.IntN(4) == 0 {
			return g.logical()
		}
		return g.primitive(k)
	}
}

// logical is a logical type; decimals are as long as they must be.
func (g *generator) logical() randomType {
	if g.IntN(4) == 0 {
		return randomType{`{"type":"bytes","logicalType":"decimal","precision":60,"scale":` + strconv.Itoa(g.IntN(5)) + `}`, "bytes", func() string {
			out := append([]byte{'"'}, string(rune(1+g.IntN(0x7E)))...)
			if out = appendEscaped(out[:1], out[1]); g.IntN(2) == 0 {
				out = append(out[:1], string(rune(0x80+g.IntN(0x7F)))...)
			}
			for range g.IntN(22) {
				out = appendEscaped(out, byte(g.IntN(0x80)))
			}
			return string(append(out, '"'))
		}}
	}
	names := slices.Sorted(maps.Keys(clocks))
	name := names[g.IntN(len(names))]
	r := g.primitive(map[kind]int{kindInt: 2, kindLong: 3}[clocks[name].kind])
	r.text = fmt.Sprintf(`{"type":%q,"logicalType":%q}`, r.label, name)
	return r
}

func (g *generator) primitive(k int) randomType {
	name := []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string"}[k]
	text := `"` + name + `"`
	if g.IntN(4) == 0 {
		text = `{"type":"` + name + `"}`
	}
	return randomType{text, name, []func() string{
		func() string { return "null" },
		func() string { return strconv.FormatBool(g.IntN(2) == 0) },
		func() string { return strconv.Itoa(int(int32(g.Uint32()) >> g.IntN(32))) },
		func() string { return strconv.FormatInt(int64(g.Uint64())>>g.IntN(64), 10) },
		func() string { return g.float(float64(math.Float32frombits(g.Uint32())), 32) },
		func() string { return g.float(math.Float64frombits(g.Uint64()), 64) },
		func() string { return g.string(0x100) },
		func() string { return g.string(0x11000) },
	}[k]}
}

func (g *generator) float(v float64, size int) string {
	if g.IntN(2) == 0 {
		v = float64(g.IntN(2000)-1000) / 8
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return string(appendDouble(nil, v, size))
}

func (g *generator) string(limit int) string {
	out := []byte{'"'}
	for range g.IntN(12) * g.IntN(4) {
		r := rune(g.IntN(limit))
		switch {
		case g.IntN(3) > 0:
			r = rune(' ' + g.IntN(0x5F))
		case r >= 0xD800 && r < 0xE000:
			r = 'x'
		}
		if r < 0x80 {
			out = appendEscaped(out, byte(r))
		} else {
			out = append(out, string(r)...)
		}
	}
	return string(append(out, '"'))
}

func (g *generator) enum() randomType {
	declared, name, _ := g.name("E")
	n := 1 + g.IntN(12)
	var symbols []string
	for i := range n {
		symbols = append(symbols, `"S`+strconv.Itoa(i)+`"`)
	}
	return g.named(randomType{
		`{"type":"enum",` + declared + `,"symbols":[` + strings.Join(symbols, ",") + `]}`, name,
		func() string { return symbols[g.IntN(n)] },
	})
}

func (g *generator) fixed() randomType {
	declared, name, _ := g.name("F")
	n := 1 + g.IntN(20)
	return g.named(randomType{fmt.Sprintf(`{"type":"fixed",%s,"size":%d}`, declared, n), name, func() string {
		out := []byte{'"'}
		for range n {
			if c := byte(g.Uint32()); c < 0x80 {
				out = appendEscaped(out, c)
			} else {
				out = append(out, string(rune(c))...)
			}
		}
		return string(append(out, '"'))
	}})
}

func (g *generator) array(items randomType) randomType {
	return randomType{`{"type":"array","items":` + items.text + `}`, "array", func() string {
		n := g.IntN(4)
		if g.IntN(20) == 0 {
			n = 70
		}
		parts := make([]string, n)
		for i := range parts {
			parts[i] = items.value()
		}
		return "[" + strings.Join(parts, ",") + "]"
	}}
}

func (g *generator) mapping(values randomType) randomType {
	return randomType{`{"type":"map","values":` + values.text + `}`, "map", func() string {
		n := g.IntN(4)
		if g.simple {
			n = min(n, 1) // others keep no order
		}
		var parts []string
		for i := range n {
			parts = append(parts, strings.TrimSuffix(g.string(0x800), `"`)+strconv.Itoa(i)+`":`+values.value())
		}
		return "{" + strings.Join(parts, ",") + "}"
	}}
}

func (g *generator) record(depth int) randomType {
	declared, name, space := g.name("R")
	defer func(outer string) { g.space = outer }(g.space)
	g.space = space
	var fields []string
	var types []randomType
	n := g.IntN(6)
	for i := range n {
		f := g.schema(depth)
		types = append(types, f)
		fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":%s}`, n-i, f.text))
	}
	left := 3
	if g.IntN(2) == 0 { // recursive
		fields = append(fields, fmt.Sprintf(`{"name":"self","type":["null",%q]}`, name))
	}
	r := randomType{text: fmt.Sprintf(`{"type":"record",%s,"fields":[%s]}`, declared, strings.Join(fields, ",")), label: name}
	r.value = func() string {
		var parts []string
		for i, f := range types {
			parts = append(parts, fmt.Sprintf(`"f%d":%s`, n-i, f.value()))
		}
		if len(fields) > n {
			if left--; left > 0 {
				parts = append(parts, fmt.Sprintf(`"self":{%q:%s}`, name, r.value()))
			} else {
				parts = append(parts, `"self":null`)
			}
			left++
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return g.named(r)
}

func (g *generator) union(depth int) randomType {
	var branches []randomType
	var texts []string
	used := map[string]bool{}
	for range 1 + g.IntN(5) {
		known := len(g.known)
		b := g.schema(depth)
		if b.label == "" || used[b.label] {
			g.known = g.known[:known] // no text holds the types that it defines
			continue
		}
		used[b.label] = true
		branches = append(branches, b)
		texts = append(texts, b.text)
	}
	if len(branches) == 0 {
		return g.primitive(7)
	}
	return randomType{"[" + strings.Join(texts, ",") + "]", "", func() string {
		b := branches[g.IntN(len(branches))]
		if b.label == "null" {
			return "null"
		}
		return fmt.Sprintf(`{%q:%s}`, b.label, b.value())
	}}
}
