package avro

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"millrace/codec"
)

const (
	decimalSchema = `{"type":"bytes","logicalType":"decimal","precision":40,"scale":2}`
	inArray       = `{"type":"array","items":`
)

// TestPlain has the expected binary, and the expected plain JSON of it; the latter is the former
// text when it is empty.
func TestPlain(t *testing.T) {
	for _, c := range []struct{ schema, text, binary, back string }{
		// A union's value without its tag, and with it.
		{`["null","string"]`, `"s"`, `020273`, ``},
		{`["null","string"]`, `null`, `00`, ``},
		{`["null","string"]`, `{"string":"s"}`, `020273`, `"s"`},
		{`["null","int","string","boolean",{"type":"array","items":["null","double"]}]`, `[null,1.5]`, `08040002000000000000f83f00`, ``},
		{`["null","int","string","boolean"]`, `7`, `020e`, ``},
		{`["int","long"]`, `3000000000`, `0280f882ad16`, `{"long":3000000000}`},
		{`["int","long"]`, `{"int":5}`, `000a`, ``},
		{`["long","double"]`, `1.5`, `02000000000000f83f`, `{"double":1.5}`},
		{`["string",` + suitSchema + `]`, `"other"`, `000a6f74686572`, `{"string":"other"}`},
		{`["string",` + suitSchema + `]`, `{"Suit":"SPADES"}`, `0202`, ``},
		{`["null","double"]`, `{"double":"NaN"}`, `02000000000000f87f`, ``},
		{`"double"`, `"NaN"`, `000000000000f87f`, ``},
		{nodeSchema, `{"v":1,"next":{"v":2,"next":null}}`, `02020400`, ``},
		{nodeSchema, `{"v":1,"next":{"x.y.Node":{"v":2,"next":null}}}`, `02020400`, `{"v":1,"next":{"v":2,"next":null}}`},
		{`["null",{"type":"map","values":"int"}]`, `{"a":1}`, `0202026102` + `00`, ``},
		{`["null",{"type":"map","values":"int"}]`, `{"map":{"map":1}}`, `0202066d617002` + `00`, ``},
		{`["null",{"type":"map","values":"int"}]`, `{}`, `0200`, ``},
		{`["string",{"type":"record","name":"R","fields":[{"name":"string","type":"int"}]}]`, `{"R":{"string":1}}`, `0202`, ``},
		{`["string",{"type":"record","name":"R","fields":[{"name":"string","type":"int"},{"name":"b","type":"int"}]}]`, `{"string":1,"b":2}`, `020204`, ``},
		{`[{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]},{"type":"record","name":"B","fields":[{"name":"b","type":"int"},{"name":"c","type":"int","default":3}]}]`, `{"b":1}`, `020206`, `{"B":{"b":1,"c":3}}`},
		{`[{"type":"map","values":"int"},{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]}]`, `{"a":1}`, `0202`, `{"A":{"a":1}}`},
		{`[{"type":"map","values":"int"},{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]}]`, `{"b":1}`, `0002026202` + `00`, `{"map":{"b":1}}`},

		// Defaults.
		{`{"type":"record","name":"D","fields":[{"name":"a","type":"int","default":7},{"name":"b","type":["null","string"],"default":"x"},{"name":"l","type":"long","default":9007199254740993}]}`, `{}`, `0e02027882808080808080` + `20`, `{"a":7,"b":"x","l":9007199254740993}`},
		{`{"type":"record","name":"D","fields":[{"name":"in","type":{"type":"record","name":"I","fields":[{"name":"y","type":"bytes","default":"\u00ff"},{"name":"z","type":{"type":"array","items":"int"},"default":[1,2]}]},"default":{}},{"name":"e","type":"int"}]}`, `{"e":1}`, `02ff04020400` + `02`, `{"in":{"y":"ÿ","z":[1,2]},"e":1}`},

		// Decimals.
		{inArray + decimalSchema + `}`, `[12.34,-12.34,0,0.05,-1e2,1.2300e1,255.99,-0.01]`, `10` + `0404d2` + `04fb2e` + `0200` + `0205` + `04d8f0` + `0404ce` + `0463ff` + `02ff` + `00`, `[12.34,-12.34,0.00,0.05,-100.00,12.30,255.99,-0.01]`},
		{decimalSchema, `-1.28`, `80`, ``},
		{decimalSchema, `1.28`, `0080`, ``},
		{decimalSchema, `184467440737095516.16`, `010000000000000000`, ``},
		{decimalSchema, `-92233720368547758.08`, `8000000000000000`, ``},
		{decimalSchema, `99999999999999999999999999999999999999.99`, `1d6329f1c35ca4bfabb9f560ffffffffff`, ``},
		{decimalSchema, `-99999999999999999999999999999999999999.99`, `e29cd60e3ca35b4054460a9f0000000001`, ``},
		{`{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":9,"scale":0}`, `-7`, `fffffff9`, ``},
		{`["null",` + decimalSchema + `]`, `1.5`, `020400` + `96`, `1.50`},

		// Times.
		{`{"type":"int","logicalType":"date"}`, `"1970-01-02"`, `02`, ``},
		{`{"type":"int","logicalType":"date"}`, `"0000-01-01"`, `cfea57`, ``},
		{`{"type":"int","logicalType":"date"}`, `3`, `06`, `"1970-01-04"`},
		{`{"type":"int","logicalType":"date"}`, `2147483647`, `feffffff0f`, ``},
		{`{"type":"int","logicalType":"time-millis"}`, `"01:00"`, `80bab703`, `"01:00:00.000"`},
		{`{"type":"int","logicalType":"time-millis"}`, `86400000`, `80f0b252`, ``},
		{`{"type":"long","logicalType":"time-micros"}`, `"00:00:00.000001"`, `02`, ``},
		{`{"type":"long","logicalType":"timestamp-millis"}`, `"1970-01-01T00:00:01.500Z"`, `b817`, ``},
		{`{"type":"long","logicalType":"timestamp-millis"}`, `"1970-01-01T01:00:00+01:00"`, `00`, `"1970-01-01T00:00:00.000Z"`},
		{`{"type":"long","logicalType":"timestamp-millis"}`, `"1969-12-31 23:59:59.9990000z"`, `01`, `"1969-12-31T23:59:59.999Z"`},
		{`{"type":"long","logicalType":"timestamp-millis"}`, `-9223372036854775808`, `ffffffffffffffffff01`, ``},
		{`{"type":"long","logicalType":"timestamp-micros"}`, `"9999-12-31T23:59:59.999999Z"`, `feff9ac79983a28407`, ``},
		{`{"type":"long","logicalType":"timestamp-nanos"}`, `"1970-01-01T00:00:00.000000001Z"`, `02`, ``},
		{`{"type":"long","logicalType":"timestamp-nanos"}`, `9223372036854775807`, `feffffffffffffffff01`, ``},
		{`{"type":"long","logicalType":"local-timestamp-millis"}`, `"1970-01-01T00:00:00.001"`, `02`, ``},
		{`{"type":"long","logicalType":"local-timestamp-micros"}`, `"2024-02-29T00:00"`, `8080a28cbe9e8906`, `"2024-02-29T00:00:00.000000"`},
		{`["null",{"type":"long","logicalType":"timestamp-millis"}]`, `"1970-01-01T00:00:00.001Z"`, `0202`, ``},
		{`["string",{"type":"long","logicalType":"timestamp-millis"}]`, `"x"`, `000278`, `{"string":"x"}`},
		{`["string",{"type":"long","logicalType":"timestamp-millis"}]`, `5`, `020a`, `{"long":"1970-01-01T00:00:00.005Z"}`},

		// Others.
		{`{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}`, `"12345678-9abc-DEF0-1234-56789abcdef0"`, `123456789abcdef0123456789abcdef0`, `"12345678-9abc-def0-1234-56789abcdef0"`},
		{`{"type":"string","logicalType":"uuid"}`, `"no uuid"`, `0e6e6f2075756964`, ``},
		{`{"type":"float","logicalType":"date"}`, `1.5`, `0000c03f`, ``},
		{`"bytes"`, `"ÿ"`, `ff`, ``},
	} {
		s := compile(t, c.schema)
		got, err := s.AppendEncoded([]byte("before"), []byte(c.text), codec.Plain, nil)
		if err != nil {
			t.Errorf("%s of %s: %v", c.text, c.schema, err)
			continue
		}
		got = bytes.TrimPrefix(got, []byte("before"))
		if hex.EncodeToString(got) != c.binary {
			t.Errorf("%s of %s: got %x, want %s", c.text, c.schema, got, c.binary)
		}
		if c.back == "" {
			c.back = c.text
		}
		if back, err := s.AppendDecoded([]byte("before"), got, codec.Plain); err != nil || string(back) != "before"+c.back {
			t.Errorf("%x of %s: got %s, %v, want %s", got, c.schema, back, err, c.back)
		}
	}
}

