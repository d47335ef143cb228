package codec

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/pool"
)

func decode(t testing.TB, f Format, body string) (*pool.Slab, Schemas, error) {
	t.Helper()
	slab := new(pool.Slab)
	schemas, err := DecodeProduce([]byte(body), f, slab, 1000)
	return slab, schemas, err
}

func TestDecodeProduceJSON(t *testing.T) {
	// Each record of the result is written key|value|partition, nil as -.
	f := func(body string, want ...string) {
		t.Helper()
		slab, _, err := decode(t, JSON, body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			return
		}
		var got []string
		for _, r := range slab.Records {
			got = append(got, fmt.Sprintf("%s|%s|%d", orDash(r.Key), orDash(r.Value), r.Partition))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s\n got %q\nwant %q", body, got, want)
		}
	}
	f(`{"records":[{"value":{"foo":"bar"}}]}`, `-|{"foo":"bar"}|-1`)
	f(`{"records":[{}]}`, `-|-|-1`)
	f(`{"records":[{"key":null,"value":null,"partition":null,"headers":null,"timestamp":null}]}`, `-|-|-1`)
	f(`{"records":[{"key":"k","value":1,"partition":3}]}`, `"k"|1|3`)
	f(`{"records":[{"value":1,"partition":"7"}]}`, `-|1|7`)
	f(`{"records":[{"value":1,"partition":-1}]}`, `-|1|-2`)
	f(`{"records":[{"value":1},{"value":2,"partition":3},{"value":4},{"value":5},{"key":6},{"value":7} ,{"value":8}]}`, `-|1|-1`, `-|2|3`, `-|4|-1`, `-|5|-1`, `6|-|-1`, `-|7|-1`, `-|8|-1`)
	f(`{"records":[{"value":false},{"value":0},{"value":""},{"value":[]},{"value":{}}]}`, `-|false|-1`, `-|0|-1`, `-|""|-1`, `-|[]|-1`, `-|{}|-1`)
	// The text is stored exactly, but for the space between tokens.
	f(`{"records":[{"value":1E400},{"value":12345678901234567890.10}]}`, `-|1E400|-1`, `-|12345678901234567890.10|-1`)
	f("{\"records\": [ {\"value\" : { \"b\" : [ 1 , 2 ] ,\n \"a\" : \" x \\\" y \" } } ] }", `-|{"b":[1,2],"a":" x \" y "}|-1`)
	f(`{"records":[{"value":{"a":1,"a":2}}]}`, `-|{"a":1,"a":2}|-1`)
	f(`{"records":[{"value":"\ud83d\ude00\/\u0041"}]}`, `-|"\ud83d\ude00\/\u0041"|-1`)
	// Of two members with one name the last wins, on every level.
	f(`{"records":[{"value":1},{"value":2}],"records":[{"value":3,"value":4}]}`, `-|4|-1`)
	f(`{"records":[{"value":5,"value":null}]}`, `-|-|-1`)
	// Member names may have escapes; a byte order mark is skipped.
	f(`{"r\u0065cords":[{"\u0076alue":1}]}`, `-|1|-1`)
	f("\xef\xbb\xbf \n{\"records\":[{\"value\":1}]}\n", `-|1|-1`)
	f(`{"key_schema":null,"value_schema":"x","value_schema_id":3,"records":[{"value":1}]}`, `-|1|-1`)
}

func orDash(b []byte) string {
	if b == nil {
		return "-"
	}
	return string(b)
}

func TestDecodeProduceBinary(t *testing.T) {
	slab, _, err := decode(t, Binary, `{"records":[{"key":"Zm9v","value":"S2Fma2E="},{"value":""},{"value":"\u0053\/8="},{"value":null}]}`)
	if err != nil {
		t.Fatal(err)
	}
	r := slab.Records
	if string(r[0].Key) != "foo" || string(r[0].Value) != "Kafka" {
		t.Errorf("record 0 is %q: %q", r[0].Key, r[0].Value)
	}
	if r[1].Value == nil || len(r[1].Value) != 0 {
		t.Errorf("an empty string gave %#v, want an empty value", r[1].Value)
	}
	if string(r[2].Value) != "K\xff" {
		t.Errorf("escapes in base64 gave %q", r[2].Value)
	}
	if r[3].Value != nil {
		t.Errorf("null gave %q", r[3].Value)
	}
}

