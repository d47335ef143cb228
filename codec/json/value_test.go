package json

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// shapes has a field of every shape that the program decodes.
type shapes struct {
	Text     string            `json:"text"`
	Pointer  *string           `json:"pointer"`
	Number   int64             `json:"number"`
	Small    int32             `json:"small,omitempty"`
	Unsigned uint64            `json:"unsigned"`
	Ratio    float64           `json:"ratio"`
	Truth    bool              `json:"truth"`
	Raw      RawMessage        `json:"raw,omitempty"`
	List     []string          `json:"list"`
	Objects  []embedding       `json:"objects"`
	Map      map[string]string `json:"map"`
	Any      any               `json:"any"`
	Count    *int              `json:"count"`
	Hidden   string            `json:"-"`
}

type place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

type embedding struct {
	place
	Offset int64 `json:"offset"`
}

var valueSeeds = []string{
	`{"text":"a\u00e9\n\ud83d\ude00","pointer":null,"number":-9223372036854775808,"small":7,"unsigned":18446744073709551615}`,
	`{"ratio":1e-7,"truth":true,"raw":{"a":[1, 2]},"list":["x","",null],"objects":[{"topic":"t","partition":3,"offset":9}]}`,
	`{"map":{"b":"2","a":"1"},"any":{"deep":[1.50,{"x":9007199254740993}]},"count":0,"unknown":{"a":[{}]}}`,
	` { "text" : "a" , "text" : "b" } `, `{"list":["a"],"list":[]}`, `{"objects":[{"offset":1}],"objects":[{}]}`, `{"map":{"a":"1"},"map":{"b":"2"}}`,
	`{"number":1.0}`, `{"number":1e2}`, `{"small":2147483648}`, `{"unsigned":-1}`, `{"number":"1"}`, `{"text":5}`, `{"list":{}}`, `{"truth":0}`, `{"ratio":1e999}`,
	`null`, `[]`, `"x"`, `{}`, `{"text":"\ud800"}`, `{"any":"\udc00x"}`, `{"a":1}x`, `{"any":1e400}`, `{"count":null}`, `{"pointer":"p"}`,
}

// decodable reports whether both decoders promise the same for a text: Unmarshal takes no bad
// UTF-8 and no deep nesting, and matches names to the letter.
func decodable(text []byte) bool {
	return Valid(text) && !bytes.ContainsFunc(text, func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 0x80 }) && !bytes.Contains(text, []byte(`\u`))
}

func agree[T any](t *testing.T, text []byte) {
	t.Helper()
	var got, want T
	mine := bytes.Clone(text)
	err := Unmarshal(mine, &got)
	if !bytes.Equal(mine, text) {
		t.Fatalf("Unmarshal(%q) changed the text", text)
	}
	for i := range mine {
		mine[i] = 'x' // the value must not be a view of the text
	}
	if !Valid(text) {
		if syntax := new(SyntaxError); !errors.As(err, &syntax) {
			t.Fatalf("Unmarshal(%q) = %v, want a syntax error", text, err)
		}
		return
	}
	dec := stdjson.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	wantErr := dec.Decode(&want)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Unmarshal(%q) = %v, encoding/json says %v", text, err, wantErr)
	}
	if err == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("Unmarshal(%q) = %#v, encoding/json makes %#v", text, got, want)
	}
}

// FuzzUnmarshal compares with encoding/json, and what is made of a value when it is written again.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range valueSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		agree[any](t, text)
		agree[map[string]any](t, text)
		if decodable(text) || !Valid(text) {
			agree[shapes](t, text)
			agree[[]string](t, text)
		}
		var v any
		if Unmarshal(text, &v) != nil {
			return
		}
		written, err := Marshal(v)
		if err != nil || !Valid(written) {
			t.Fatalf("Marshal(%#v) = %q, %v", v, written, err)
		}
		agree[any](t, written)
		var again any
		if err := Unmarshal(written, &again); err != nil || !reflect.DeepEqual(again, v) {
			t.Fatalf("%#v was written as %s and is %#v", v, written, again)
		}
	})
}

func TestUnmarshalAgreesWithEncodingJSON(t *testing.T) {
	for _, c := range testkit.JSONTestSuite(t) {
		agree[any](t, c.Text)
		if decodable(c.Text) {
			agree[shapes](t, c.Text)
			agree[[]string](t, c.Text)
			agree[map[string]any](t, c.Text)
		}
	}
	for _, seed := range valueSeeds {
		agree[any](t, []byte(seed))
		if !strings.Contains(seed, `\u`) {
			agree[shapes](t, []byte(seed))
		}
	}
	for _, r := range testkit.RealRecords(t) {
		agree[any](t, r)
	}
}

