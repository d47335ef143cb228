package loadtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/codec"
	"millrace/codec/avro"
)

func TestGeneratedValues(t *testing.T) {
	for _, size := range []int{minPayload, 200, 333, 1000, 20000} {
		rnd := rand.New(rand.NewPCG(uint64(size), 1))
		for range 100 {
			v := event(rnd, size)
			text := appendValue(nil, recordID{"12345678", 0, 123456}, v)
			if !json.Valid(text) || len(text) > size+size/10+20 || len(text) < size-size/10-20 {
				t.Fatalf("%d bytes wanted: %d, %s", size, len(text), text)
			}
		}
	}
	var of [3][][]byte
	for i, seed := range []int64{1, 1, 2} {
		var err error
		if of[i], err = (Payload{Size: 64 << 10, Seed: seed}).values("json"); err != nil || len(of[i]) != 128 {
			t.Fatal(len(of[i]), err)
		}
	}
	if !reflect.DeepEqual(of[0], of[1]) || reflect.DeepEqual(of[0], of[2]) {
		t.Error("the seed must decide, and it alone")
	}
}

func TestPayloadFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.ndjson")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("{ \"a\": 1.50 }\n\n{}\r\n")
	values, err := Payload{File: file}.values("json")
	if err != nil || len(values) != 2 {
		t.Fatalf("%q, %v", values, err)
	}
	id := recordID{"r", 2, 3}
	if have := string(appendValue(nil, id, values[0])); have != `{"_lt":"r.2.3","a":1.50}` {
		t.Error(have)
	}
	if have := string(appendValue(nil, id, values[1])); have != `{"_lt":"r.2.3"}` {
		t.Error(have)
	}
	for text, want := range map[string]string{"{}\n[1]\n": "line 2 is not a JSON object", "{\n": "line 1", "": "no line"} {
		write(text)
		if _, err := (Payload{File: file}).values("json"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want %q, have %v", text, want, err)
		}
	}
}

func TestParseValue(t *testing.T) {
	id := recordID{"abcd", 3, 1 << 40}
	for _, text := range []string{
		`{"_lt":"abcd.3.1099511627776","x":1}`, `{ "x": 1, "_lt": "abcd.3.1099511627776" }`, `{"\u005flt":"abcd.3.1099511627776"}`,
	} {
		if have, ok := parseValue([]byte(text)); !ok || have != id {
			t.Errorf("%s: %+v, %v", text, have, ok)
		}
	}
	for _, text := range []string{"", "null", "x", "{}", `{"_lt":3}`, `{"_lt":"a.b"}`, `{"_lt":"a.1.-1"}`, `{"_lt":"a.1.x"}`, `{"_lt":"`} {
		if have, ok := parseValue([]byte(text)); ok {
			t.Errorf("%s: %+v", text, have)
		}
	}
}

