package json

import (
	"bytes"
	stdjson "encoding/json"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// checkLines compares [Values.Line] with encoding/json and with [Scan], line by line, of a text of
// which some blocks may have been examined for a line before.
func checkLines(t *testing.T, text []byte) (values int) {
	t.Helper()
	var v Values
	v.Reset(text)
	for i := 0; i < len(text); {
		line, _, _ := bytes.Cut(text[i:], []byte("\n"))
		start, next := SkipSpace(text[:i+len(line)], i), i+len(line)+1
		if start == i+len(line) {
			i = next
			continue
		}
		end, behind, err := v.Line(start)
		if behind+1 != next {
			t.Fatalf("the line at %d ends at %d, not %d: %q", i, behind, next-1, text)
		}
		want := stdjson.Valid(line) && utf8.Valid(line)
		if (err == nil) != want {
			t.Fatalf("%v: the line at %d: %q of %q", err, i, line, text)
		}
		alone, _, fault := Scan(text[:behind], start)
		if err == nil && (end != alone || SkipSpace(text[:behind], end) != behind) {
			t.Fatalf("the value of the line at %d ends at %d, not %d: %q", i, end, alone, text)
		}
		if fault != nil && fault.Error() != err.Error() {
			t.Fatalf("%v, alone %v: the line at %d of %q", err, fault, i, text)
		}
		if want {
			values++
		}
		i = next
	}
	return values
}

// Lines of tokens in any order, and lines that are objects for the most part, are checked each for
// itself.
func TestLines(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tokens := []string{`{`, `}`, `:`, `,`, `"a"`, `"` + string(bytes.Repeat([]byte("long "), 30)) + `"`, `"é"`, "\"\xFF\"", `"\n"`, `-1.5e3`, `true`, `null`, `x`, ` `, "\r", "\t", `[`, `]`, `\`, `"`, "\n", "\n"}
	for range 20_000 {
		var text []byte
		for range 1 + r.IntN(12) {
			text = append(text, tokens[r.IntN(len(tokens))]...)
		}
		checkLines(t, text)
	}
	values := 0
	for range 1000 {
		var text []byte
		for range 1 + r.IntN(20) {
			for _, part := range randomObject(r, nil, 3) {
				if r.IntN(200) == 0 {
					part = tokens[r.IntN(len(tokens))]
				}
				text = append(text, part...)
			}
			text = append(text, []string{"\n", "\r\n", " \n\n", "\n\t"}[r.IntN(4)]...)
		}
		values += checkLines(t, text)
	}
	if values < 4000 {
		t.Errorf("only %d of the lines are values", values)
	}
}

// Values of one text are checked as each for itself, whatever was examined for those before.
func TestValues(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		var text []byte
		var starts []int
		for range 1 + r.IntN(20) {
			starts = append(starts, len(text))
			for _, part := range randomObject(r, nil, 3) {
				text = append(text, part...)
			}
			text = append(text, []string{"", ",", " ", `"é"`, `"]`}[r.IntN(5)]...)
		}
		var v Values
		v.Reset(text)
		for _, i := range starts {
			end, err := v.Scan(i)
			want, _, fault := Scan(text, i)
			if end != want || (err == nil) != (fault == nil) {
				t.Fatalf("%d, %v, alone %d, %v: the value at %d of %q", end, err, want, fault, i, text)
			}
		}
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{"{\"a\":1}\n{\"b\":\"c\"}", "{\"a\":\n1}", "\"\xFF\"\n{}\r\n", "[1]\n[{\"a\":\"\\u0041\"}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkLines(t, text) })
}
