package server

import (
	"strconv"
	"time"
)

// MediaLines is the type of a stream of one JSON object a line.
const MediaLines = "application/x-ndjson"

// MediaEvents is the type of server-sent events (the HTML standard, §9.2), which
// a browser reads with EventSource. The functions here write them: [OpenEvent],
// data on one line, [CloseEvent].
const MediaEvents = "text/event-stream"

// OpenEvent begins an event of that name; with none it is a "message".
func OpenEvent(dst []byte, name string) []byte {
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	return append(dst, "data: "...)
}

// CloseEvent appends the end of an event.
func CloseEvent(dst []byte) []byte { return append(dst, '\n', '\n') }

// AppendRetry tells the client how long to wait before it connects again after the end of the
// stream.
func AppendRetry(dst []byte, wait time.Duration) []byte {
	dst = append(dst, "retry: "...)
	return append(strconv.AppendInt(dst, wait.Milliseconds(), 10), '\n', '\n')
}

// AppendBeat appends a comment, which clients ignore, to show that the stream is alive.
func AppendBeat(dst []byte) []byte { return append(dst, ":\n\n"...) }