// Names are matched to the letter, so that no member counts twice.
func TestUnmarshalNames(t *testing.T) {
	var v place
	if err := Unmarshal([]byte(`{"topic":"a","Topic":"b","TOPIC":"c","partition":1,"Partition":2}`), &v); err != nil || v != (place{"a", 1}) {
		t.Errorf("%+v, %v", v, err)
	}
}

// Hostile nesting takes neither the stack nor memory, whatever the value is decoded into.
func TestUnmarshalDepth(t *testing.T) {
	type nested struct {
		A *struct{ B []RawMessage } `json:"a"`
	}
	for _, open := range []string{"[", `{"a":`, `[{"a":`} {
		for _, into := range []any{new(any), new(RawMessage), new(nested), new(shapes)} {
			var syntax *SyntaxError
			if err := Unmarshal([]byte(strings.Repeat(open, 1<<20)), into); !errors.As(err, &syntax) || syntax.Reason != "nesting too deep" {
				t.Errorf("%s… into %T: %v", open, into, err)
			}
		}
	}
	deepest := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	if err := Unmarshal([]byte(deepest), new(any)); err != nil {
		t.Error(err)
	}
}

// An error tells the place and no more: the text is a client's, and the error goes into the log.
func TestUnmarshalErrors(t *testing.T) {
	const secret = "SECRET"
	f := func(text string, v any, want string) {
		t.Helper()
		body := []byte(text)
		err := Unmarshal(body, v)
		if err == nil {
			t.Errorf("%s was decoded", text)
			return
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), secret) || strings.Contains(e.Error(), "12345") {
				t.Errorf("%s: the error shows the text: %v", text, e)
			}
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f(`{"text":"SECRET",}`, new(shapes), "expected a member name at byte 17")
	f(`{"text":"SECRET"} SECRET`, new(shapes), "unexpected text after the end at byte 18")
	f(`{"number":"SECRET"}`, new(shapes), "is not a int64")
	f(`{"small":12345123451}`, new(shapes), "is not a int32")
	f(`{"list":[["SECRET"]]}`, new(shapes), "is not a string")
	f(`{"objects":"SECRET"}`, new(shapes), "is not a []json.embedding")
	f(`["SECRET"]`, new(map[string]string), "is not a map[string]string")
	f("\"SECRET\xff\"", new(string), "invalid UTF-8")
	f(``, new(any), "unexpected end")
}

// Values are written as encoding/json writes them without its escapes for HTML.
func TestMarshalAgreesWithEncodingJSON(t *testing.T) {
	p, n := "p", 3
	for _, v := range []any{
		nil, "plain", "q\"\\/\t\n\r\x00\x1f é 😀 <a&b>", []string(nil),
		[]string{},
		[]string{"a"},
		map[string]any{"b": 1, "a": []any{nil, true}},
		place{"t", 1},
		&embedding{place{"t", 1}, 1 << 62},
		[]embedding{{}},
		RawMessage(`{"a": [1, 2]}`), Number("1.50"),
		shapes{Text: "x", Pointer: &p, Ratio: 1e-7, Raw: RawMessage(`[1]`), Count: &n, Any: 1.5, Map: map[string]string{"z": "", "a": "<"}},
		[]float64{0, 1, -1.5, 1e21, 1e-9, 123456789.125},
		uint64(1<<64 - 1),
		map[string]uint64{"x": 1},
	} {
		got, err := Marshal(v)
		var want bytes.Buffer
		enc := stdjson.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err2 := enc.Encode(v); err != nil || err2 != nil || string(got) != strings.TrimSuffix(want.String(), "\n") {
			t.Errorf("Marshal(%#v) = %s, %v; want %s", v, got, err, want.String())
		}
		lines, err := MarshalIndent(v, "  ")
		want.Reset()
		enc.SetIndent("", "  ")
		if err2 := enc.Encode(v); err != nil || err2 != nil || string(lines) != strings.TrimSuffix(want.String(), "\n") {
			t.Errorf("MarshalIndent(%#v) = %s, %v; want %s", v, lines, err, want.String())
		}
	}
	if b, err := Marshal("a\xffb"); err != nil || string(b) != `"a\ufffdb"` {
		t.Errorf("bad UTF-8 is written as %s, %v", b, err)
	}
	if b, err := Marshal(RawMessage(`{`)); err == nil {
		t.Errorf("a RawMessage that is not JSON is written as %s", b)
	}
}
