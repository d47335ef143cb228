package avro

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"millrace/codec"
)

func compile(t testing.TB, text string, references ...Reference) *Schema {
	t.Helper()
	s, err := Compile(text, references)
	if err != nil {
		t.Fatalf("cannot compile %s: %v", text, err)
	}
	return s
}

const (
	userSchema = `{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}`
	pairSchema = `{"type":"record","name":"P","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"},{"name":"c","type":["null","long"]}]}`
	nodeSchema = `{"type":"record","name":"Node","namespace":"x.y","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","Node"]}]}`
	suitSchema = `{"type":"enum","name":"Suit","symbols":["HEARTS","SPADES"]}`
)

// TestTagged has the expected binary, and the expected JSON of it; the latter is the former text
// when it is empty.
func TestTagged(t *testing.T) {
	hundred := "[" + strings.Repeat("0,", 99) + "0]"
	for _, c := range []struct{ schema, text, binary, back string }{
		{`"null"`, `null`, ``, ``},
		{`"boolean"`, `true`, `01`, ``},
		{`{"type":"boolean"}`, `false`, `00`, ``},
		{`"int"`, `0`, `00`, ``},
		{`"int"`, `-1`, `01`, ``},
		{`"int"`, `-0`, `00`, `0`},
		{`"int"`, `2147483647`, `feffffff0f`, ``},
		{`"int"`, `-2147483648`, `ffffffff0f`, ``},
		{`"int"`, `1.0`, `02`, `1`},
		{`"int"`, `1.50e1`, `1e`, `15`},
		{`"int"`, `1200e-2`, `18`, `12`},
		{`"int"`, `0.0e999999999999`, `00`, `0`},
		{`"int"`, `0e-5`, `00`, `0`},
		{`"long"`, `9223372036854775807`, `feffffffffffffffff01`, ``},
		{`"long"`, `-9223372036854775808`, `ffffffffffffffffff01`, ``},
		{`"long"`, `-9.223372036854775808e18`, `ffffffffffffffffff01`, `-9223372036854775808`},
		{`"long"`, `64`, `8001`, ``},
		{`"float"`, `1`, `0000803f`, `1.0`},
		{`"float"`, `0.1`, `cdcccc3d`, ``},
		{`"float"`, `"-Infinity"`, `000080ff`, ``},
		{`"double"`, `1e10`, `000000205fa00242`, `1.0E10`},
		{`"double"`, `-1.5e-7`, `76830df4f52184be`, `-1.5E-7`},
		{`"double"`, `0.001`, `fca9f1d24d62503f`, ``},
		{`"double"`, `1234567.0`, `0000000087d63241`, ``},
		{`"double"`, `-0.0`, `0000000000000080`, ``},
		{`"double"`, `"NaN"`, `000000000000f87f`, ``},
		{`"double"`, `"Infinity"`, `000000000000f07f`, ``},
		{`"string"`, `""`, `00`, ``},
		{`"string"`, `"héllo"`, `0c68c3a96c6c6f`, ``},
		{`"string"`, `"\u00e9\/\"\\\b\f\n\r\t\u001f\u007F"`, `18c3a92f225c080c0a0d091f7f`, `"é/\"\\\b\f\n\r\t\u001F` + "\x7f" + `"`},
		{`"string"`, `"\ud83d\ude00"`, `08f09f9880`, `"😀"`},
		{`"string"`, `"a\ud83d\u0041\udc00"`, `1061efbfbd41efbfbd`, "\"a\uFFFDA\uFFFD\""},
		{`{"type":"array","items":"bytes"}`, `["\u00ff\u0000aÿ"]`, `0208ff0061ff00`, `["ÿ\u0000aÿ"]`},
		{`"bytes"`, `"\u00ffab"`, `ff6162`, `"ÿab"`},
		{`"bytes"`, `""`, ``, ``},
		{`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, `"\u0004\u00d2"`, `04d2`, `"\u0004Ò"`},
		{`{"type":"fixed","name":"F","size":3}`, `"abc"`, `616263`, ``},
		{`{"type":"fixed","name":"F","size":12,"logicalType":"duration"}`, `"\u0001\u0000\u0000\u0000\u0002\u0000\u0000\u0000\u0003\u0000\u0000\u0000"`, `010000000200000003000000`, ``},
		{suitSchema, `"SPADES"`, `02`, ``},
		{suitSchema, `"SP\u0041DES"`, `02`, `"SPADES"`},
		{`{"type":"array","items":"int"}`, `[]`, `00`, ``},
		{`{"type":"array","items":"int"}`, `[1,2,3]`, `0602040600`, ``},
		{`{"type":"array","items":"int"}`, hundred, `c801` + strings.Repeat("00", 100) + `00`, ``},
		{`{"type":"array","items":{"type":"array","items":"null"}}`, `[[null],[],[null,null]]`, `060200000400` + `00`, ``},
		{`{"type":"map","values":"int"}`, `{}`, `00`, ``},
		{`{"type":"map","values":"int"}`, `{"b":1,"a\u0041":2,"b":3}`, `06026202046141040262` + `0600`, `{"b":1,"aA":2,"b":3}`},
		{userSchema, `{"name":"testUser"}`, `107465737455736572`, ``},
		{`{"type":"record","name":"E","fields":[]}`, `{}`, ``, ``},
		{`{"type":"record","name":"E","fields":[]}`, `{"x":[{"y":1}],"z":2}`, ``, `{}`},
		{`["null","string"]`, `null`, `00`, ``},
		{`["null","string"]`, `{"string":"s"}`, `020273`, ``},
		{`["null","string"]`, `{"str\u0069ng":"s"}`, `020273`, `{"string":"s"}`},
		{`["int",` + suitSchema + `,{"type":"array","items":["int","null"]}]`, `{"array":[{"int":5},null]}`, `0404000a0200`, ``},
		{`["int",` + suitSchema + `]`, `{"Suit":"HEARTS"}`, `0200`, ``},
		{nodeSchema, `{"v":1,"next":{"x.y.Node":{"v":2,"next":null}}}`, `02020400`, ``},
		{nodeSchema, `{"next":{"x.y.Node":{"next":null,"v":2}},"v":1}`, `02020400`, `{"v":1,"next":{"x.y.Node":{"v":2,"next":null}}}`},
		{pairSchema, `{"a":1,"b":"x","c":{"long":2}}`, `0202780204`, ``},
		{pairSchema, `{"c":null,"b":"x","a":1}`, `02027800`, `{"a":1,"b":"x","c":null}`},
		{pairSchema, `{"a":1,"c":null,"b":"x"}`, `02027800`, `{"a":1,"b":"x","c":null}`},
		{pairSchema, `{"x":{"a":[]},"a":1,"b":"x","y":"\"","c":null,"z":1}`, `02027800`, `{"a":1,"b":"x","c":null}`},
		{pairSchema, `{"a":1,"b":"x","c":null,"a":3,"b":"longer"}`, `060c6c6f6e67657200`, `{"a":3,"b":"longer","c":null}`},
		{pairSchema, `{"\u0061":1,"b":"x","c":null}`, `02027800`, `{"a":1,"b":"x","c":null}`},
		{`{"type":"record","name":"A","fields":[{"name":"new","aliases":["old"],"type":"int"},{"name":"b","type":"int"}]}`, `{"old":1,"b":2}`, `0204`, `{"new":1,"b":2}`},
		{`{"type":"record","name":"A","fields":[{"name":"b","aliases":["a"],"type":"int"},{"name":"a","type":"int"}]}`, `{"a":1,"b":2}`, `0402`, `{"b":2,"a":1}`},
		{`{"type":"error","name":"Oops","fields":[{"name":"m","type":"string"}]}`, `{"m":""}`, `00`, ``},
		{`{"type":"record","name":"Läng","fields":[{"name":"größe","type":"int"}]}`, `{"größe":1}`, `02`, ``},
		{`{"type":"long","logicalType":"timestamp-millis"}`, `1700000000000`, `80a0abfef962`, ``},
		{`{"type":"string","logicalType":"uuid"}`, `"no uuid"`, `0e6e6f2075756964`, ``},
	} {
		s := compile(t, c.schema)
		got, err := s.AppendEncoded([]byte("before"), []byte(c.text), codec.Tagged, nil)
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
		if back, err := s.AppendDecoded([]byte("before"), got, codec.Tagged); err != nil || string(back) != "before"+c.back {
			t.Errorf("%x of %s: got %s, %v, want %s", got, c.schema, back, err, c.back)
		}
	}
}

func wantMismatch(t *testing.T, schema, text, path, problem string) {
	t.Helper()
	_, err := compile(t, schema).AppendEncoded(nil, []byte(text), codec.Tagged, nil)
	var m *codec.Mismatch
	if !errors.As(err, &m) || m.Path != path || m.Problem != problem {
		t.Errorf("%s of %s:\n got %v\nwant %s: %s", text, schema, err, path, problem)
	}
}

func TestMismatches(t *testing.T) {
	const deep = `{"type":"record","name":"R","fields":[{"name":"user","type":{"type":"record","name":"U","fields":[
		{"name":"age","type":"int"},{"name":"tags","type":{"type":"array","items":"string"}},{"name":"m","type":{"type":"map","values":["null","int"]}}]}}]}`
	for _, c := range []struct{ schema, text, path, problem string }{
		{`"null"`, `0`, "", `expected null, got 0`},
		{`"boolean"`, `"true"`, "", `expected boolean, got "true"`},
		{`"int"`, `"x"`, "", `expected int, got "x"`},
		{`"int"`, `null`, "", `expected int, got null`},
		{`"int"`, `{"int":1}`, "", `expected int, got an object`},
		{`"int"`, `1.5`, "", `expected int, got 1.5`},
		{`"int"`, `1.00000001`, "", `expected int, got 1.00000001`},
		{`"int"`, `2147483648`, "", `2147483648 is out of the range of int`},
		{`"int"`, `-2147483649.0`, "", `-2147483649.0 is out of the range of int`},
		{`"int"`, `1e999999999999999`, "", `1e999999999999999 is out of the range of int`},
		{`"long"`, `9223372036854775808`, "", `9223372036854775808 is out of the range of long`},
		{`"long"`, `-9223372036854775809`, "", `-9223372036854775809 is out of the range of long`},
		{`"long"`, strings.Repeat("1234567890", 7), "", strings.Repeat("1234567890", 6) + `… is out of the range of long`},
		{`"long"`, `1e-1`, "", `expected long, got 1e-1`},
		{`"float"`, `1e39`, "", `1e39 is out of the range of float`},
		{`"double"`, `1e400`, "", `1e400 is out of the range of double`},
		{`"double"`, `"1"`, "", `expected double, got "1"`},
		{`"double"`, `true`, "", `expected double, got true`},
		{`"string"`, `1`, "", `expected string, got 1`},
		{`"string"`, `[]`, "", `expected string, got an array`},
		{`"bytes"`, `"aĀ"`, "", `expected bytes, whose characters are bytes up to U+00FF, got "aĀ"`},
		{`"bytes"`, `"\u0100"`, "", `expected bytes, whose characters are bytes up to U+00FF, got "\u0100"`},
		{`"bytes"`, `7`, "", `expected bytes, got 7`},
		{`{"type":"fixed","name":"n.F","size":3}`, `"ab"`, "", `expected fixed n.F, 3 bytes, got 2 bytes`},
		{`{"type":"fixed","name":"n.F","size":1}`, `"éé"`, "", `expected fixed n.F, 1 byte, got 2 bytes`},
		{suitSchema, `"X"`, "", `symbol "X" is not one of HEARTS, SPADES`},
		{suitSchema, `1`, "", `expected enum Suit, got 1`},
		{`{"type":"array","items":"int"}`, `{}`, "", `expected array, got an object`},
		{`{"type":"array","items":"int"}`, `[1,null]`, "[1]", `expected int, got null`},
		{`{"type":"map","values":"int"}`, `[]`, "", `expected map, got an array`},
		{`{"type":"map","values":"int"}`, `{"a":1,"b":"c"}`, ".b", `expected int, got "c"`},
		{`["null","string"]`, `"s"`, "", `expected null or {"string":…}, got "s"`},
		{`["null","string"]`, `{}`, "", `expected null or {"string":…}, got {}`},
		{`["null","string"]`, `{"int":1}`, "", `expected null or {"string":…}, got the branch "int"`},
		{`["null","string"]`, `{"string":"a","b":1}`, "", `expected one member, which names a branch of the union, got several`},
		{`["int","string"]`, `null`, "", `expected {"int":…} or {"string":…}, got null`},
		{nodeSchema, `{"v":1,"next":{"Node":{"v":2,"next":null}}}`, ".next", `expected null or {"x.y.Node":…}, got the branch "Node"`},
		{userSchema, `{}`, ".name", `missing, and it has no default`},
		{userSchema, `null`, "", `expected record User, got null`},
		{pairSchema, `{"a":1,"c":null}`, ".b", `missing, and it has no default`},
		{`{"type":"record","name":"D","fields":[{"name":"d","type":"int","default":1}]}`, `{}`, ".d", `missing; its default is only filled in with avro=plain`},
		{deep, `{"user":{"age":"x","tags":[],"m":{}}}`, ".user.age", `expected int, got "x"`},
		{deep, `{"user":{"m":{},"tags":["a","b",3],"age":1}}`, ".user.tags[2]", `expected string, got 3`},
		{deep, `{"user":{"age":1,"tags":[],"m":{"k":null,"l":5}}}`, ".user.m.l", `expected null or {"int":…}, got 5`},
		{`"string"`, `"a"x`, "", `unexpected text behind the value`},
		{`"string"`, ``, "", `expected string, got nothing`},
	} {
		wantMismatch(t, c.schema, c.text, c.path, c.problem)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const nulls = `{"type":"array","items":"null"}`
	for _, c := range []struct{ schema, binary, want string }{
		{`"int"`, ``, `the bytes end within int`},
		{`"int"`, `80`, `the bytes end within int`},
		{`"int"`, `feffffff1f`, `4294967295 is out of the range of int`},
		{`"int"`, `80808080808001`, `a number in int has more than 5 bytes`},
		{suitSchema, `8080808010`, `2147483648 is out of the range of int`},
		{`["null","int"]`, `8080808010`, `2147483648 is out of the range of int`},
		{`"int"`, `808080808000`, `a number in int has more than 5 bytes`},
		{suitSchema, `808080808000`, `a number in enum Suit has more than 5 bytes`},
		{`["null","int"]`, `808080808000`, `a number in union has more than 5 bytes`},
		{`"long"`, `ffffffffffffffffff02`, `a number in long has more than 64 bits`},
		{`"long"`, `0000`, `1 byte behind the value`},
		{`"boolean"`, `02`, `expected boolean, got the byte 2`},
		{`"boolean"`, ``, `the bytes end within boolean`},
		{`"float"`, `000000`, `the bytes end within float`},
		{`"double"`, `00000000000000`, `the bytes end within double`},
		{`"string"`, `0461`, `the bytes end within string`},
		{`"string"`, `01`, `the length of string is negative`},
		{`"string"`, `feffffffffffffffff01`, `the bytes end within string`},
		{`"string"`, `02ff`, `a text in string is not UTF-8`},
		{`"string"`, `06eda080`, `a text in string is not UTF-8`},
		{`{"type":"fixed","name":"F","size":3}`, `6162`, `the bytes end within fixed F`},
		{suitSchema, `04`, `enum Suit has 2 symbols, got number 2`},
		{suitSchema, `01`, `enum Suit has 2 symbols, got number -1`},
		{`["null","int"]`, `04`, `the union has 2 branches, got number 2`},
		{`["null","int"]`, `01`, `the union has 2 branches, got number -1`},
		{pairSchema, `02027802`, `.c: the bytes end within long`},
		{`{"type":"array","items":"int"}`, `040280`, `[1]: the bytes end within int`},
		{`{"type":"array","items":"int"}`, `ffffffffffffffffff01`, `a block of array has too many items`},
		{`{"type":"map","values":"int"}`, `02026b`, `.k: the bytes end within int`},
		{nulls, `80808080808001` + `00`, `[66048]: too many values that take no bytes`},
		{nulls, `feffffffffffffffff01`, `[66176]: too many values that take no bytes`},
		{`{"type":"array","items":{"type":"record","name":"E","fields":[]}}`, `8080808080800100`, `[66048]: too many values that take no bytes`},
		{`{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}`, ``, strings.Repeat(".r", 200) + `: nested too deeply`},
	} {
		b, err := hex.DecodeString(c.binary)
		if err != nil {
			t.Fatal(err)
		}
		out, err := compile(t, c.schema).AppendDecoded(nil, b, codec.Tagged)
		if err == nil || strings.TrimPrefix(err.Error(), "…") != c.want {
			t.Errorf("%s of %s: got %v\nwant %s", c.binary, c.schema, err, c.want)
		}
		if len(out) > 1<<20 {
			t.Errorf("%s of %s: %d bytes of text", c.binary, c.schema, len(out))
		}
	}
}

// Other writers make blocks of any number of items, and give their size in bytes after a negative
// count.
func TestBlocks(t *testing.T) {
	for _, c := range []struct{ schema, binary, want string }{
		{`{"type":"array","items":"int"}`, `0202` + `0404` + `06` + `00`, `[1,2,3]`},
		{`{"type":"array","items":"int"}`, `0304` + `0204` + `0206` + `00`, `[1,2,3]`},
		{`{"type":"map","values":"int"}`, `01` + `06` + `026104` + `02` + `026202` + `00`, `{"a":2,"b":1}`},
	} {
		b, _ := hex.DecodeString(c.binary)
		got, err := compile(t, c.schema).AppendDecoded(nil, b, codec.Tagged)
		if err != nil || string(got) != c.want {
			t.Errorf("%s of %s: got %s, %v, want %s", c.binary, c.schema, got, err, c.want)
		}
	}
}

// A text that is nested as deeply as a request may be is encoded and decoded; one more level is
// refused by the grammar, and here, and does not exhaust the stack.
func TestDepth(t *testing.T) {
	s := compile(t, `{"type":"record","name":"N","fields":[{"name":"n","type":["null","N"]}]}`)
	text := func(records int) []byte {
		return []byte(strings.Repeat(`{"n":{"N":`, records-1) + `{"n":null}` + strings.Repeat(`}}`, records-1))
	}
	b, err := s.AppendEncoded(nil, text(maxDepth/2), codec.Tagged, nil)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := s.AppendDecoded(nil, b, codec.Tagged); err != nil || !bytes.Equal(back, text(maxDepth/2)) {
		t.Errorf("got %.80s, %v", back, err)
	}
	for _, records := range []int{maxDepth/2 + 1, 1 << 20} {
		if _, err := s.AppendEncoded(nil, text(records), codec.Tagged, nil); err == nil || !strings.HasSuffix(err.Error(), "nested too deeply") {
			t.Errorf("%d records: %v", records, err)
		}
		if _, err := s.AppendDecoded(nil, append(bytes.Repeat([]byte{2}, records-1), 0), codec.Tagged); err == nil || !strings.HasSuffix(err.Error(), "nested too deeply") {
			t.Errorf("%d records: %v", records, err)
		}
	}
}

// Members out of order are moved into place; in nested records the innermost bytes
// would be moved again and again.
func TestMovesAreBounded(t *testing.T) {
	s := compile(t, `{"type":"record","name":"N","fields":[{"name":"a","type":"int"},{"name":"s","type":["null","string","N"]}]}`)
	text := func(levels int) []byte {
		return []byte(strings.Repeat(`{"s":{"N":`, levels) + `{"s":{"string":"` + strings.Repeat("x", 1<<18) + `"},"a":1}` + strings.Repeat(`},"a":1}`, levels))
	}
	if _, err := s.AppendEncoded(nil, text(20), codec.Tagged, nil); err != nil {
		t.Error(err)
	}
	if _, err := s.AppendEncoded(nil, text(400), codec.Tagged, nil); err == nil || !strings.Contains(err.Error(), "too costly: members out of order, ") {
		t.Error(err)
	}
}

func TestNullsAreBoundedBothWays(t *testing.T) {
	s := compile(t, `{"type":"array","items":"null"}`)
	text := func(n int) []byte { return []byte("[" + strings.Repeat("null,", n-1) + "null]") }
	b, err := s.AppendEncoded(nil, text(freeEmpty), codec.Tagged, nil)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := s.AppendDecoded(nil, b, codec.Tagged); err != nil || !bytes.Equal(back, text(freeEmpty)) {
		t.Errorf("got %.80s, %v", back, err)
	}
	if _, err := s.AppendEncoded(nil, text(freeEmpty+1000), codec.Tagged, nil); err == nil {
		t.Error("more nulls than can be read were written")
	}
}

// A schema of a few hundred bytes can ask for more text than there is memory.
func TestTextIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct{ schema, binary string }{
		{`{"type":"array","items":{"type":"record","name":"R","fields":[{"name":"` + long + `","type":"int"}]}}`, "\xd0\x0f" + strings.Repeat("\x00", 1000) + "\x00"},
		{`{"type":"array","items":{"type":"enum","name":"E","symbols":["` + long + `"]}}`, "\xd0\x0f" + strings.Repeat("\x00", 1000) + "\x00"},
	} {
		out, err := compile(t, c.schema).AppendDecoded(nil, []byte(c.binary), codec.Tagged)
		if err == nil || !strings.HasSuffix(err.Error(), "the value's text would be too long") || len(out) > 32<<20 {
			t.Errorf("got %d bytes, %v", len(out), err)
		}
	}
	symbols := compile(t, `{"type":"array","items":{"type":"enum","name":"E","symbols":["`+strings.Repeat("S", 1000)+`"]}}`)
	payload := append(appendLong(nil, 1<<20), make([]byte, 1<<20+1)...)
	if out, err := symbols.AppendDecoded(nil, payload, codec.Tagged); err == nil || len(out) > maxText+2000 {
		t.Errorf("%d bytes became %d, %v", len(payload), len(out), err)
	}
}

// Defaults in defaults double with each level.
func TestDefaultsAreBounded(t *testing.T) {
	schema := `{"type":"record","name":"R0","fields":[{"name":"a","type":"string","default":"0123456789"}]}`
	for i := range 40 {
		schema = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s,"default":{}},{"name":"b","type":"R%d","default":{}}]}`, i+1, schema, i)
	}
	s := compile(t, schema)
	if _, err := s.AppendEncoded(nil, []byte(`{}`), codec.Plain, nil); err == nil {
		t.Error("a terabyte was encoded")
	}
	s = compile(t, `{"type":"array","items":{"type":"record","name":"D","fields":[{"name":"s","type":"string","default":"`+strings.Repeat("x", 1<<10)+`"}]}}`)
	if _, err := s.AppendEncoded(nil, []byte("["+strings.Repeat("{},", 400)+"{}]"), codec.Plain, nil); err != nil {
		t.Error(err)
	}
	if _, err := s.AppendEncoded(nil, []byte("["+strings.Repeat("{},", 99999)+"{}]"), codec.Plain, nil); err == nil || !strings.Contains(err.Error(), "too costly") {
		t.Error(err)
	}
}

func ExampleSchema_AppendEncoded() {
	s, _ := Compile(userSchema, nil)
	b, _ := s.AppendEncoded(nil, []byte(`{"name":"testUser"}`), codec.Tagged, nil)
	fmt.Printf("%x\n", b)
	_, err := s.AppendEncoded(nil, []byte(`{"name":7}`), codec.Tagged, nil)
	fmt.Println(err)
	// Output:
	// 107465737455736572
	// .name: expected string, got 7
}
