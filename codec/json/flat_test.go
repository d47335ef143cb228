package json

import (
	"bytes"
	stdjson "encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// checkFlat compares the fast check of objects with the grammar, which it may leave objects to, and
// with encoding/json. They stand anywhere in the blocks. It reports whether the object was left.
func checkFlat(t *testing.T, before int, object []byte) (left bool) {
	t.Helper()
	text := append(append(bytes.Repeat([]byte(`"`), before), object...), `,{"next":"value","and":"another"}`...)
	for n := range 4 { // at the end of a text, a few bytes before it, and far from it
		text := text[:before+len(object)+n*n*3]
		var fast, slow scanner
		fast.marked.at(text, 0) // as if the blocks had been marked for a value before
		end := fast.tried(text, before)
		if end < 0 {
			left = true
			continue
		}
		slow.stops.begin(before)
		if want := slow.value(text, before, 0); want != end || slow.spaced {
			t.Fatalf("the object ends at %d, by the grammar at %d: %q", end-before, want-before, object)
		}
		if !stdjson.Valid(text[before:end]) {
			t.Fatalf("no object: %q", text[before:end])
		}
		if wide := bytes.IndexFunc(text[before:end], func(r rune) bool { return r >= 0x80 }) >= 0; wide != fast.stops.carried {
			t.Fatalf("past ASCII: %v; %q", fast.stops.carried, object)
		}
	}
	return left
}

// Objects made of tokens in any order, of which few are objects, are checked as by the grammar.
func TestFlatTokens(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	tokens := []string{`{`, `}`, `{`, `}`, `:`, `,`, `:`, `,`, `"a"`, `""`, `"{:,}"`, `"é"`, `1`, `-0.5e3`, `true`, `null`, `x`, ` `, `[`, `]`, `\`, `"`, "\n"}
	for range 300_000 {
		object := []byte(`{`)
		for range 1 + r.IntN(9) {
			object = append(object, tokens[r.IntN(len(tokens))]...)
		}
		checkFlat(t, r.IntN(2*blockBytes), object)
	}
}

// Objects that are right, but for a token that is left out, doubled or replaced in half of them,
// are checked as by the grammar, and those that are right are not left to it.
func TestFlatObjects(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	tokens := []string{`{`, `}`, `:`, `,`, `"a"`, `""`, `"é"`, `1`, `true`, `x`, ` `, `"`, `[]`, `[`}
	for n := range 60_000 {
		parts := randomObject(r, nil, 3)
		spoilt := n%2 == 1
		if at := r.IntN(len(parts)); spoilt {
			switch r.IntN(3) {
			case 0:
				parts = append(parts[:at:at], parts[at+1:]...)
			case 1:
				parts = append(parts[:at:at], append([]string{parts[at]}, parts[at:]...)...)
			default:
				parts[at] = tokens[r.IntN(len(tokens))]
			}
		}
		object := []byte(strings.Join(parts, ""))
		if len(object) == 0 || object[0] != '{' {
			continue
		}
		if left := checkFlat(t, r.IntN(2*blockBytes), object); left && !spoilt && canList {
			t.Fatalf("left to the grammar: %q", object)
		}
	}
}

// randomObject appends the tokens of an object that is not empty.
func randomObject(r *rand.Rand, to []string, depth int) []string {
	text := func() string { return `"` + randomText(r) + `"` }
	to = append(to, "{")
	for n := range 1 + r.IntN(5) {
		if n > 0 {
			to = append(to, ",")
		}
		to = append(to, text(), ":")
		switch kind := r.IntN(8); {
		case kind == 0 && depth > 0:
			to = randomObject(r, to, depth-1)
		case kind < 3:
			to = append(to, []string{"0", "-12.5", "1e9", "12345678901234567890", "true", "false", "null"}[r.IntN(7)])
		default:
			to = append(to, text())
		}
	}
	return append(to, "}")
}

func randomText(r *rand.Rand) string {
	n := r.IntN(20)
	if r.IntN(20) == 0 {
		n = r.IntN(3 * blockBytes)
	}
	var b strings.Builder
	for range n {
		b.WriteString([]string{"a", "b", "{", "}", ":", ",", "[", " ", "1", "é"}[r.IntN(10)])
	}
	return b.String()
}

// Real records, and what is made of them by changing a byte, are checked as by the grammar.
func TestFlatRecords(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	records := testkit.RealRecords(t)
	for _, record := range records[:min(len(records), 60)] {
		if record[0] != '{' {
			continue
		}
		text := bytes.Clone(record)
		checkFlat(t, 0, text)
		for range 300 {
			i := r.IntN(len(text))
			was := text[i]
			text[i] = "\"\\{}[],: \n\x00\x80\xff\xc3a1"[r.IntN(16)]
			if text[0] == '{' {
				checkFlat(t, r.IntN(blockBytes), text)
			}
			text[i] = was
		}
	}
}

// Objects may be nested as deep as the grammar allows, and no deeper, not even within a block.
func TestFlatDepth(t *testing.T) {
	for depth := MaxDepth - 3; depth < MaxDepth+4; depth++ {
		object := []byte(strings.Repeat(`{"":`, depth) + `""` + strings.Repeat("}", depth))
		for before := range blockBytes {
			if left := checkFlat(t, before, object); left != (depth > MaxDepth) && canList {
				t.Fatalf("%d levels: left %v", depth, left)
			}
		}
	}
}

// After a value that is not for the fast check, some are not tried.
func TestFlatPause(t *testing.T) {
	if !canList {
		t.Log("this machine goes by words")
		return
	}
	text := []byte(`{"a":[1]}`)
	var s scanner
	for n := range 2 * (pauseAfter + 1) {
		if end := s.check(text, 0); end != len(text) {
			t.Fatal(end)
		}
		if want := pauseAfter - n%(pauseAfter+1); s.marked.pause != want {
			t.Fatalf("a pause of %d after %d values, want %d", s.marked.pause, n+1, want)
		}
	}
}

// FuzzFlat compares the fast check with the grammar.
func FuzzFlat(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"a":{"b":"c"},"d":-1.5e3,"e":null}`, `{"a":1,{"b":2}}`, `{"a",1}`, `{"a":"b":"c"}`, `{}`, `{"a":{}}`} {
		f.Add(3, []byte(seed))
		f.Add(62, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, before int, object []byte) {
		if len(object) > 0 && object[0] == '{' && before >= 0 {
			checkFlat(t, before%(9*blockBytes), object)
		}
	})
}

// The masks have the bytes that they are of and no others.
func TestMark(t *testing.T) {
	if !canList {
		t.Log("this machine goes by words")
		return
	}
	r := rand.New(rand.NewPCG(11, 12))
	for range 500 {
		text := make([]byte, (1+r.IntN(markedBlocks))*blockBytes)
		for i := range text {
			text[i] = "\"\\\x00\x1f\x20:;,{}[a\x7f\x80\xa2\xff"[r.IntN(16)]
		}
		var list [markedBlocks]marks
		mark(&list, text)
		for k := range len(text) / blockBytes {
			var want marks
			for i, c := range text[k*blockBytes:][:blockBytes] {
				bit := uint64(1) << i
				switch c {
				case '"':
					want.quotes |= bit
					want.parity ^= -bit
				case ':':
					want.colons |= bit
				case ',':
					want.commas |= bit
				case '{':
					want.opens |= bit
				case '}':
					want.closes |= bit
				}
				if c == '\\' || c < ' ' {
					want.foreign |= bit
				}
				if c >= 0x80 {
					want.wide |= bit
				}
			}
			if list[k] != want {
				t.Fatalf("block %d of %q:\n%x, want\n%x", k, text, list[k], want)
			}
		}
	}
}
