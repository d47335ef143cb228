package jsonschema

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/pool"
)

func compile(t testing.TB, text string, references ...Reference) *Schema {
	t.Helper()
	s, err := Compile(text, references)
	if err != nil {
		t.Fatalf("Compile(%s): %v", text, err)
	}
	return s
}

const (
	draft4    = "http://json-schema.org/draft-04/schema#"
	draft6    = "http://json-schema.org/draft-06/schema#"
	draft7    = "http://json-schema.org/draft-07/schema#"
	draft2019 = "https://json-schema.org/draft/2019-09/schema"
	draft2020 = "https://json-schema.org/draft/2020-12/schema"
)

// in is a schema of a draft.
func in(draft, members string) string { return fmt.Sprintf(`{"$schema":%q,%s}`, draft, members) }

// A few cases for each draft, chosen where the drafts differ.
func TestDrafts(t *testing.T) {
	f := func(schema, text string, want bool) {
		t.Helper()
		_, err := compile(t, schema).AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if (err == nil) != want {
			t.Errorf("%s with %s: %v; want valid: %v", schema, text, err, want)
		}
	}
	// exclusiveMinimum is a flag in draft 4 and a number since.
	f(in(draft4, `"minimum":1,"exclusiveMinimum":true`), `1`, false)
	f(in(draft4, `"minimum":1,"exclusiveMinimum":true`), `1.1`, true)
	f(in(draft6, `"exclusiveMinimum":1`), `1`, false)
	f(in(draft2020, `"exclusiveMinimum":1`), `1.1`, true)
	// 1.0 is an integer since draft 6; the library accepts it in draft 4 as well.
	f(in(draft6, `"type":"integer"`), `1.0`, true)
	f(in(draft6, `"type":"integer"`), `1.5`, false)
	f(in(draft6, `"type":"integer"`), `1e2`, true)
	// const is unknown to draft 4, but not to draft 6.
	f(in(draft4, `"const":1`), `2`, true)
	f(in(draft6, `"const":1`), `2`, false)
	f(in(draft6, `"const":1`), `1.0`, true)
	f(in(draft6, `"if":{"type":"string"},"then":false`), `"x"`, true)
	f(in(draft7, `"if":{"type":"string"},"then":false`), `"x"`, false)
	f(in(draft7, `"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":2}`), `1`, false)
	// Keywords beside $ref are ignored up to draft 7.
	f(in(draft7, `"definitions":{"a":{}},"properties":{"p":{"$ref":"#/definitions/a","type":"string"}}`), `{"p":1}`, true)
	f(in(draft2019, `"$defs":{"a":{}},"properties":{"p":{"$ref":"#/$defs/a","type":"string"}}`), `{"p":1}`, false)
	// A list of items is prefixItems in 2020-12.
	f(in(draft7, `"items":[{"type":"string"}],"additionalItems":false`), `["x",1]`, false)
	f(in(draft2020, `"prefixItems":[{"type":"string"}],"items":false`), `["x",1]`, false)
	f(in(draft2020, `"prefixItems":[{"type":"string"}],"items":false`), `["x"]`, true)
	// dependentRequired and unevaluatedProperties come with 2019-09.
	f(in(draft7, `"dependentRequired":{"a":["b"]}`), `{"a":1}`, true)
	f(in(draft7, `"dependencies":{"a":["b"]}`), `{"a":1}`, false)
	f(in(draft2019, `"dependentRequired":{"a":["b"]}`), `{"a":1}`, false)
	f(in(draft2019, `"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false`), `{"a":1}`, true)
	f(in(draft2019, `"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false`), `{"b":1}`, false)
	f(in(draft2019, `"contains":{"type":"string"},"minContains":2`), `["a",1]`, false)
	f(in(draft2020, `"$defs":{"x":{"$dynamicAnchor":"n","type":"string"}},"items":{"$dynamicRef":"#n"}`), `[1]`, false)
	f(in(draft2019, `"$recursiveAnchor":true,"properties":{"c":{"$recursiveRef":"#"}},"required":["v"]`), `{"v":1,"c":{}}`, false)
	// Formats are asserted up to draft 7 and annotations afterwards.
	f(in(draft7, `"format":"date-time"`), `"2024-01-02T03:04:05Z"`, true)
	f(in(draft7, `"format":"date-time"`), `"yesterday"`, false)
	f(in(draft7, `"format":"ipv4"`), `"1.2.3"`, false)
	f(in(draft7, `"format":"no-such-format"`), `"x"`, true)
	f(in(draft2020, `"format":"date-time"`), `"yesterday"`, true)
	// No "$schema", or one that names no draft, is draft 7.
	f(`{"if":{"type":"string"},"then":false}`, `"x"`, false)
	f(`{"$schema":"http://example.com/mine","if":{"type":"string"},"then":false}`, `"x"`, false)
	f(`{"prefixItems":[false]}`, `[1]`, true)
	f(`true`, `{"any":"thing"}`, true)
	f(`false`, `1`, false)
	f(`{}`, `null`, true)
	// Numbers are compared exactly.
	f(`{"maximum":9007199254740992}`, `9007199254740993`, false)
	f(`{"multipleOf":0.01}`, `19.99`, true)
	f(`{"const":123456789012345678901234567890}`, `123456789012345678901234567891`, false)
	f(`{"pattern":"^\\p{L}+$"}`, `"é"`, true)
	f(`{"pattern":"^\\u00e9[\\u0041-\\u{43}]\\ud83d\\ude00\\cJ$"}`, `"éB😀\n"`, true)
	f(`{"pattern":"^\\s[\\s]\\S[\\S]\\/\\d\\$[\\]]$"}`, `"\u00a0\u2028ab/1$]"`, true)
	f(`{"pattern":"^\\S$"}`, `"\ufeff"`, false)
	f(`{"minLength":2}`, `"é"`, false)
	f(`{"enum":["a\u0062"]}`, `"\u0061b"`, true)
	f(`{"required":["é"]}`, `{"\u00e9":1}`, true)
	f(`{"uniqueItems":true}`, `[1,1.0]`, false)
}

