package codec

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"millrace/codec/binary"
	"millrace/codec/json"
	"millrace/pool"
)

// refEntry is a v3 record as fmt prints it, or why it is refused.
type refEntry struct {
	refused    bool
	record     refRecord
	key, value DataType
}

// refEntries decodes a sequence of v3 records as [DecodeEntries] does, by encoding/json. whole is
// false if the sequence has a fault of syntax, or ends within a record. A byte order mark may be
// before each value.
func refEntries(body []byte) (entries []refEntry, whole bool) {
	for {
		body = bytes.TrimLeft(body, " \t\r\n")
		if rest, found := bytes.CutPrefix(body, []byte("\xef\xbb\xbf")); found {
			body = rest
			continue
		}
		d := stdjson.NewDecoder(bytes.NewReader(body))
		var raw stdjson.RawMessage
		if err := d.Decode(&raw); err != nil {
			return entries, errors.Is(err, io.EOF)
		}
		body = body[d.InputOffset():]
		e := refEntry{record: refRecord{key: "nil", value: "nil", partition: -1, timestamp: -1}}
		e.refused = e.take(raw) != nil
		entries = append(entries, e)
	}
}

func (e *refEntry) take(raw []byte) error {
	members, err := membersOf(raw)
	if err != nil {
		return err
	}
	var all error
	for _, m := range members {
		var err error
		switch r := &e.record; m.name {
		case "key":
			r.key, e.key, err = refData(m.raw)
		case "value":
			r.value, e.value, err = refData(m.raw)
		case "partition_id":
			r.partition, err = partitionOf(m.raw)
		case "timestamp":
			r.timestamp, err = refTime(m.raw)
		case "headers":
			r.headers, err = headersOf(bytes.ReplaceAll(bytes.ReplaceAll(m.raw, []byte(`"key"`), []byte(`"nokey"`)), []byte(`"name"`), []byte(`"key"`)))
		default:
			err = errRefused
		}
		all = errors.Join(all, err)
	}
	return all
}

func refTime(raw []byte) (int64, error) {
	ms := math.NaN()
	if text, err := textOf(raw); err == nil && raw[0] == '"' {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			ms = float64(at.UnixMilli())
		}
	} else if string(raw) == "null" {
		return -1, nil
	} else if seconds, err := strconv.ParseFloat(string(raw), 64); err == nil {
		ms = math.Round(seconds * 1000)
	}
	if !(ms >= 0 && ms <= maxTimestamp) {
		return 0, errRefused
	}
	return int64(ms), nil
}

// refData reads data of a type without a schema; others are not compared.
func refData(raw []byte) (string, DataType, error) {
	if string(raw) == "null" {
		return "nil", NoData, nil
	}
	members, err := membersOf(raw)
	if err != nil {
		return "", 0, err
	}
	data, of := stdjson.RawMessage("null"), SchemaData
	for _, m := range members {
		switch m.name {
		case "data":
			data = m.raw
		case "type":
			name, err := textOf(m.raw)
			if err != nil || string(m.raw) != `"`+name+`"` && string(m.raw) != "null" {
				return "", 0, errRefused
			}
			of = SchemaData
			for t := BinaryData; t <= ProtobufData; t++ {
				if t.String() == name {
					of = t
				}
			}
			if of == SchemaData && string(m.raw) != "null" {
				return "", 0, errRefused
			}
		default:
			return "", 0, errRefused
		}
	}
	if string(data) == "null" || of != BinaryData && of != StringData {
		return datumOf(data), of, nil
	}
	text, err := textOf(data)
	if err != nil || of == StringData {
		return fmt.Sprintf("%q", text), of, err
	}
	b, ok := binary.Decode([]byte(text))
	if !ok {
		return "", 0, errRefused
	}
	return fmt.Sprintf("%q", b), of, nil
}

// asRefEntries brings what DecodeEntries made into the same form.
func asRefEntries(entries []Entry, slab *pool.Slab) (all []refEntry) {
	records := asReference(slab)
	for i := range entries {
		e := refEntry{refused: entries[i].Err != nil}
		if !e.refused {
			e.record, records = records[0], records[1:]
			e.key, e.value = entries[i].Key.Type, entries[i].Value.Type
		}
		all = append(all, e)
	}
	return all
}

