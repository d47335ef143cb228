package server

import (
	"strconv"
	"time"
)

// mediaEvents is the type of server-sent events (the HTML standard, §9.2), which
// a browser reads with EventSource. The functions here write them: openEvent,
// data on one line, closeEvent.
const mediaEvents = "text/event-stream"

// openEvent begins an event of that name; with none it is a "message".
func openEvent(dst []byte, name string) []byte {
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	return append(dst, "data: "...)
}

func closeEvent(dst []byte) []byte { return append(dst, '\n', '\n') }

// appendRetry says how long the client shall wait, after the end of the stream,
// before it connects again.
func appendRetry(dst []byte, wait time.Duration) []byte {
	dst = append(dst, "retry: "...)
	return append(strconv.AppendInt(dst, wait.Milliseconds(), 10), '\n', '\n')
}

// appendBeat appends a comment, which clients pass over, to show that the
// stream is still there.
func appendBeat(dst []byte) []byte { return append(dst, ":\n\n"...) }
