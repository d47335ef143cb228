package json

import (
	"runtime"
	"strings"
	"testing"
)

func rewritten(text string) string {
	return string(Rewrite(nil, []byte(text), func(dst, number []byte) []byte { return append(append(dst, '#'), number...) }))
}

func TestRewrite(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                              `{}`,
		`[]`:                              `[]`,
		`-1.5e3`:                          `#-1.5e3`,
		`"\u0041\/\u0001\ud83d\ude00"`:    `"A/\u0001😀"`,
		`[[],{},[{}],null,true,false]`:    `[[],{},[{}],null,true,false]`,
		`{"a":1,"b":{"c":[2,"]}"]}}`:      `{"a":#1,"b":{"c":[#2,"]}"]}}`,
		`{"a":1,"\u0061":2}`:              `{"a":#2}`,
		`{"a":1,"b":2,"a":[3],"c":4}`:     `{"a":[#3],"b":#2,"c":#4}`,
		`{"a":{"x":1,"x":2},"a":{}}`:      `{"a":{}}`,
		`{"b":1,"a":{"x":1,"x":2,"y":3}}`: `{"b":#1,"a":{"x":#2,"y":#3}}`,
		`{"":{"a":1,"a":2},"b":0,"":[1,{"c":3,"d":4,"c":5}]}`: `{"":[#1,{"c":#5,"d":#4}],"b":#0}`,
	} {
		if got := rewritten(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestMembers(t *testing.T) {
	text := []byte(`{"\u0061":"\n","b":[1,{"c":"}"}],"a":{"\\":2}}`)
	before := string(text)
	var got strings.Builder
	for _, m := range Members(text) {
		got.WriteString(m.Name + "=" + string(m.Value) + ";")
	}
	if want := `a={"\\":2};b=[1,{"c":"}"}];`; got.String() != want || string(text) != before {
		t.Errorf("got %s of %s, want %s of %s", got.String(), text, want, before)
	}
	if Members([]byte(`[]`)) != nil || Members(nil) != nil || Members([]byte(`{}`)) != nil {
		t.Error("members of what has none")
	}
}

// A text takes memory by its length, not by its length times its nesting.
func TestNestedTextsTakeLittleMemory(t *testing.T) {
	long := `"\n` + strings.Repeat("x", 1<<16) + `"`
	nested := strings.Repeat(`{"a":`, MaxDepth) + long + strings.Repeat("}", MaxDepth)
	memory := func(f func()) int {
		var before, behind runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&behind)
		return int(behind.TotalAlloc - before.TotalAlloc)
	}
	for name, f := range map[string]func(){
		"Rewrite": func() { rewritten(nested) },
		"Members": func() {
			for text := []byte(nested); text[0] == '{'; {
				text = Members(text)[0].Value
			}
		},
	} {
		if got := memory(f); got > 32*len(nested) {
			t.Errorf("%s of %d bytes took %d", name, len(nested), got)
		}
	}
}