const user = `{
	"title": "User", "type": "object",
	"properties": {
		"name": {"type": "string", "minLength": 1, "maxLength": 5},
		"age": {"type": "integer", "minimum": 0},
		"tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
		"nick": {"type": ["string", "null"]},
		"id": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
		"shape": {"oneOf": [
			{"type": "object", "properties": {"r": {"type": "number"}}, "required": ["r"]},
			{"type": "string"}]},
		"kind": {"enum": ["a", 1]},
		"zip": {"pattern": "^[0-9]{5}$"},
		"friend": {"$ref": "#"}
	},
	"required": ["name"], "additionalProperties": false
}`

func TestMismatch(t *testing.T) {
	s := compile(t, user)
	f := func(text, path, problem string) {
		t.Helper()
		for range 5 { // the same words each time, though maps have no order
			_, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil)
			var m *codec.Mismatch
			if !errors.As(err, &m) || m.Path != path || m.Problem != problem {
				t.Fatalf("%s: %v; want %s: %s", text, err, path, problem)
			}
		}
	}
	f(`1`, ``, `expected object, got 1`)
	f(`{}`, ``, `missing member "name"`)
	f(`{"name":"a","age":"x"}`, `.age`, `expected integer, got "x"`)
	f(`{"name":"a","age":1.5}`, `.age`, `expected integer, got 1.5`)
	f(`{"name":"a","age":-1}`, `.age`, `expected at least 0, got -1`)
	f(`{"name":""}`, `.name`, `expected at least 1 characters, got 0`)
	f(`{"name":"abcdef"}`, `.name`, `expected at most 5 characters, got 6`)
	f(`{"name":"a","tags":["x",{}]}`, `.tags[1]`, `expected string, got an object`)
	f(`{"name":"a","tags":["","","",""]}`, `.tags`, `expected at most 3 elements, got 4`)
	f(`{"name":"a","nick":[]}`, `.nick`, `expected null or string, got an array`)
	f(`{"name":"a","id":true}`, `.id`, `expected string or integer, got true`)
	f(`{"name":"a","shape":{"r":"x"}}`, `.shape.r`, `expected number, got "x"`)
	f(`{"name":"a","shape":1}`, `.shape`, `expected object or string, got 1`)
	f(`{"name":"a","kind":"b"}`, `.kind`, `expected one of "a", 1, got "b"`)
	f(`{"name":"a","zip":"x"}`, `.zip`, `expected a string like "^[0-9]{5}$", got "x"`)
	f(`{"name":"a","y":1,"x":2}`, ``, `unknown member "x", "y"`)
	f(`{"name":"a","age":"b","zip":"c"}`, `.age`, `expected integer, got "b"`)
	f(`{"name":"a","friend":{"name":"b","friend":{"name":3}}}`, `.friend.friend.name`, `expected string, got 3`)
	f(`{"name":"`+strings.Repeat("é", 99)+`"}`, `.name`, `expected at most 5 characters, got 99`)
	f(`{"name":"a","age":"`+strings.Repeat("é", 99)+`"}`, `.age`, `expected integer, got "`+strings.Repeat("é", 30)+`…"`)
	f(strings.Repeat(`{"name":"a","friend":`, 100)+`1`+strings.Repeat(`}`, 100), `…`+strings.Repeat(`.friend`, 57), `expected object, got 1`)
	f(`{"name":"a","age":1e1001}`, ``, `a number has more than 1000 digits`)
}