// TestProduceBody holds a request's body against what the API wants.
func TestProduceBody(t *testing.T) {
	for _, format := range []string{"json", "binary", "avro"} {
		f := &Flow{Topic: "a b", Format: format, Records: 3, Keys: 2, Payload: Payload{Size: 200, Seed: 1}}
		p, err := newProducer(&endpoint{base: "http://h"}, f, "run", newLedger(f, 5, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct {
			Records []struct{ Key, Value json.RawMessage }
		}
		if err := json.Unmarshal(p.body(7), &envelope); err != nil || len(envelope.Records) != 3 {
			t.Fatalf("%v: %s", err, p.body(7))
		}
		for i, r := range envelope.Records {
			key, value := plain(t, format, r.Key), plain(t, format, r.Value)
			if id, ok := parseValue(value); !ok || id != (recordID{"run", 5, uint64(21 + i)}) {
				t.Errorf("record %d has id %+v", i, id)
			}
			if want := fmt.Sprintf(`"key-%06d"`, (21+i)%2); string(key) != want {
				t.Errorf("record %d has key %s, want %s", i, key, want)
			}
		}
		if p.url != "http://h/topics/a%20b" {
			t.Error(p.url)
		}
	}
}

func plain(t *testing.T, format string, text json.RawMessage) []byte {
	t.Helper()
	if format != "binary" {
		return text
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseOffsets(t *testing.T) {
	usual := `{"offsets":[{"partition":0,"offset":12,"error_code":null,"error":null},{"partition":3,"offset":123456789012,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}`
	want := []slot{{12, 0}, {123456789012, 3}}
	if slots, ok := scanOffsets([]byte(usual), 2); !ok || !reflect.DeepEqual(slots, want) {
		t.Errorf("%v, %v", slots, ok)
	}
	spaced := strings.NewReplacer(":", ": ", ",", ",\n").Replace(usual)
	if _, ok := scanOffsets([]byte(spaced), 2); ok {
		t.Error("the quick way is for one spelling")
	}
	if slots, failed, err := parseOffsets([]byte(spaced), 2); err != nil || len(failed) != 0 || !reflect.DeepEqual(slots, want) {
		t.Errorf("%v, %v, %v", slots, failed, err)
	}
	one := `{"offsets":[{"partition":0,"offset":1,"error_code":null,"error":null},{"partition":null,"offset":null,"error_code":50003,"error":"later"}]}`
	slots, failed, err := parseOffsets([]byte(one), 2)
	if err != nil || !slots[0].acked() || slots[1].acked() || !reflect.DeepEqual(failed, []recordFailure{{50003, "later"}}) {
		t.Errorf("%v, %v, %v", slots, failed, err)
	}
	for _, text := range []string{"", "{}", "null", usual[:40], usual} {
		if _, _, err := parseOffsets([]byte(text), 3); err == nil {
			t.Errorf("%q does not speak for 3 records", text)
		}
	}
	for i := range usual { // cut anywhere it must not panic
		scanOffsets([]byte(usual[:i]), 2)
	}
}

// A stored Avro value is known again by its first field.
func TestAvroIDs(t *testing.T) {
	schema, err := avro.Compile(avroSchema, nil)
	if err != nil {
		t.Fatal(err)
	}
	values, err := (Payload{Size: 300, Seed: 1}).values("avro")
	if err != nil {
		t.Fatal(err)
	}
	id := recordID{"run", 3, 12345}
	text := appendValue(nil, id, values[0])
	stored, err := schema.AppendEncoded(codec.AppendFrame(nil, 7), text, codec.Tagged, nil)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if have, ok := parseValue(stored); !ok || have != id {
		t.Errorf("the id is %+v, %v", have, ok)
	}
	for n := range stored[:20] {
		if have, ok := parseValue(stored[:n]); ok && have == id && n < 16 {
			t.Errorf("an id was found in %d bytes", n)
		}
	}
	file := filepath.Join(t.TempDir(), "s.avsc")
	if err := os.WriteFile(file, []byte(`{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Payload{Schema: file}).schema(); err == nil || !strings.Contains(err.Error(), "_lt") {
		t.Errorf("a schema without room for the id: %v", err)
	}
}

// In any topic a value has an id or none, and an id is found again in the payload that is made
// of the value.
func FuzzParseValue(f *testing.F) {
	id := recordID{"run", 3, 12345}
	f.Add(appendValue(nil, id, []byte(`"a":1}`)))
	f.Add([]byte("\x00\x00\x00\x00\x07\x16run.3.12345 and more"))
	f.Add([]byte("\x00\x00\x00\x00\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, value []byte) {
		id, ok := parseValue(value)
		if !ok || strings.ContainsAny(id.Run, "\"\\") || id.Worker < 0 {
			return
		}
		if again, ok := parseValue(appendValue(nil, id, []byte("}"))); !ok || again != id {
			t.Errorf("%+v became %+v, %v", id, again, ok)
		}
	})
}
