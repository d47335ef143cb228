package binary

import (
	"bytes"
	"encoding/base64"
	"testing"
)

func TestDecode(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		got, ok := Decode([]byte(text))
		if !ok || got == nil || string(got) != want {
			t.Errorf("Decode(%q) = %q, %v; want %q", text, got, ok, want)
		}
	}
	good("", "")
	good("S2Fma2E=", "Kafka")
	good("S2Fma2E", "Kafka")
	good("Zg==", "f")
	good("Zg", "f")
	good("AP+/", "\x00\xff\xbf")

	bad := func(text string) {
		t.Helper()
		if got, ok := Decode([]byte(text)); ok {
			t.Errorf("Decode(%q) = %q, want a refusal", text, got)
		}
	}
	bad("AP-_")      // the URL-safe alphabet
	bad("S2Fm a2E=") // a blank
	bad("S2Fm\na2E=")
	bad("S2Fma2E==") // too much padding
	bad("Zg=")       // too little
	bad("=")
	bad("====")
	bad("A")
	bad("S2Fm=a2E")
	bad("caf\u00e9")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("S2Fma2E="))
	f.Add([]byte("Zg"))
	f.Fuzz(func(t *testing.T, text []byte) {
		padded, errPadded := base64.StdEncoding.DecodeString(string(text))
		raw, errRaw := base64.RawStdEncoding.DecodeString(string(text))
		broken := bytes.ContainsAny(text, "\r\n")
		got, ok := Decode(bytes.Clone(text))
		switch {
		case errPadded == nil && !broken:
			raw = padded
		case errRaw != nil || broken:
			if ok {
				t.Fatalf("Decode(%q) = %q", text, got)
			}
			return
		}
		if !ok || !bytes.Equal(got, raw) {
			t.Fatalf("Decode(%q) = %q, %v; want %q", text, got, ok, raw)
		}
		if again, ok := Decode(bytes.Trim(Append(nil, got), `"`)); !ok || !bytes.Equal(again, raw) {
			t.Fatalf("Append and Decode of %q = %q, %v", raw, again, ok)
		}
	})
}