// The API's error has the record in front of the path.
func TestRecords(t *testing.T) {
	value := codec.Registered{ID: 7, Schema: compile(t, user)}
	f := func(body, want string) {
		t.Helper()
		var slab pool.Slab
		if _, err := codec.DecodeProduce([]byte(body), codec.JSONSchema, &slab, 10); err != nil {
			t.Fatal(err)
		}
		_, err := codec.EncodeRecords(&slab, nil, codec.Encoding{Value: value, Budget: &codec.Budget{Bytes: 1 << 20}})
		if want != "" {
			if !apierr.BadRequest.Is(err) || err.Error() != want {
				t.Errorf("got %v; want %s", err, want)
			}
			return
		}
		if err != nil || string(slab.Records[0].Value) != "\x00\x00\x00\x00\x07"+`{"name":"a"}` {
			t.Errorf("got %q, %v", slab.Records[0].Value, err)
		}
	}
	f(`{"records":[{"value":{"name": "a"}}]}`, "")
	f(`{"records":[{"value":{"name":"a"}},{"value":{"name":"a","age":"x"}}]}`, `bad_request: records[1].value.age: expected integer, got "x"`)
	f(`{"records":[{"value":1}]}`, `bad_request: records[0].value: expected object, got 1`)
}

// The text is stored as it was sent.
func TestEncodeKeepsText(t *testing.T) {
	s := compile(t, user)
	for _, text := range []string{`{"name":"a","age":1.0}`, `{"name":"\u0061","name":"b"}`, `{"age":1e0,"name":"é"}`} {
		got, err := s.AppendEncoded([]byte("frame"), []byte(text), codec.Tagged, nil)
		if err != nil || string(got) != "frame"+text {
			t.Errorf("got %s, %v; want %s", got, err, text)
		}
	}
	if s.Name() != "User" {
		t.Errorf("Name() = %q", s.Name())
	}
	if n := compile(t, `true`).Name(); n != "" {
		t.Errorf("Name() = %q", n)
	}
}

func TestDecode(t *testing.T) {
	s := compile(t, user)
	f := func(payload, want string) {
		t.Helper()
		b := []byte(payload)
		got, err := s.AppendDecoded([]byte("x"), b, codec.Tagged)
		if want == "" {
			if err == nil || string(got) != "x" {
				t.Errorf("%q: got %s, %v; want an error", payload, got, err)
			}
			return
		}
		if err != nil || string(got) != "x"+want {
			t.Errorf("%q: got %s, %v; want %s", payload, got, err, want)
		}
		if string(b) != payload {
			t.Errorf("%q was changed", payload)
		}
	}
	f(`{"name":"a"}`, `{"name":"a"}`)
	f(" { \"name\" :\n\"a b\" , \"age\": [ 1, 2 ] }\n", `{"name":"a b","age":[1,2]}`)
	f(`1`, `1`) // not of the schema, but returned
	f(``, "")
	f(` `, "")
	f(`1 2`, "")
	f(`{`, "")
	f("\"\xff\"", "")
	f(strings.Repeat("[", json.MaxDepth+1), "")
}

