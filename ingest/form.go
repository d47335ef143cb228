package ingest

import (
	"bytes"

	"millrace/internal/apierr"
)

// form is how events stand in a body.
type form uint8

const (
	// raw is a body that is one event, whatever its bytes.
	raw form = iota
	// values are JSON values one after another; of an array each element is an event.
	values
	// lines are JSON values, one a line. A line that is none is refused alone.
	lines
	// data is the data of a CloudEvent, of which there may be none; jsonData is JSON, and textData
	// may be.
	data
	jsonData
	textData
)

// ofData returns the form of the data of a CloudEvent: f is that of events with its Content-Type,
// and plain says that this is text/plain.
func (f form) ofData(plain bool) form {
	switch {
	case f == raw:
		return data
	case f == lines || plain:
		return textData
	}
	return jsonData
}

// lineTypes are the media types of JSON lines in use; none is registered.
var lineTypes = [...]string{
	"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines", "application/json-lines",
}

// formOf returns the form of a body with this Content-Type, and whether it is that of a beacon:
// text/plain is what a page may send to another origin without asking first, and what
// navigator.sendBeacon makes of a string. Its sender does not see the answer.
func formOf(contentType []byte) (f form, beacon bool, err error) {
	switch string(contentType) { // as most senders write it
	case "application/x-ndjson":
		return lines, false, nil
	case "application/json":
		return values, false, nil
	}
	name, _, _ := bytes.Cut(contentType, []byte{';'})
	name = bytes.TrimSpace(name)
	switch {
	case is(name, "application/json"):
		return values, false, nil
	case is(name, "text/plain"):
		return values, true, nil
	case hasPrefix(name, "application/vnd.kafka."):
		return raw, false, apierr.UnsupportedMedia.New("/ingest takes events without an envelope, as application/json for example. Post records in the envelope of %s to /topics.", name)
	case hasSuffix(name, "+json"), is(name, "text/json"):
		return values, false, nil
	}
	for _, t := range lineTypes {
		if is(name, t) {
			return lines, false, nil
		}
	}
	return raw, false, nil
}

// The names of media types are ASCII and case-insensitive (RFC 9110 §8.3.1).
func is(name []byte, want string) bool { return len(name) == len(want) && hasPrefix(name, want) }

func hasPrefix(name []byte, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range prefix {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

func hasSuffix(name []byte, suffix string) bool {
	return len(name) >= len(suffix) && is(name[len(name)-len(suffix):], suffix)
}
