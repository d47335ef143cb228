package codec

import "unicode/utf8"

// Mismatch reports where a value does not fit its schema.
type Mismatch struct {
	// Path leads from the value to the fault, such as ".user.tags[2]"; it is
	// empty for the value itself.
	Path string
	// Problem is a phrase such as `expected int, got "x"`. It may quote a
	// little of the value.
	Problem string
}

// Error implements error.
func (m *Mismatch) Error() string {
	if m.Path == "" {
		return m.Problem
	}
	return m.Path + ": " + m.Problem
}

// MaxPath is about how long a path in a message may be.
const MaxPath = 400

// ShortPath cuts the beginning of a path that is too long for a message.
func ShortPath(path string) string {
	if len(path) <= MaxPath {
		return path
	}
	cut := len(path) - MaxPath
	for cut < len(path) && path[cut] != '.' && path[cut] != '[' {
		cut++
	}
	return "…" + path[cut:]
}

// Clip copies a text, cut to what fits into a message.
func Clip[T ~string | ~[]byte](text T) string {
	const most = 60
	if len(text) <= most {
		return string(text)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return string(text[:cut]) + "…"
}