func TestReferences(t *testing.T) {
	name := Reference{"name.json", `{"type":"string"}`}
	f := func(schema string, good bool, references ...Reference) {
		t.Helper()
		s := compile(t, schema, references...)
		if _, err := s.AppendEncoded(nil, []byte(`{"n":"x"}`), codec.Tagged, nil); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
		if _, err := s.AppendEncoded(nil, []byte(`{"n":1}`), codec.Tagged, nil); (err == nil) == good {
			t.Errorf("%s: %v", schema, err)
		}
	}
	f(`{"properties":{"n":{"$ref":"name.json"}}}`, true, name)
	f(`{"properties":{"n":{"$ref":"./name.json#"}}}`, true, name)
	f(`{"$id":"http://x.com/a/b.json","properties":{"n":{"$ref":"name.json"}}}`, true, name)
	f(`{"properties":{"n":{"$ref":"http://x.com/n.json"}}}`, true, Reference{"http://x.com/n.json", name.Text})
	f(`{"properties":{"n":{"$ref":"http://x.com/n.json"}}}`, true, Reference{"n", `{"$id":"http://x.com/n.json","type":"string"}`})
	f(`{"properties":{"n":{"$ref":"all.json#/definitions/n"}}}`, true,
		name, Reference{"all.json", `{"definitions":{"n":{"$ref":"name.json"}}}`})
	f(`{"$schema":"`+draft2020+`","properties":{"n":{"$ref":"all.json#there"}}}`, true,
		Reference{"all.json", `{"$schema":"` + draft2020 + `","$defs":{"n":{"$anchor":"there","type":"string"}}}`})
}

func TestCompileErrors(t *testing.T) {
	f := func(schema, want string, references ...Reference) {
		t.Helper()
		_, err := Compile(schema, references)
		if err == nil || err.Error() != want {
			t.Errorf("%.60s:\n got %v\nwant %s", schema, err, want)
		}
	}
	f(``, `the JSON schema is not valid JSON: unexpected end at byte 0`)
	f(`{"a":}`, `the JSON schema is not valid JSON: invalid character at the start of a value at byte 5`)
	f(`{} {}`, `the JSON schema is not valid JSON: it goes on at byte 2`)
	f(`[]`, `the JSON schema must be a JSON object, true or false`)
	f(`{"type":"strin"}`, `the JSON schema is not valid at ".type": it fits none of the alternatives of "anyOf", got "strin"`)
	f(`{"properties":{"a":{"minLength":"x"}}}`, `the JSON schema is not valid at ".properties.a.minLength": expected integer, got "x"`)
	f(`{"title":1}`, `the JSON schema is not valid at ".title": expected string, got 1`)
	f(`{"pattern":"(?=x"}`, "the JSON schema has at \".pattern\" the pattern \"(?=x\", which cannot be used: error parsing regexp: invalid or unsupported Perl syntax: `(?=`")
	f(`{"$ref":"http://x.com/a.json"}`, `the JSON schema refers to "http://x.com/a.json", which is not among its references; nothing is fetched from elsewhere`)
	f(`{"$ref":"file:///etc/passwd"}`, `the JSON schema refers to "file:///etc/passwd", which is not among its references; nothing is fetched from elsewhere`)
	f(`{"$ref":"a.json"}`, `the JSON schema refers to "a.json", which is not among its references; nothing is fetched from elsewhere`)
	f(`{"$ref":"#/definitions/a"}`, `the JSON schema refers to "#/definitions/a", which does not exist`)
	f(`{"$schema":"`+draft2020+`","$ref":"#a"}`, `the JSON schema refers to "#a", which does not exist`)
	f(`{}`, `the reference "a" is not valid JSON: unexpected end at byte 1`, Reference{"a", `{`})
	f(`{"minimum":1e9999}`, `the JSON schema cannot be used: a number has more than 1000 digits`)
	f(strings.Repeat(`{"not":`, 201)+"1"+strings.Repeat("}", 201), `the JSON schema is nested deeper than 200 levels`)
	f(strings.Repeat(`{"`+strings.Repeat("a", 5000)+`":`, 100)+`{}`+strings.Repeat("}", 100), `the JSON schema has names that are too long and too nested`)
	f(`{"x":"`+strings.Repeat("x", maxText)+`"}`, `the JSON schema is too large: with its references it has 1048584 bytes, and 1048576 are allowed`)
	f(`{"enum":[`+strings.Repeat(`{},`, maxObjects)+`{}]}`, `the JSON schema is too large: with its references it has more than 5000 objects, true and false`)
	f(`{"allOf":[`+strings.Repeat(`true,`, maxObjects)+`true]}`, `the JSON schema is too large: with its references it has more than 5000 objects, true and false`)
	f(chain(maxPointers+1, `{"$ref":"#/x/%d"}`, `{}`), `the JSON schema refers to more than 500 places that are no definitions`)
	f(`{"patternProperties":{"[":true}}`, "the JSON schema has at \".patternProperties\" the pattern \"[\", which cannot be used: error parsing regexp: missing closing ]: `[`")
}