func TestPlainMismatches(t *testing.T) {
	const two = `[{"type":"record","name":"A","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":0}]},{"type":"record","name":"B","fields":[{"name":"a","type":"int"}]}]`
	const millis = `{"type":"long","logicalType":"timestamp-millis"}`
	for _, c := range []struct{ schema, text, path, problem string }{
		{`["null","string"]`, `7`, "", `expected one of null, string, got 7`},
		{`["null","int"]`, `"7"`, "", `expected one of null, int, got "7"`},
		{`["null","int"]`, `1.5`, "", `expected int, got 1.5`},
		{`["null","int"]`, `{}`, "", `expected one of null, int, got an object`},
		{`["null","int"]`, `{"long":1}`, "", `expected null or {"int":…}, got the branch "long"`},
		{`["int","long"]`, `5`, "", `5 fits several branches of the union, such as int and long: send {"int":…} or {"long":…}`},
		{`["int","long"]`, `1e30`, "", `expected one of int, long, got 1e30, which fits none`},
		{`["string",` + suitSchema + `]`, `"SPADES"`, "", `"SPADES" fits several branches of the union, such as string and Suit: send {"string":…} or {"Suit":…}`},
		{two, `{"a":1}`, "", `an object fits several branches of the union, such as A and B: send {"A":…} or {"B":…}`},
		{two, `{"a":1,"c":2}`, "", `expected one of A, B, got an object, which fits none`},
		{two, `{"a":"x","b":2}`, ".a", `expected int, got "x"`},
		{userSchema, `{}`, ".name", `missing, and it has no default`},
		{`{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}`, `{}`, ".a", `missing, and it has no default`},
		{decimalSchema, `"1.5"`, "", `expected a number (decimal), got "1.5"`},
		{decimalSchema, `1.234`, "", `1.234 has more digits behind the point than the scale of decimal(40, 2)`},
		{decimalSchema, `1e39`, "", `1e39 has more digits than the precision of decimal(40, 2)`},
		{decimalSchema, `1e999999999`, "", `1e999999999 has more digits than the precision of decimal(40, 2)`},
		{`{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4,"scale":0}`, `99999`, "", `99999 has more digits than the precision of decimal(4, 0)`},
		{millis, `"2024-01-01T00:00:00"`, "", `expected a time such as 2006-01-02T15:04:05Z, no finer than its schema, got "2024-01-01T00:00:00"`},
		{millis, `"2024-01-01T00:00:00.0001Z"`, "", `expected a time such as 2006-01-02T15:04:05Z, no finer than its schema, got "2024-01-01T00:00:00.0001Z"`},
		{millis, `"2023-02-29T00:00:00Z"`, "", `expected a time such as 2006-01-02T15:04:05Z, no finer than its schema, got "2023-02-29T00:00:00Z"`},
		{millis, `true`, "", `expected long, got true`},
		{`{"type":"long","logicalType":"timestamp-nanos"}`, `"2300-01-01T00:00:00Z"`, "", `expected a time between 1678 and 2262, got "2300-01-01T00:00:00Z"`},
		{`{"type":"long","logicalType":"local-timestamp-millis"}`, `"2024-01-01T00:00:00Z"`, "", `expected a local time such as 2006-01-02T15:04:05, no finer than its schema, got "2024-01-01T00:00:00Z"`},
		{`{"type":"int","logicalType":"date"}`, `"2024-1-1"`, "", `expected a date such as 2006-01-02, got "2024-1-1"`},
		{`{"type":"int","logicalType":"time-millis"}`, `"24:00"`, "", `expected a time such as 15:04:05, no finer than its schema, got "24:00"`},
		{`{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}`, `"12345678-9abc-def0-1234-56789abcdef"`, "", `expected a UUID, got "12345678-9abc-def0-1234-56789abcdef"`},
	} {
		_, err := compile(t, c.schema).AppendEncoded(nil, []byte(c.text), codec.Plain, nil)
		var m *codec.Mismatch
		if !errors.As(err, &m) || m.Path != c.path || m.Problem != c.problem {
			t.Errorf("%s of %s:\n got %v\nwant %s: %s", c.text, c.schema, err, c.path, c.problem)
		}
	}
}

