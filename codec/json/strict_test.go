package json

import (
	"errors"
	"testing"
)

func TestUnmarshalStrict(t *testing.T) {
	type inner struct {
		Name string `json:"name"`
	}
	type outer struct {
		List []inner `json:"list"`
	}
	var v outer
	if err := UnmarshalStrict([]byte(`{"list":[{"name":"n"}]}`), &v); err != nil || v.List[0].Name != "n" {
		t.Errorf("%+v, %v", v, err)
	}
	for text, name := range map[string]string{`{"lists":[]}`: "lists", `{"list":[{"Name":"n"}]}`: "Name", `{"a\"b":1}`: `a"b`} {
		var unknown *UnknownFieldError
		if err := UnmarshalStrict([]byte(text), &v); !errors.As(err, &unknown) || unknown.Name != name {
			t.Errorf("%s: %v", text, err)
		}
	}
	var mismatch *TypeError
	if err := UnmarshalStrict([]byte(`{"list":{}}`), &v); !errors.As(err, &mismatch) {
		t.Errorf("%v", err)
	}
	var syntax *SyntaxError
	for _, text := range []string{``, `{`, `{} x`} {
		if err := UnmarshalStrict([]byte(text), &v); !errors.As(err, &syntax) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