// Schemas that a few lines make dangerous, and values that make them so: each is
// refused, or costs bounded time, memory and stack.
func TestHostile(t *testing.T) {
	testkit.Long(t)
	f := func(schema, text, want string) {
		t.Helper()
		start := time.Now()
		_, err := compile(t, schema).AppendEncoded(nil, []byte(text), codec.Tagged, nil)
		if fmt.Sprint(err) != want {
			t.Errorf("%.80s: %.200v; want %s", schema, err, want)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%.80s took %v", schema, took)
		}
	}
	const (
		tooLong  = "it takes too long to check against this schema"
		tooDeep  = "it is nested too deeply to be checked against this schema"
		tooLarge = "it is not what the schema wants, and too large to say where"
		endless  = "the schema refers to itself without end"
	)
	deep := strings.Repeat(`{"a":`, 900) + `1` + strings.Repeat(`}`, 900)
	// Work doubles with each level of the value, or with each definition.
	f(`{"allOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}}}]}`, deep, tooLong)
	f(chain(21, `{"anyOf":[{"$ref":"#/definitions/%[1]d"},{"$ref":"#/definitions/%[1]d"}]}`, `{"type":"string"}`), `1`, tooLong)
	// A long way for each level of the value.
	far := chain(2000, `{"$ref":"#/definitions/%d"}`, `{"properties":{"a":{"$ref":"#/definitions/0"}}}`)
	f(far, deep, tooDeep)
	f(far, `{"a":{"a":{"a":{"a":{"a":1}}}}}`, "<nil>")
	f(`{"$ref":"#"}`, `1`, endless)
	f(`{"allOf":[{"$ref":"#"}]}`, `1`, endless)
	f(`{"properties":{"a":{"$ref":"#"}},"additionalProperties":false}`, deep, "<nil>")
	f(`{"pattern":"((a?){30}){30}b"}`, `"`+strings.Repeat("a", 1<<20)+`"`, tooLong)
	f(`{"items":{"type":"number"}}`, `[`+strings.Repeat(`1,`, 1<<19)+`1]`, "<nil>") // large, not hostile
	f(`{"items":{"type":"string"}}`, `[`+strings.Repeat(`1,`, 1<<19)+`1]`, tooLarge)
	// Each fault has a location as long as the value is deep.
	f(`{"type":"array","items":{"$ref":"#"}}`, strings.Repeat(`[`, 900)+strings.Repeat(`1,`, 1<<19)+`1`+strings.Repeat(`]`, 900), tooLarge)
	f(`{"uniqueItems":true}`, `[`+strings.Repeat(`1e999,`, 1<<10)+`1]`, "the elements 0 and 1 are equal")
}

