package jsonschema

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/codec"
)

// Patterns of JavaScript that RE2 does not have are judged all the same.
func TestPatternsBeyondRE2(t *testing.T) {
	f := func(pattern, text string, want bool) {
		t.Helper()
		s, err := Compile(fmt.Sprintf(`{"type":"string","pattern":%q}`, pattern), nil)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			return
		}
		_, err = s.AppendEncoded(nil, fmt.Appendf(nil, "%q", text), codec.Tagged, nil)
		if (err == nil) != want {
			t.Errorf("%s against %.20q: %v, want %t", pattern, text, err, want)
		}
	}
	f(`^.{1,2048}$`, strings.Repeat("é", 2048), true)
	f(`^.{1,2048}$`, strings.Repeat("a", 2049), false)
	f(`^(abcdefghijk){1000}$`, strings.Repeat("abcdefghijk", 1000), true)
	f(`^(?=.*[0-9])(?!.*x).{4,}$`, "abc1", true)
	f(`^(?=.*[0-9])(?!.*x).{4,}$`, "abcx1", false)
	f(`^(?=.*[0-9])(?!.*x).{4,}$`, "abcd", false)
	f(`(?<=a)b`, "ab", true)
	f(`(?<!a)b`, "ab", false)
	f(`^(.)(.)\2\1$`, "abba", true)
	f(`^(.)(.)\2\1$`, "abab", false)
	f(`^(?<c>.)\k<c>$`, "aa", true)
	f(`(?=\u00e9)\p{L}`, "é", true)
}

// A pattern that backtracks without end costs no more than a second, with all that a value has to
// match it against, and no text is too long for memory.
func TestSlowPatternsAreBounded(t *testing.T) {
	for name, c := range map[string]struct{ schema, text string }{
		"one":  {`{"pattern":"^(?=a)(a+)+$"}`, `"` + strings.Repeat("a", 5000) + `b"`},
		"many": {`{"items":{"pattern":"^(?=a)(a+)+$"}}`, `["` + strings.Repeat(strings.Repeat("a", 24)+`b","`, 10_000) + `"]`},
		"long": {`{"pattern":"^(?=a)(a|b)*$"}`, `"` + strings.Repeat("a", 1<<20) + `"`},
		"nest": {`{"pattern":"(?=((((a{9}){9}){9}){9}){9})b"}`, `"` + strings.Repeat("a", 60_000) + `"`},
	} {
		s, err := Compile(c.schema, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		began := time.Now()
		if _, err = s.AppendEncoded(nil, []byte(c.text), codec.Tagged, nil); err == nil {
			t.Errorf("%s: it is valid", name)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %v", name, took)
		} else {
			t.Log(name, took, err)
		}
	}
}