func sameEntries(t *testing.T, body []byte, got, want []refEntry) {
	t.Helper()
	for i := range want {
		if want[i].refused {
			want[i] = refEntry{refused: true}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%q has the entries\n%v, want\n%v", body, got, want)
	}
}

// FuzzEntries holds that DecodeEntries finds in a sequence what encoding/json does, and the same if
// the sequence comes in two pieces.
func FuzzEntries(f *testing.F) {
	for _, s := range []string{
		`{"value":{"type":"BINARY","data":"aGVsbG8="}} {"key":{"data":"k","type":"STRING"},"value":{"type":"JSON","data":{"a":[1, 2]}}}`,
		`{"partition_id":"7","headers":[{"name":"h","value":"eA=="},{"name":"i","value":null}],"timestamp":"2021-02-05T19:14:42.5Z"}{}`,
		`{"timestamp":1612552482.25}{"timestamp":-1}{"timestamp":"x"}{"timestamp":1e300}{"timestamp":null}null "x"[1]{"value":null}`,
		`{"value":{"type":"STRING","data":5}}{"value":{"type":"BINARY","data":"@@"}}{"value":{"type":"X","data":1}}{"value":[]}{"x":{"y":[1]}}{"key":{}}`,
		`{"value":{"type":"JSON","data":"\"}{\\\u0041"}}` + "\r\n" + `{"value":{"type":"JSON","data":1},"value":{"type":"JSON","data" : [ 2 ]}}`,
		"\xef\xbb\xbf{\"value\":{\"type\":\"JSON\",\"data\":1e5}}{]", `{"value":{"type":"JSON","data":tru}}`, `{"headers":[{"value":"eA=="}]}{"headers":{}}{"partition_id":-1}`,
	} {
		f.Add([]byte(s), len(s)/2)
	}
	f.Add([]byte("t A"), 2) // wrong, and not cut off
	f.Add([]byte("\ufeff{}\ufeff\"\"}"), 2)
	f.Add([]byte("{}\n\ufeff{}\ufeff\ufeff {}\ufeff"), 4)
	f.Add([]byte("{}\ufeff\xef\xbb"), 6)
	f.Add([]byte("{}\ufeff0"), 4)
	f.Fuzz(func(t *testing.T, body []byte, cut int) {
		slab := new(pool.Slab)
		entries, taken, fault := DecodeEntries(bytes.Clone(body), slab, nil, 1000)
		if fault == nil && taken < len(body) && len(entries) < 1000 {
			t.Fatalf("of %q %d bytes were taken without a fault", body, taken)
		}
		if !utf8.Valid(body) || bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > 100 || len(entries) == 1000 ||
			bytes.Contains(body, []byte("schema")) || bytes.Contains(body, []byte("subject")) || bytes.Contains(body, []byte(`\u`)) || bytes.Contains(body, []byte(`"key"`)) && bytes.Contains(body, []byte("headers")) {
			return // encoding/json replaces bytes that are no UTF-8, and nests deeper
		}
		want, whole := refEntries(body)
		if whole != (fault == nil) && !strings.ContainsAny(string(body), "0123456789-truefalsn") {
			t.Fatalf("%q: fault %v; encoding/json: whole is %v", body, fault, whole)
		}
		if whole && fault == nil {
			sameEntries(t, body, asRefEntries(entries, slab), want)
		}
		pieces(t, body, cut, asRefEntries(entries, slab))
	})
}

// pieces decodes body in two pieces.
func pieces(t *testing.T, body []byte, cut int, want []refEntry) {
	if cut <= 0 || cut >= len(body) || bytes.ContainsAny(body[cut-1:cut+1], "0123456789-+eE.truefalsn") {
		return // a number, or a word, may be cut in two
	}
	slab := new(pool.Slab)
	first, taken, fault := DecodeEntries(bytes.Clone(body[:cut]), slab, nil, 1000)
	got := asRefEntries(first, slab)
	if fault != nil && !fault.Truncated(body[:cut]) {
		if len(got) != len(want) {
			t.Fatalf("%q has a fault, %v, in its first %d bytes, and %d entries; whole, it has %d", body, fault, cut, len(got), len(want))
		}
		return
	}
	var ender json.Ender
	if fault != nil {
		if n, ended := ender.Find(body[taken:cut]); ended {
			t.Fatalf("%q is cut at %d, and its last value ends at %d", body, cut, taken+n)
		}
	}
	rest := new(pool.Slab)
	second, more, _ := DecodeEntries(bytes.Clone(body[taken:]), rest, nil, 1000)
	sameEntries(t, body, append(got, asRefEntries(second, rest)...), want)
	value := bytes.TrimLeft(body[taken:], " \r\n\t\xef\xbb\xbf")
	numberOrWord := len(value) > 0 && !strings.ContainsRune(`"{[`, rune(value[0])) // has no end of its own
	if fault != nil && len(second) > 0 && !numberOrWord {
		if n, ended := ender.Find(body[cut:]); !ended || cut+n > taken+more {
			t.Fatalf("%q, cut at %d: no end was found of the value at %d", body, cut, taken)
		}
	}
}
