package avro

import (
	"bytes"
	"encoding/binary"
	stdjson "encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"

	"millrace/codec"
	"millrace/codec/json"
)

// oracle compiles a schema with another library, and is nil where that library refuses it. It
// reads logical types as the types below them, as the tagged dialect does.
func oracle(schema string) *twmb.Schema {
	var raw []twmb.SchemaOpt
	for name := range clocks {
		raw = append(raw, twmb.CustomType{LogicalType: name})
	}
	for _, name := range []string{"decimal", "uuid", "duration"} {
		raw = append(raw, twmb.CustomType{LogicalType: name})
	}
	s, err := twmb.Parse(schema, raw...)
	if err != nil {
		return nil
	}
	return s
}

// unordered reports whether a map in a tagged text has several members, whose order
// the oracle does not keep.
func unordered(n *node, t *jsonTree) bool {
	inner := func(k int) *node { return n.items }
	switch {
	case n.kind == kindMap && len(t.kids) > 1:
		return true
	case n.kind == kindRecord:
		inner = func(k int) *node { return n.fields[n.index[unquoted(t.names[k])]].node }
	case n.kind == kindUnion && t.kind == '{':
		inner = func(k int) *node { return n.branches[n.index[unquoted(t.names[k])]].node }
	}
	for k, kid := range t.kids {
		if unordered(inner(k), kid) {
			return true
		}
	}
	return false
}

// agree checks that binary, which text was encoded to, means the same to other libraries.
func agree(t *testing.T, s *twmb.Schema, schema string, text, binary []byte) {
	t.Helper()
	if unordered(compile(t, schema).root, parseTree(string(text))) {
		return
	}
	var v any
	rest, err := s.Decode(binary, &v, twmb.TaggedUnions())
	if err != nil || len(rest) > 0 {
		t.Fatalf("%x of %s is %s; others say %d bytes are left, %v", binary, schema, text, len(rest), err)
	}
	if other, err := s.Encode(v); err != nil || !bytes.Equal(other, binary) {
		t.Fatalf("%s of %s: got %x; others write %x, %v", text, schema, binary, other, err)
	}
	theirs, err := s.EncodeJSON(v, twmb.TaggedUnions())
	if err != nil {
		t.Fatal(err)
	}
	back, err := compile(t, schema).AppendEncoded(nil, theirs, codec.Tagged, nil)
	if err != nil || !bytes.Equal(back, binary) {
		t.Fatalf("%s of %s, which others wrote: got %x, %v, want %x", theirs, schema, back, err, binary)
	}
}

func TestAgreesWithOthers(t *testing.T) {
	for seed := range uint64(1500) {
		g := newGenerator(seed)
		g.simple = true
		r := g.schema(4)
		s := oracle(r.text)
		if s == nil {
			t.Fatalf("others refuse %s", r.text)
		}
		ours := compile(t, r.text)
		if ours.root.kind == kindBytes {
			continue // no length
		}
		text := []byte(r.value())
		b, err := ours.AppendEncoded(nil, text, codec.Tagged, nil)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, s, r.text, text, b)
	}
}

// The standard library sorts members and escapes what it need not.
func TestReordered(t *testing.T) {
	for seed := range uint64(1500) {
		g := newGenerator(seed)
		g.simple = true
		r := g.schema(4)
		s := compile(t, r.text)
		text := []byte(r.value())
		want, err := s.AppendEncoded(nil, text, codec.Tagged, nil)
		if err != nil {
			t.Fatal(err)
		}
		dec := stdjson.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var tree any
		if err := dec.Decode(&tree); err != nil {
			t.Fatal(err)
		}
		if text, err = stdjson.Marshal(tree); err != nil {
			t.Fatal(err)
		}
		if got, err := s.AppendEncoded(nil, text, codec.Tagged, nil); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s of %s: got %x, %v, want %x", text, r.text, got, err, want)
		}
	}
}