// The plain dialect reads the text that it writes, to the same binary, for every schema.
func TestPlainRoundTrip(t *testing.T) {
	for seed := range uint64(3000) {
		g := newGenerator(seed)
		r := g.schema(4)
		s := compile(t, r.text)
		text := r.value()
		b, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if err != nil {
			t.Fatalf("seed %d: %s of %s: %v", seed, text, r.text, err)
		}
		if back, err := s.AppendDecoded(nil, b, codec.Tagged); err != nil || string(back) != text {
			t.Fatalf("seed %d: %s: got %s, %v, want %s", seed, r.text, back, err, text)
		}
		plain, err := s.AppendDecoded(nil, b, codec.Plain)
		if err != nil {
			t.Fatalf("seed %d: %x of %s: %v", seed, b, r.text, err)
		}
		again, err := s.AppendEncoded(nil, plain, codec.Plain, nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("seed %d: %s of %s: got %x, %v, want %x", seed, plain, r.text, again, err, b)
		}
	}
}

// A search for the branch that fits reads members more than once; in nesting that
// must not multiply.
func TestLooksAreBounded(t *testing.T) {
	s := compile(t, `{"type":"record","name":"A","fields":[{"name":"n","type":["null","A",{"type":"record","name":"B","fields":[{"name":"n","type":["null","A","B"]},{"name":"x","type":"int","default":0}]}]},{"name":"y","type":"string"}]}`)
	text := func(levels int) []byte {
		pad := strings.Repeat("x", 1<<13)
		return []byte(strings.Repeat(`{"n":`, levels) + "null" + strings.Repeat(`,"y":"`+pad+`"}`, levels))
	}
	if _, err := s.AppendEncoded(nil, text(20), codec.Plain, nil); err != nil {
		t.Error(err)
	}
	if _, err := s.AppendEncoded(nil, text(500), codec.Plain, nil); err == nil || !strings.Contains(err.Error(), "too costly") {
		t.Error(err)
	}
}
