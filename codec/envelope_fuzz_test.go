package codec

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"millrace/codec/binary"
	"millrace/internal/apierr"
	"millrace/pool"
)

// reference decodes a produce request as [DecodeProduce] does, by encoding/json and by no code of
// the walker's. It knows the formats json and binary.
type reference struct {
	format  Format
	records []refRecord
	schemas string // as fmt prints them
}

// refRecord has fields as fmt prints them, so that nil differs from empty.
type refRecord struct {
	key, value string
	partition  int32
	timestamp  int64 // -1: none
	headers    string
}

var errRefused = errors.New("refused")

// member is one of an object.
type member struct {
	name string
	raw  stdjson.RawMessage
}

// membersOf returns the members of an object in their order, repeated ones too. raw is valid JSON.
func membersOf(raw []byte) (members []member, err error) {
	d := stdjson.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != stdjson.Delim('{') {
		return nil, errRefused
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: name.(string)}
		if err := d.Decode(&m.raw); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

func (r *reference) decode(body []byte) error {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !stdjson.Valid(body) {
		return errRefused
	}
	members, err := membersOf(body)
	if err != nil {
		return err
	}
	texts, ids := map[string]string{}, map[string]int64{}
	for _, m := range members {
		var err error
		switch m.name {
		case "records":
			err = r.list(m.raw)
		case "key_schema", "value_schema":
			texts[m.name], err = textOf(m.raw)
		case "key_schema_id", "value_schema_id":
			ids[m.name], err = numberOf(m.raw, 1<<31-1, 0)
		default:
			err = errRefused
		}
		if err != nil {
			return err
		}
	}
	r.schemas = fmt.Sprintf("%q %q %d %d", texts["key_schema"], texts["value_schema"], ids["key_schema_id"], ids["value_schema_id"])
	if len(r.records) == 0 {
		return errRefused
	}
	for i := range r.records {
		for _, datum := range []*string{&r.records[i].key, &r.records[i].value} {
			if err := r.undo(datum); err != nil {
				return err
			}
		}
	}
	return nil
}

// list reads the records.
func (r *reference) list(raw []byte) error {
	r.records = nil
	var all []stdjson.RawMessage
	if err := stdjson.Unmarshal(raw, &all); err != nil || len(all) > 1000 {
		return errRefused
	}
	for _, raw := range all {
		members, err := membersOf(raw)
		if err != nil {
			return err
		}
		rec := refRecord{key: "nil", value: "nil", partition: -1, timestamp: -1}
		for _, m := range members {
			if err := rec.take(m); err != nil {
				return err
			}
		}
		r.records = append(r.records, rec)
	}
	return nil
}

func (r *refRecord) take(m member) (err error) {
	switch m.name {
	case "key":
		r.key = datumOf(m.raw)
	case "value":
		r.value = datumOf(m.raw)
	case "partition":
		r.partition, err = partitionOf(m.raw)
	case "timestamp":
		r.timestamp, err = numberOf(m.raw, 253402300799999, -1)
	case "headers":
		r.headers, err = headersOf(m.raw)
	default:
		err = errRefused
	}
	return err
}

// datumOf is JSON without white space between its tokens.
func datumOf(raw []byte) string {
	var compact bytes.Buffer
	if string(raw) == "null" || stdjson.Compact(&compact, raw) != nil {
		return "nil"
	}
	return fmt.Sprintf("%q", compact.Bytes())
}

// undo undoes the base64 of a datum, which is as datumOf made it.
func (r *reference) undo(datum *string) error {
	if r.format != Binary || *datum == "nil" {
		return nil
	}
	var quoted string
	_, _ = fmt.Sscanf(*datum, "%q", &quoted)
	var text *string
	if stdjson.Unmarshal([]byte(quoted), &text) != nil || text == nil {
		return errRefused
	}
	value, ok := binary.Decode([]byte(*text))
	if !ok {
		return errRefused
	}
	*datum = fmt.Sprintf("%q", value)
	return nil
}

func textOf(raw []byte) (string, error) {
	var text string
	if err := stdjson.Unmarshal(raw, &text); err != nil {
		return "", errRefused
	}
	return text, nil
}

// numberOf reads digits, or null as none.
func numberOf(raw []byte, limit, none int64) (int64, error) {
	if string(raw) == "null" {
		return none, nil
	}
	if strings.Trim(string(raw), "0123456789") != "" || len(raw) > 18 {
		return 0, errRefused
	}
	var n int64
	if err := stdjson.Unmarshal(raw, &n); err != nil || n > limit {
		return 0, errRefused
	}
	return n, nil
}

// partitionOf reads a number, or one in quotes, where it may have zeros in front.
func partitionOf(raw []byte) (int32, error) {
	text := string(raw)
	if raw[0] == '"' {
		var err error
		if text, err = textOf(raw); err != nil || text == "" || text == "null" || len(strings.TrimPrefix(text, "-")) > 18 {
			return 0, errRefused
		}
	}
	digits, negative := strings.CutPrefix(text, "-")
	if raw[0] == '"' && strings.Trim(digits, "0123456789") == "" && digits != "" {
		if digits = strings.TrimLeft(digits, "0"); digits == "" {
			digits = "0"
		}
	}
	if negative && (digits == "" || digits == "null") {
		return 0, errRefused
	}
	n, err := numberOf([]byte(digits), 1<<31-1, -1)
	if negative {
		n = NegativePartition
	}
	return int32(n), err
}

func headersOf(raw []byte) (string, error) {
	var all []stdjson.RawMessage
	if err := stdjson.Unmarshal(raw, &all); err != nil || len(all) > MaxHeaders {
		return "", errRefused
	}
	var text strings.Builder
	for _, raw := range all {
		members, err := membersOf(raw)
		if err != nil {
			return "", err
		}
		var key *string
		var value []byte
		for _, m := range members {
			var s *string
			if err := stdjson.Unmarshal(m.raw, &s); err != nil || s == nil && m.name == "key" || m.name != "key" && m.name != "value" {
				return "", errRefused
			}
			if m.name == "key" {
				key = s
				continue
			}
			value = nil
			if s != nil {
				var ok bool
				if value, ok = binary.Decode([]byte(*s)); !ok {
					return "", errRefused
				}
			}
		}
		if key == nil || len(*key) > MaxHeaderKey {
			return "", errRefused
		}
		fmt.Fprintf(&text, "%q=%q(%v) ", *key, value, value == nil)
	}
	return text.String(), nil
}

// asReference brings what DecodeProduce made into the same form.
func asReference(slab *pool.Slab) (records []refRecord) {
	for i := range slab.Records {
		r := &slab.Records[i]
		rec := refRecord{key: "nil", value: "nil", partition: r.Partition, timestamp: -1}
		if r.Key != nil {
			rec.key = fmt.Sprintf("%q", r.Key)
		}
		if r.Value != nil {
			rec.value = fmt.Sprintf("%q", r.Value)
		}
		if r.Timestamp != (time.Time{}) {
			rec.timestamp = r.Timestamp.UnixMilli()
		}
		for _, h := range r.Headers {
			rec.headers += fmt.Sprintf("%q=%q(%v) ", h.Key, h.Value, h.Value == nil)
		}
		records = append(records, rec)
	}
	return records
}

// fuzzEnvelope holds that DecodeProduce accepts what the reference accepts, no more and no less,
// and finds the same in it.
func fuzzEnvelope(f *testing.F, format Format, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		slab := new(pool.Slab)
		schemas, err := DecodeProduce(bytes.Clone(body), format, slab, 1000)
		if e := apierr.From(err); err != nil && (e.Kind.Status < 400 || e.Kind.Status >= 500) {
			t.Fatalf("%q gave %v", body, err)
		}
		if !utf8.Valid(body) || bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > 100 {
			return // encoding/json replaces bytes that are no UTF-8, and nests deeper
		}
		want := reference{format: format}
		refused := want.decode(body)
		if (err == nil) != (refused == nil) {
			t.Fatalf("%q gave %v; encoding/json: %v", body, err, refused)
		}
		if err != nil {
			return
		}
		if got := fmt.Sprintf("%q %q %d %d", schemas.Key, schemas.Value, schemas.KeyID, schemas.ValueID); got != want.schemas {
			t.Fatalf("%q has the schemas %s, want %s", body, got, want.schemas)
		}
		if got := asReference(slab); fmt.Sprint(got) != fmt.Sprint(want.records) {
			t.Fatalf("%q has the records\n%v, want\n%v", body, got, want.records)
		}
	})
}

