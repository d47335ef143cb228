package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	check "millrace/codec/json"
	"millrace/pool"
)

// events parses body, and returns its records and the indexes of the refused events. They are the
// same whether the route has rules or not.
func events(t testing.TB, body string, f form, most int) (records []string, refused []int, err error) {
	t.Helper()
	records, refused, err = eventsOf(body, f, most, &Route{})
	plain, plainRefused, plainErr := eventsOf(body, f, most, &Route{plain: true})
	if !slices.Equal(records, plain) || !slices.Equal(refused, plainRefused) || fmt.Sprint(err) != fmt.Sprint(plainErr) {
		t.Fatalf("%q as %d: %q, %v, %v without rules, %q, %v, %v with", body, f, plain, plainRefused, plainErr, records, refused, err)
	}
	return records, refused, err
}

func eventsOf(body string, f form, most int, route *Route) (records []string, refused []int, err error) {
	var slab pool.Slab
	p := parser{body: []byte(body), slab: &slab, json: new(check.Values), max: most, rules: rules{route: route}}
	if err := p.parse(f); err != nil {
		return nil, nil, err
	}
	for i := range slab.Records {
		records = append(records, string(slab.Records[i].Value))
	}
	for _, r := range p.refused {
		refused = append(refused, r.index)
	}
	return records, refused, nil
}

func TestEvents(t *testing.T) {
	f := func(body string, form form, want string) {
		t.Helper()
		records, refused, err := events(t, body, form, 3)
		got := fmt.Sprintf("%q %v", records, refused)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q as %d:\n%s\nwant\n%s", body, form, got, want)
		}
	}
	f("\xEF\xBB\xBF {}\n", values, `["{}"] []`)
	f("[[1],{\"a\":[]}]", values, `["[1]" "{\"a\":[]}"] []`)
	f("[1] [2]3", values, `["1" "2" "3"] []`)
	f("1 null[null]", values, `["1"] [1 2]`)
	f("1 2 3 4", values, `body_too_large: The request has more than 3 events`)
	f("[1,2,3,4]", values, `body_too_large`)
	f("[1,]", values, `bad_request: The body is not valid JSON, and nothing was written: invalid character at the start of a value at byte 3, in or after event 1.`)
	f("[", values, `bad_request: The body is not valid JSON, and nothing was written: unexpected end at byte 1, in or after event 0.`)
	f("\"\xFF\"", values, `bad_request`)
	f(" \n", values, `unprocessable: The body has no event.`)
	f("\xEF\xBB\xBF1\r\n\r\n 2 \r\n{}", lines, `["1" "2" "{}"] []`)
	f("{\n1\n}", lines, `["1"] [0 2]`)
	f("1\n2\n3\n4\n", lines, `body_too_large`)
	f("\n\n", lines, `unprocessable`)
	f(strings.Repeat("x\n", maxRefused+1), lines, `bad_request: More than 1000 events are malformed, and nothing was written. The first is event 0: The line is not`)
	f("\x00\xFF", raw, `["\x00\xff"] []`)
	f("", raw, `unprocessable`)
}

func TestForms(t *testing.T) {
	f := func(contentType string, want form, beacon, ok bool) {
		t.Helper()
		if got, b, err := formOf([]byte(contentType)); got != want || b != beacon || (err == nil) != ok {
			t.Errorf("%q: %d, %v, %v", contentType, got, b, err)
		}
	}
	f("application/json", values, false, true)
	f("Application/JSON ; charset=utf-8", values, false, true)
	f("application/cloudevents+JSON", values, false, true)
	f("text/plain;charset=UTF-8", values, true, true)
	f("application/x-ndjson", lines, false, true)
	f("application/x-www-form-urlencoded", raw, false, true)
	f("application/jsonx", raw, false, true)
	f("", raw, false, true)
	f(";", raw, false, true)
	f("application/vnd.kafka.json.v2+json", raw, false, false)
}

// The parser agrees with encoding/json about where events begin and end, and does not write to
// the body.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{`[1,{"a":[]},"x"]`, "{}\n{}", "1 2[3]null", "[[", "\xEF\xBB\xBF{}", "{\"a\":1}\n{\"a\"\n2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		text := strings.Clone(body)
		if records, refused, err := events(t, body, values, 1000); err == nil {
			want, ok := decoded(strings.TrimPrefix(body, "\xEF\xBB\xBF"))
			if got := len(records) + len(refused); !ok || got != len(want) {
				t.Fatalf("%q: %d events, want %q", body, got, want)
			}
			for _, r := range records {
				for want[0] == "null" {
					want = want[1:]
				}
				if r != want[0] {
					t.Fatalf("%q: event %q, want %q", body, r, want[0])
				}
				want = want[1:]
			}
		}
		if records, refused, err := events(t, body, lines, 1000); err == nil {
			if want, unwanted := validLines(strings.TrimPrefix(body, "\xEF\xBB\xBF")); !slices.Equal(records, want) || len(refused) != unwanted {
				t.Fatalf("%q: events %q and %d refused, want %q and %d", body, records, len(refused), want, unwanted)
			}
		}
		if text != body {
			t.Fatalf("%q was changed to %q", text, body)
		}
	})
}

// validLines returns the lines of body that are JSON by encoding/json, but for null, and how many
// others have something in them.
func validLines(body string) (valid []string, others int) {
	for line := range strings.SplitSeq(body, "\n") {
		switch line = strings.Trim(line, " \t\r"); {
		case line == "":
		case line != "null" && json.Valid([]byte(line)) && utf8.ValidString(line):
			valid = append(valid, line)
		default:
			others++
		}
	}
	return valid, others
}

// decoded returns the events of body by encoding/json.
func decoded(body string) (all []string, ok bool) {
	for d := json.NewDecoder(strings.NewReader(body)); ; {
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return all, errors.Is(err, io.EOF)
		}
		if value[0] != '[' {
			all = append(all, string(value))
			continue
		}
		var elements []json.RawMessage
		if json.Unmarshal(value, &elements) != nil {
			return nil, false
		}
		for _, e := range elements {
			all = append(all, string(bytes.TrimSpace(e)))
		}
	}
}
