package json

import (
	"bytes"
	stdjson "encoding/json"
	"testing"
)

// FuzzAppendString checks that any text makes a valid JSON string that reads back as the same
// text, with bytes that are not UTF-8 replaced.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", `quote " and \ back`, "a\nb\tc\rd", "\x00\x1f\x7f", "é – 世界 🚀", "\xff\xfe half \xe4\xb8", "\u2028\u2029</script>", "\ufffd", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, ok := bytes.CutPrefix(AppendString([]byte("before"), s), []byte("before"))
		if !ok {
			t.Fatalf("what stood in the buffer is gone: %q", out)
		}
		var got *string
		if err := stdjson.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if want := string([]rune(s)); got == nil || *got != want {
			t.Fatalf("%q reads back as %q, want %q", out, *got, want)
		}
		if again := Unquote(out); string(again) != *got {
			t.Fatalf("Unquote = %q, want %q", again, *got)
		}
	})
}