// envelopeSeeds are of every member, right and wrong, in either format.
var envelopeSeeds = []string{
	`{"records":[{"key":"k","value":{"a":[1, 2]},"partition":"3","timestamp":5,"headers":[{"key":"h","value":"eA=="}]}]}`,
	`{"key_schema":"s","value_schema_id":4,"records":[{},{"value":null}]}`,
	"\xef\xbb\xbf{\"records\" : [ { \"value\" : 1e5 } ] }",
	`{"records":[{"key":"Zm9v","value":"S2Fma2E="},{"value":""}]}`, `{"records":[{"value":"\/\/8"}]}`,
	`{"records":[{"value":1,"value":2}],"records":[{"value":3,"key":null,"key":4}]}`,
	`{"r\u0065cords":[{"p\u0061rtition":"\u0037","value":"\ud83d\ude00\ud83d"}]}`,
	`{"records":[{"partition":-1},{"partition":"-0"},{"partition":"007"},{"partition":2147483647}]}`,
	`{"records":[{"partition":2147483648}]}`, `{"records":[{"partition":"x"}]}`, `{"records":[{"partition":1.0}]}`,
	`{"records":[{"timestamp":253402300799999}]}`, `{"records":[{"timestamp":"5"}]}`, `{"records":[{"timestamp":-1}]}`,
	`{"records":[{"headers":[{"key":"a","value":null},{"value":"","key":"b","key":""}]}]}`, `{"records":[{"headers":[{"value":"eA=="}]}]}`,
	`{"records":[{"headers":null,"headers":[],"unknown":1}]}`, `{"Records":[{}]}`, `{"records":[null]}`, `{"records":{}}`, `[]`, `{"records":[{}]} x`,
	`{"key_schema":null,"value_schema":"\u0022","key_schema_id":0,"value_schema_id":2147483647,"records":[{"value":"x","headers":[{"key":"\u00e9\n"}]}]}`,
}

func FuzzEnvelopeJSON(f *testing.F)   { fuzzEnvelope(f, JSON, envelopeSeeds...) }
func FuzzEnvelopeBinary(f *testing.F) { fuzzEnvelope(f, Binary, envelopeSeeds...) }
