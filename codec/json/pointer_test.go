package json

import (
	stdjson "encoding/json"
	"strings"
	"testing"
)

func TestPointer(t *testing.T) {
	const text = ` {"a" : {"b": [10, {"c":"x"}], "0": "zero", "": "empty"}, "a": 1, "m~n": 2, "e/f":3, "\u0061\"" : 4, "é": [ ], "long": {}} `
	f := func(pointer, want string) {
		t.Helper()
		p, err := ParsePointer(pointer)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Find([]byte(text)); string(got) != want || (got == nil) != (want == "") {
			t.Errorf("%s finds %q, want %q", pointer, got, want)
		}
	}
	f("/a/b/0", "10")
	f("/a/b/1/c", `"x"`)
	f("/a/b", `[10, {"c":"x"}]`)
	f("/a/0", `"zero"`)
	f("/a/", `"empty"`)
	f("/m~0n", "2")
	f("/e~1f", "3")
	f(`/a"`, "4")
	f("/é", "[ ]")
	f("/é/0", "")
	f("/a/b/2", "")
	f("/a/b/01", "")
	f("/a/b/-1", "")
	f("/a/b/x", "")
	f("/long/x", "")
	f("/m~0n/x", "")
	f("/nothing", "")
	for _, bad := range []string{"", "a", "/~", "/~2", "/a~"} {
		if _, err := ParsePointer(bad); err == nil {
			t.Errorf("%q is a pointer", bad)
		}
	}
	p, _ := ParsePointer("/a/b")
	if n := testing.AllocsPerRun(100, func() { p.Find([]byte(text)) }); n > 1 { // of the conversion here
		t.Errorf("%v allocations", n)
	}
}

// Find agrees with encoding/json about members and elements, in whatever text Scan accepts.
func FuzzPointer(f *testing.F) {
	f.Add(`{"a":{"b":[1,{"c":2}]}}`, "/a/b/1/c")
	f.Add(`{"\u0061":1, "b~/":[ ]}`, "/b~0~1")
	f.Add(`[[[0]]]`, "/0/0/0")
	f.Fuzz(func(t *testing.T, text, pointer string) {
		p, err := ParsePointer(pointer)
		if err != nil || !Valid([]byte(text)) {
			return
		}
		var want any
		if err := stdjson.Unmarshal([]byte(text), &want); err != nil {
			return // encoding/json has a bound of its own for the nesting
		}
		for _, step := range p.tokens {
			switch at := want.(type) {
			case map[string]any:
				want = nil
				for name, v := range at {
					if name == step.name {
						want = v
					}
				}
			case []any:
				want = nil
				if step.index >= 0 && step.index < len(at) {
					want = at[step.index]
				}
			default:
				want = nil
			}
		}
		found := p.Find([]byte(text))
		var got any
		if found != nil {
			if err := stdjson.Unmarshal(found, &got); err != nil {
				t.Fatalf("%s in %q is %q: %v", pointer, text, found, err)
			}
		}
		a, _ := stdjson.Marshal(got)
		b, _ := stdjson.Marshal(want)
		if string(a) != string(b) && !strings.Contains(text, `\u`) && !repeated(text) {
			t.Fatalf("%s in %q is %s, want %s", pointer, text, a, b)
		}
	})
}

// repeated reports whether a text may have a name twice, of which encoding/json takes the last.
func repeated(text string) bool {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, `"`) {
		if seen[part] {
			return true
		}
		seen[part] = true
	}
	return false
}
