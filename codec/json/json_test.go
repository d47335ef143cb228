package json

import (
	"bytes"
	stdjson "encoding/json"
	"strings"
	"testing"

	"github.com/bytedance/sonic/decoder"

	"millrace/internal/testkit"
)

func TestScan(t *testing.T) {
	good := func(text string, end int, spaced bool) {
		t.Helper()
		gotEnd, gotSpaced, err := Scan([]byte(text), 0)
		if err != nil || gotEnd != end || gotSpaced != spaced {
			t.Errorf("Scan(%q) = %d, %v, %v; want %d, %v", text, gotEnd, gotSpaced, err, end, spaced)
		}
	}
	good(`{}`, 2, false)
	good(`{ }`, 3, true)
	good(`[1,2]  x`, 5, false)
	good(`[1, 2]`, 6, true)
	good(`"a b c d e f g"`, 15, false)
	good(`-0.5e-10,`, 8, false)
	good(`{"a":[true,false,null,"\u00e9\"\\"]}`, 36, false)
	good("{\"a\"\n:1}", 8, true)

	bad := func(text string, offset int, reason string) {
		t.Helper()
		_, _, err := Scan([]byte(text), 0)
		if err == nil {
			t.Fatalf("Scan(%q) accepted it", text)
		}
		got := err.(*SyntaxError)
		if got.Offset != offset || !strings.Contains(got.Reason, reason) {
			t.Errorf("Scan(%q): %v; want %q at %d", text, got, reason, offset)
		}
	}
	bad(``, 0, "unexpected end")
	bad(`{"a":1,}`, 7, "member name")
	bad(`[1,]`, 3, "start of a value")
	bad(`01`, 1, "start with 0")
	bad(`1.`, 2, "unexpected end")
	bad(`1e+x`, 3, "digit in the exponent")
	bad("\"a\tb\"", 2, "control character")
	bad(`"\x"`, 2, "invalid escape")
	bad(`"\u12g4"`, 2, "\\u escape")
	bad(`tru`, 3, "unexpected end")
	bad(`trux`, 0, "literal")
	bad(strings.Repeat("[", MaxDepth+1), MaxDepth+1, "nesting too deep")
	good(strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth), 2*MaxDepth, false)
}

// TestJSONTestSuite runs every case of JSONTestSuite: the valid ones are accepted, the invalid
// ones refused, and those that a parser may treat as it likes cause no panic.
func TestJSONTestSuite(t *testing.T) {
	cases := testkit.JSONTestSuite(t)
	if len(cases) < 250 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		got := Valid(bytes.Clone(c.Text))
		byWordsOnly(func() {
			if Valid(c.Text) != got {
				t.Errorf("%s: %v, and the contrary by words", c.Name, got)
			}
		})
		switch c.Want {
		case testkit.Accept:
			if !got {
				t.Errorf("%s: refused %q", c.Name, c.Text)
			}
		case testkit.Refuse:
			if got {
				t.Errorf("%s: accepted %q", c.Name, c.Text)
			}
		}
	}
}

func TestUnquote(t *testing.T) {
	f := func(quoted, want string) {
		t.Helper()
		if got := Unquote([]byte(quoted)); string(got) != want {
			t.Errorf("Unquote(%s) = %q, want %q", quoted, got, want)
		}
	}
	f(`""`, "")
	f(`"plain"`, "plain")
	f(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t")
	f(`"caf\u00e9\u20AC"`, "café€")
	f(`"\ud83d\ude00!"`, "😀!")
	f(`"\ud83d"`, "\uFFFD")
	f(`"\ud83dx"`, "\uFFFDx")
	f(`"\ud83d\u0041"`, "\uFFFDA")
	f(`"\ude00\ud83d"`, "\uFFFD\uFFFD")
}

func TestCompactRealRecords(t *testing.T) {
	for _, record := range testkit.RealRecords(t) {
		var want bytes.Buffer
		if err := stdjson.Compact(&want, record); err != nil {
			t.Fatal(err)
		}
		text := bytes.Clone(record)
		end, spaced, err := Scan(text, 0)
		if err != nil || end != len(text) {
			t.Fatalf("Scan(%.40q…) = %d, %v", record, end, err)
		}
		if spaced != (want.Len() != len(record)) {
			t.Errorf("spaced = %v for %.40q…", spaced, record)
		}
		if got := Compact(text); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("Compact(%.40q…) = %.60q…", record, got)
		}
	}
}

// FuzzValid compares the scanner with encoding/json, which differs in two documented ways: it
// accepts bad UTF-8 and deeper nesting.
func FuzzValid(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,"x\u00e9\n",true,null]}`, ` [ ] `, `"\ud800"`, `{"a":1,"a":2}`, "\xef\xbb\xbf1", `[1 2]`, `1e400`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		got := Valid(text)
		byWordsOnly(func() {
			if Valid(text) != got {
				t.Fatalf("Valid(%q) = %v, and the contrary by words", text, got)
			}
		})
		if !bytes.Equal(before, text) {
			t.Fatal("Valid changed its input")
		}
		want := stdjson.Valid(text)
		if want && !bytes.Equal(bytes.ToValidUTF8(text, nil), text) {
			want = false
		}
		if got != want && !deep(text) {
			t.Fatalf("Valid(%q) = %v", text, got)
		}
		if !got {
			return
		}
		var compact bytes.Buffer
		if err := stdjson.Compact(&compact, text); err != nil {
			t.Fatal(err)
		}
		start := SkipSpace(text, 0)
		end, _, _ := Scan(text, start)
		value := Compact(text[start:end])
		if !bytes.Equal(value, compact.Bytes()) {
			t.Fatalf("Compact = %q, want %q", value, compact.Bytes())
		}
		if value[0] == '"' {
			var s string
			if err := stdjson.Unmarshal(value, &s); err != nil {
				t.Fatal(err)
			}
			if u := Unquote(value); string(u) != s {
				t.Fatalf("Unquote = %q, want %q", u, s)
			}
		}
	})
}

func deep(text []byte) bool {
	return bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > MaxDepth
}

// BenchmarkScan stands beside sonic's assembly, which neither reports white space to remove nor
// checks UTF-8, beside sonic's values, and beside encoding/json's check. With Scan as 1, the
// medians of nine alternating runs on a busy machine are 1.7 for sonic's Skip, 20 for its values
// (62 allocations a record) and 5 for encoding/json; the minima are 1.4, 22 and 4.5.
func BenchmarkScan(b *testing.B) {
	b.Run("millrace", func(b *testing.B) {
		benchmarkScan(b, func(r []byte) bool { _, _, err := Scan(r, 0); return err == nil })
	})
	b.Run("sonic", func(b *testing.B) {
		benchmarkScan(b, func(r []byte) bool { start, _ := decoder.Skip(r); return start >= 0 })
	})
	b.Run("sonic-values", func(b *testing.B) {
		benchmarkScan(b, func(r []byte) bool { var v any; return values.Unmarshal(r, &v) == nil })
	})
	b.Run("encoding-json", func(b *testing.B) {
		benchmarkScan(b, stdjson.Valid)
	})
}

func benchmarkScan(b *testing.B, scan func([]byte) bool) {
	records := testkit.ParkingCitations(b)
	size := 0
	for _, r := range records {
		size += len(r)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range records {
			if !scan(r) {
				b.Fatalf("refused %s", r)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
}