// chain is a schema of n definitions, each of which refers to the next.
func chain(n int, link, last string) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/definitions/0","definitions":{`)
	for i := range n {
		fmt.Fprintf(&b, `"%d":%s,`, i, fmt.Sprintf(link, i+1))
	}
	fmt.Fprintf(&b, `"%d":%s}}`, n, last)
	return b.String()
}

// Values that are patterns themselves leave no memory behind.
func TestRegexFormat(t *testing.T) {
	s := compile(t, `{"format":"regex"}`)
	for i := range 2000 {
		if _, err := s.AppendEncoded(nil, fmt.Appendf(nil, `"^x%d(abcdefghijklmnopqrstuvwxyz){9}$"`, i), codec.Tagged, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{`"("`, `"` + strings.Repeat("a", maxPattern+1) + `"`} {
		if _, err := s.AppendEncoded(nil, []byte(text), codec.Tagged, nil); err == nil || !strings.HasPrefix(err.Error(), "expected the format regex, got ") {
			t.Errorf("%.20s: %v", text, err)
		}
	}
}

// The tree is the value that encoding/json decodes.
func FuzzGrow(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,"x\u00e9\n",true,false,null],"b":{}}`, `[[],[{}]]`, `"\ud800"`, `1e5`, ` [ 1 , {"a" : 2 } ] `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		d := stdjson.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		got, fault := grow(bytes.TrimSpace(text))
		if fault != "" {
			return
		}
		a, _ := stdjson.Marshal(got.value)
		b, _ := stdjson.Marshal(want)
		if !bytes.Equal(a, b) {
			t.Fatalf("grow(%q) = %s, want %s", text, a, b)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add(user, []byte(`{"name":"a","age":1}`))
	f.Add(`{"allOf":[{"properties":{"a":{"$ref":"#"}}},{"not":{"pattern":"^a{3}$"}}]}`, []byte(`{"a":{"a":{}}}`))
	f.Add(in(draft2020, `"$defs":{"x":{"$dynamicAnchor":"n"}},"unevaluatedItems":{"$dynamicRef":"#n"}`), []byte(`[1]`))
	f.Add(in(draft4, `"id":"http://x","format":"date","dependencies":{"a":["b"]}`), []byte(`{"a":1}`))
	f.Fuzz(func(t *testing.T, schema string, text []byte) {
		s, err := Compile(schema, nil)
		if err != nil {
			if err.Error() == "" || strings.Contains(err.Error(), "goroutine") {
				t.Fatalf("Compile: %q", err)
			}
			return
		}
		if !json.Valid(text) {
			return
		}
		text = json.Compact(text)
		before := bytes.Clone(text)
		got, err := s.AppendEncoded(nil, text, codec.Tagged, nil)
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		var m *codec.Mismatch
		if err != nil && !errors.As(err, &m) {
			t.Fatalf("%v is no mismatch", err)
		}
		if err == nil && !bytes.Equal(got, text) {
			t.Fatalf("got %s of %s", got, text)
		}
		// The fast pass agrees with the one that explains.
		c, _ := s.take()
		grown, _ := grow(text)
		if why, done := c.run(c.schema, grown.value, maxSteps); done && (why == nil) != (err == nil) && !strings.Contains(err.Error(), "1000 digits") {
			t.Fatalf("%s: %v, but %v", text, err, why)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(` { "a" : [ 1 , "x y" ] } `))
	f.Add([]byte(`1 2`))
	s := compile(f, `{}`)
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := bytes.Clone(payload)
		got, err := s.AppendDecoded([]byte("x"), payload, codec.Tagged)
		if !bytes.Equal(payload, before) {
			t.Fatal("the payload was changed")
		}
		if len(got) > 1+len(payload) {
			t.Fatalf("%d bytes became %d", len(payload), len(got))
		}
		if (err == nil) != json.Valid(payload) {
			t.Fatalf("%q: %v", payload, err)
		}
		var want bytes.Buffer
		if err == nil && (stdjson.Compact(&want, payload) != nil || "x"+want.String() != string(got)) {
			t.Fatalf("got %q of %q", got, payload)
		}
	})
}
