package server

import (
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// passed lets the pieces of a request pass one after the other, and returns what passed of
// them, and the reason for a refusal.
func passed(f *framing, pieces ...string) (text, reason string) {
	for _, piece := range pieces {
		n, err := f.pass([]byte(piece), nil)
		text += piece[:n]
		if err != nil || f.refused != nil {
			return text, f.refused.Error()
		}
	}
	return text, ""
}

// However the bytes of a request are cut into reads, the same is refused, for the same reason, and
// what is refused never comes to its end.
func TestFramingOfPieces(t *testing.T) {
	for _, c := range testkit.FrontCases(t, "testdata/front") {
		if len(c.Bytes) > 2000 {
			continue
		}
		whole, reason := passed(new(framing), c.Bytes)
		for cut := range len(c.Bytes) {
			text, why := passed(new(framing), c.Bytes[:cut], c.Bytes[cut:])
			if why != reason || len(text) < len(whole) || reason != "" && strings.Contains(text[len(whole):], "\n") {
				t.Fatalf("%s, cut at %d: %q, %q; whole: %q, %q", c.Name, cut, text, why, whole, reason)
			}
		}
		bytewise, why := passed(new(framing), strings.Split(c.Bytes, "")...)
		if why != reason || len(bytewise) < len(whole) {
			t.Fatalf("%s, byte by byte: %q, %q; whole: %q, %q", c.Name, bytewise, why, whole, reason)
		}
	}
}

// Lines longer than what is kept of one that comes in pieces are judged as if they had come whole.
func TestFramingOfLongLinesInPieces(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: h\r\n"
	for _, rest := range []string{
		"X: " + strings.Repeat("a", longestLine) + "\r\n\r\n",
		"X: " + strings.Repeat("a", longestLine) + "\n\r\n",
		"X: " + strings.Repeat("a", longestLine-5) + "\r\n\r\n",
		"X: " + strings.Repeat("a", longestLine-4) + "\n\r\n",
		strings.Repeat("a", longestName) + ":" + strings.Repeat("b", longestLine) + "\r\n\r\n",
		strings.Repeat("a", longestName+1) + ":" + strings.Repeat("b", longestLine) + "\r\n\r\n",
		strings.Repeat("a", longestName) + " :" + strings.Repeat("b", longestLine) + "\r\n\r\n",
		"Content-Length: " + strings.Repeat(" ", longestLine) + "5\r\n\r\nhello",
		"Content-Length: " + strings.Repeat(" ", longestLine-19) + "5\r\n\r\nhello",
		"Content-Length: " + strings.Repeat(" ", longestLine-18) + "5\r\n\r\nhello",
		"Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("a", longestLine-4) + "\r\nhello\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("a", longestLine-3) + "\r\nhello\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello" + strings.Repeat("a", 2*longestLine) + "\r\n0\r\n\r\n",
	} {
		whole, reason := passed(new(framing), head+rest)
		for cut := range len(rest) {
			text, why := passed(new(framing), head+rest[:cut], rest[cut:])
			if why != reason || len(text) < len(whole) {
				t.Fatalf("%.40q of %d bytes, cut at %d: %q, want %q", rest, len(rest), cut, why, reason)
			}
		}
	}
}
