package peer

import (
	"context"
	"strings"
	"testing"
)

// A stream that a drain ends has whole messages only, wherever its pieces were cut.
func TestStreamIsCutBetweenMessages(t *testing.T) {
	const text = "{\"a\":1}\n\n{\"bb\":2}\n\n{\"ccc\":3}\n\n"
	for _, end := range []string{"\n", "\n\n"} {
		for size := 1; size <= len(text); size++ {
			for drained := range len(text) + 1 { // how much was read when the drain began
				c := &cutter{messageEnd: end}
				ended := false
				c.end = func() { ended = true }
				draining := func() error { return nil }
				var sent strings.Builder
				over := false
				for at := 0; at < len(text) && !over; at += size {
					if at >= drained {
						draining = func() error { return context.Canceled }
					}
					var part []byte
					part, over = c.admit([]byte(text[at:min(at+size, len(text))]), draining)
					sent.Write(part)
				}
				got := sent.String()
				if !strings.HasPrefix(text, got) || got != "" && !strings.HasSuffix(got, end) {
					t.Fatalf("pieces of %d, drained after %d: sent %q", size, drained, got)
				}
				if len(got) < min(drained, len(text)) {
					t.Fatalf("pieces of %d, drained after %d: of that %d bytes were sent", size, drained, len(got))
				}
				if c.drain(); over && got != "" && strings.HasSuffix(got, end) && c.between() && !ended {
					t.Fatal("reading goes on after the end")
				}
			}
		}
	}
}