// Numbers are read and written in several ways, which must agree.
func TestFloats(t *testing.T) {
	s := compile(t, `"double"`)
	g := newGenerator(1)
	for range 50_000 {
		v := math.Float64frombits(g.Uint64())
		if g.IntN(2) == 0 {
			v = float64(g.Int64N(1e16)) / math.Pow10(g.IntN(17))
		}
		if v != v || math.IsInf(v, 0) {
			continue
		}
		text := strconv.FormatFloat(v, "fge"[g.IntN(3)], g.IntN(30)-1, 64)
		want, err := strconv.ParseFloat(text, 64)
		if err != nil || len(text) > 300 {
			continue
		}
		b, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil || math.Float64frombits(binary.LittleEndian.Uint64(b)) != want {
			t.Fatalf("%s: got %x, %v, want %v", text, b, err, want)
		}
		back, err := s.AppendDecoded(nil, b, codec.Tagged)
		if err != nil {
			t.Fatal(err)
		}
		digits := func(s string) string {
			mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
			return strings.Trim(strings.ReplaceAll(mantissa, ".", ""), "-0")
		}
		if got, err := strconv.ParseFloat(string(back), 64); err != nil || got != want ||
			digits(string(back)) != digits(strconv.FormatFloat(want, 'e', -1, 64)) {
			t.Fatalf("%s came back as %s", text, back)
		}
	}
}