func TestDecodeProduceHeadersAndTimestamp(t *testing.T) {
	slab, schemas, err := decode(t, JSON, `{"value_schema":"{\"type\":\"int\"}","key_schema_id":7,"records":[
		{"value":1,"timestamp":1700000000123,"headers":[{"key":"a","value":"eA=="},{"value":null,"key":"b"},{"key":"a","value":""}]},
		{"value":2,"headers":[]},
		{"value":3,"headers":[{"key":"c","value":"eQ=="}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if string(schemas.Value) != `{"type":"int"}` || schemas.Key != nil || schemas.KeyID != 7 || schemas.ValueID != 0 {
		t.Errorf("schemas are %+v", schemas)
	}
	r := slab.Records
	if !r[0].Timestamp.Equal(time.UnixMilli(1700000000123)) || !r[1].Timestamp.IsZero() {
		t.Errorf("timestamps are %v and %v", r[0].Timestamp, r[1].Timestamp)
	}
	got := fmt.Sprintf("%q %q %q", r[0].Headers, r[1].Headers, r[2].Headers)
	if want := `[{"a" "x"} {"b" ""} {"a" ""}] [] [{"c" "y"}]`; got != want {
		t.Errorf("headers are %s, want %s", got, want)
	}
	if r[0].Headers[1].Value != nil || r[0].Headers[2].Value == nil {
		t.Error("a null header value must be nil, an empty one must not")
	}
}

// Numbers of the proxy's members may stand in quotes, with blanks around them.
func TestNumbersInQuotes(t *testing.T) {
	slab, schemas, err := decode(t, JSON, `{"key_schema_id":"7","value_schema_id":"\u0038","records":[{"value":1,"partition":" 3"}]}`)
	if err != nil || schemas.KeyID != 7 || schemas.ValueID != 8 || slab.Records[0].Partition != 3 {
		t.Errorf("%+v, %v", schemas, err)
	}
	for _, wrong := range []string{`""`, `"x"`, `"1.5"`, `"-1"`, `"1 1"`, `" "`, `"99999999999"`, `["1"]`, `true`} {
		if _, _, err := decode(t, JSON, `{"value_schema_id":`+wrong+`,"records":[{}]}`); !apierr.BadRequest.Is(err) {
			t.Errorf("value_schema_id %s: %v", wrong, err)
		}
	}
}

func TestDecodeProduceRefuses(t *testing.T) {
	f := func(format Format, body string, kind *apierr.Kind, says string) {
		t.Helper()
		_, _, err := decode(t, format, body)
		if !kind.Is(err) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.80q: %v; want %s saying %q", body, err, kind.Name, says)
		}
	}
	bad, unable := apierr.BadRequest, apierr.Unprocessable
	f(JSON, ``, bad, "unexpected end")
	f(JSON, `null`, apierr.Unprocessable, "needs a body")
	f(JSON, `[]`, bad, "must be a JSON object")
	f(JSON, `{"records":[{"value":1}]} x`, bad, "after the end")
	f(JSON, `{"records":[{"value":1}]}{}`, bad, "after the end")
	f(JSON, `{"records":[{"value":1},{"value":tru}]}`, bad, "records[1]")
	f(JSON, `{"records":[{"value":1}`, bad, "unexpected end")
	f(JSON, `{"records":[{"value":1},]}`, bad, "JSON")
	f(JSON, `{"records":[null]}`, bad, "records[0]")
	f(JSON, `{"records":[{"value":1},5]}`, bad, "records[1]")
	f(JSON, `{"records":7}`, bad, "list")
	f(JSON, "{\"records\":[{\"value\":\"a\xff\"}]}", bad, "UTF-8 in a string at byte 23, in or after records[0]")
	f(JSON, `{"records":[{"value":1,"partition":1.5}]}`, bad, "records[0].partition")
	f(JSON, `{"records":[{"value":1,"partition":4294967296}]}`, bad, "records[0].partition")
	f(JSON, `{"records":[{"value":1,"partition":"x"}]}`, bad, "records[0].partition")
	f(JSON, `{"records":[{"value":1,"partition":true}]}`, bad, "records[0].partition")
	f(JSON, `{"records":[{"value":1,"timestamp":"2020"}]}`, bad, "records[0].timestamp")
	f(JSON, `{"records":[{"value":1,"timestamp":-1}]}`, bad, "records[0].timestamp")
	f(JSON, `{"records":[{"headers":{}}]}`, bad, "records[0].headers")
	f(JSON, `{"records":[{"headers":[{"value":"eA=="}]}]}`, bad, "records[0].headers")
	f(JSON, `{"records":[{"headers":[{"key":"k","value":"@"}]}]}`, bad, "records[0].headers")
	f(JSON, `{"records":[{"headers":[{"key":"k","value":5}]}]}`, bad, "records[0].headers")
	f(JSON, `{"records":[{"headers":["x"]}]}`, bad, "records[0].headers")
	f(JSON, `{"key_schema":5,"records":[{}]}`, bad, "key_schema")
	f(JSON, `{"key_schema_id":"x","records":[{}]}`, bad, "key_schema_id")
	f(Avro, `{"value_schema_id":0,"records":[{}]}`, apierr.RegistryRefused, "value_schema_id is 0")
	f(Binary, `{"records":[{"value":"Zg=="},{"value":"@@"}]}`, bad, "records[1].value")
	f(Binary, `{"records":[{"value":"Zg=="},{"value":"_-8="}]}`, bad, "records[1].value")
	f(Binary, `{"records":[{"key":{"a":1},"value":"Zg=="}]}`, bad, "records[0].key")
	f(JSON, `{}`, unable, "records")
	f(JSON, `{"records":null}`, unable, "records")
	f(JSON, `{"records":[]}`, unable, "records")
	f(JSON, `{"records":[{}],"recrods":1}`, unable, `"recrods"`)
	f(JSON, `{"records":[{"vlaue":1}]}`, unable, `"vlaue"`)
	f(JSON, `{"records":[{"headers":[{"key":"k","value":null,"x":1}]}]}`, unable, `"x"`)
	f(JSON, `{"records":[`+strings.Repeat(`{},`, 1000)+`{}]}`, apierr.BodyTooLarge, "1000")
	f(JSON, strings.Repeat(`[`, 100000), bad, "")
	f(JSON, `{"records":[{"value":`+strings.Repeat(`{"a":`, 100000), bad, "nesting")
}

func TestRealRecordsRoundTrip(t *testing.T) {
	records := testkit.RealRecords(t)
	body := []byte(`{"records":[`)
	for i, r := range records {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, `{"value":`...), r...), '}')
	}
	slab := new(pool.Slab)
	if _, err := DecodeProduce(append(body, `]}`...), JSON, slab, len(records)); err != nil {
		t.Fatal(err)
	}
	for i := range records {
		var want bytes.Buffer
		if err := stdjson.Compact(&want, records[i]); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(slab.Records[i].Value, want.Bytes()) {
			t.Fatalf("record %d is %.80q, want %.80q", i, slab.Records[i].Value, want.Bytes())
		}
	}
}
