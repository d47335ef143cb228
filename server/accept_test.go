package server

import "testing"

func TestPickAccepted(t *testing.T) {
	const vendor = "application/vnd.kafka.v2+json"
	offers := []string{vendor, MediaJSON}
	f := func(accept, want string) {
		t.Helper()
		if got := PickAccepted(accept, offers); got != want {
			t.Errorf("%s: %q, want %q", accept, got, want)
		}
	}
	f("*/*", vendor)
	f("application/json", MediaJSON)
	f("application/vnd.kafka.v2+json; q=0.4, application/json; q=0.5", MediaJSON)
	f("application/vnd.kafka.v2+json; q=0, */*", MediaJSON)
	f("application/*;q=0.1", vendor)
	f("text/html, */*;q=0.01", vendor)
	f("text/html", "")
	f("application/json;q=nonsense", "")
	f("/;;,,", "")
}

// A weight may be written Q (RFC 9110 §12.4.2, RFC 5234 §2.3).
func TestPickEncoding(t *testing.T) {
	for accept, want := range map[string]string{
		"gzip, br":                    "gzip",
		"gzip;q=0.5, br":              "br",
		"gzip;Q=0.5, br":              "br",
		"gzip;Q=0":                    "",
		"*;q=0":                       "",
		"*;Q=0.1, zstd ; q=0, br;q=0": "gzip",
		"x-gzip":                      "gzip",
	} {
		if got := pickEncoding(accept); got != want {
			t.Errorf("%s: %q, want %q", accept, got, want)
		}
	}
}

// PickEncoding returns one of the supported encodings or none, for every Accept-Encoding.
func FuzzPickEncoding(f *testing.F) {
	f.Add("gzip;q=0.5, *;q=2")
	f.Add(",,;")
	f.Fuzz(func(t *testing.T, accept string) {
		if e := pickEncoding(accept); e != "" && e != "gzip" && e != "br" && e != "zstd" {
			t.Fatalf("%q picked %q", accept, e)
		}
	})
}