// bounded reports whether err only means that a value is too costly, which may be true in one
// direction alone.
func bounded(err error) bool {
	for _, s := range []string{"too deeply", "too many values", "too costly", "precision", "a decimal of", "would be too long"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}

func seeds(f *testing.F, binary bool) {
	for seed := range uint64(100) {
		g := newGenerator(seed)
		r := g.schema(3)
		text := []byte(r.value())
		if binary {
			var err error
			if text, err = compile(f, r.text).AppendEncoded(nil, text, codec.Tagged, nil); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(r.text, text, seed%2 == 0)
	}
	for _, s := range []string{pairSchema, nodeSchema, suitSchema, decimalSchema} {
		f.Add(s, []byte(`{"a":1,"b":"\ud83d","c":{"long":2},"a":-5}`), false)
		f.Add(s, []byte("\x02\x02\x02\x02\x00"), true)
	}
}

// FuzzEncode: no text makes it panic; what is written can be read, and is then
// written again to the same bytes; others read the same.
func FuzzEncode(f *testing.F) {
	seeds(f, false)
	f.Fuzz(func(t *testing.T, schema string, text []byte, plain bool) {
		if len(schema) > 4096 {
			return
		}
		s, err := Compile(schema, nil)
		if err != nil {
			return
		}
		d := codec.Tagged
		if plain {
			d = codec.Plain
		}
		if !json.Valid(text) {
			_, _ = s.AppendEncoded(nil, text, d, nil)
			return
		}
		text, _ = compactText(text)
		b, err := s.AppendEncoded(nil, text, d, nil)
		if err != nil {
			return
		}
		back, err := s.AppendDecoded(nil, b, d)
		if err != nil {
			if bounded(err) {
				return
			}
			t.Fatalf("%s of %s: %x cannot be read: %v", text, schema, b, err)
		}
		again, err := s.AppendEncoded(nil, back, d, nil)
		if err != nil && bounded(err) {
			return
		}
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%s of %s: %x is read as %s, which is %x, %v", text, schema, b, back, again, err)
		}
		if o := oracle(schema); o != nil && d == codec.Tagged && s.root.kind != kindBytes {
			agree(t, o, schema, back, b)
		}
	})
}

// FuzzRequest: the records of a request take no more time and memory than it may, and each is
// encoded as it would be alone.
func FuzzRequest(f *testing.F) {
	for seed := range uint64(50) {
		g := newGenerator(seed)
		r := g.schema(3)
		f.Add(r.text, []byte(r.value()), uint16(seed), seed%2 == 0)
	}
	f.Add(`{"type":"record","name":"R","fields":[{"name":"s","type":"string","default":"`+strings.Repeat("x", 3000)+`"}]}`, []byte(`{}`), uint16(5000), true)
	f.Add(`{"type":"array","items":{"type":"fixed","name":"F","size":100,"logicalType":"decimal","precision":9,"scale":0}}`, []byte("["+strings.Repeat("0,", 999)+"0]"), uint16(5000), true)
	f.Add(`{"type":"record","name":"R","fields":[`+repeated(100, func(i int) string { return fmt.Sprintf(`{"name":"f%d","type":"null","default":null}`, i) })+`]}`, []byte(`{}`), uint16(5000), true)
	f.Fuzz(func(t *testing.T, schema string, text []byte, n uint16, plain bool) {
		if len(schema) > 8192 || len(text) > 4096 || !json.Valid(text) {
			return
		}
		s, err := Compile(schema, nil)
		if err != nil {
			return
		}
		text, _ = compactText(text)
		if bytes.Equal(text, []byte("null")) {
			return // needs no schema
		}
		e := codec.Encoding{Value: codec.Registered{ID: 1, Schema: s}, Budget: new(codec.Budget)}
		if plain {
			e.Dialect = codec.Plain
		}
		const most = 1 << 20
		e.Budget.Begin(most)
		slab := request(int(n), string(text))
		var arena []byte
		memory, took := measured(func() { arena, err = codec.EncodeRecords(slab, nil, e) })
		if input := uint64(n) * uint64(len(text)); memory > 8*most+16*input || took > patience || len(arena) > most+len(schema) {
			t.Fatalf("%d times %s of %s took %d bytes and %v, and became %d", n, text, schema, memory, took, len(arena))
		}
		if err != nil || n == 0 {
			return
		}
		alone, err := s.AppendEncoded(codec.AppendFrame(nil, 1), text, e.Dialect, nil)
		for i := range slab.Records {
			if err != nil || !bytes.Equal(slab.Records[i].Value, alone) {
				t.Fatalf("%s of %s is %x as record %d, and %x alone, %v", text, schema, slab.Records[i].Value, i, alone, err)
			}
		}
	})
}

// FuzzDecode: no bytes make it panic or write without bounds; what is read is JSON,
// and can be written again.
func FuzzDecode(f *testing.F) {
	seeds(f, true)
	f.Fuzz(func(t *testing.T, schema string, b []byte, plain bool) {
		if len(schema) > 4096 {
			return
		}
		s, err := Compile(schema, nil)
		if err != nil {
			return
		}
		d := codec.Tagged
		if plain {
			d = codec.Plain
		}
		text, err := s.AppendDecoded(nil, b, d)
		if most := min((freeEmpty+2*emptyPerByte*len(b)+64)*(len(schema)+16), maxText+6*(len(schema)+len(b))+64); len(text) > most {
			t.Fatalf("%x of %s became %d bytes", b, schema, len(text))
		}
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%x of %s: %s is not JSON", b, schema, text)
		}
		again, err := s.AppendEncoded(nil, text, d, nil)
		if err != nil {
			if bounded(err) {
				return
			}
			t.Fatalf("%x of %s: %s cannot be written: %v", b, schema, text, err)
		}
		if back, err := s.AppendDecoded(nil, again, d); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%x of %s: %s came back as %s, %v", b, schema, text, back, err)
		}
		if o := oracle(schema); o != nil && d == codec.Tagged && s.root.kind != kindBytes {
			agree(t, o, schema, text, again)
		}
	})
}

// compactText is text without insignificant white space.
func compactText(text []byte) ([]byte, error) {
	w := json.NewWalker(bytes.Clone(text))
	v := w.Value()
	if err := w.Err(); err != nil {
		return nil, fmt.Errorf("cannot read JSON: %w", err)
	}
	return v, nil
}
