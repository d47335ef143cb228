package json

import (
	stdjson "encoding/json"
	"errors"
	"fmt"

	"github.com/bytedance/sonic"
	"github.com/bytedance/sonic/decoder"
)

// RawMessage is the text of a JSON value, as encoding/json has it.
type RawMessage = stdjson.RawMessage

// Number is the text of a JSON number, as encoding/json has it. [Unmarshal] decodes a number
// into an interface as a Number, because a float64 cannot hold every offset.
type Number = stdjson.Number

// values is the one configuration by which JSON becomes values of Go and values become JSON.
// Strings are copied, so that a short one does not keep a long text in memory. Names are
// case-sensitive, as in Java's proxy. Members of maps are sorted, so that equal values have equal
// bytes. HTML is not escaped.
//
// Sonic has native code for amd64 and arm64 up to Go 1.27. Elsewhere it falls back to
// encoding/json, with the same results but for names, which that matches in any case. On amd64 it
// compiles each type at its first use, once, which takes 1 to 3 ms and up to 0.2 MB; that is left
// to the first use, for nothing here is hot. To the whole process it adds 2.4 MB of resident
// memory, 20 ms of CPU at the start and 3.8 MB of the stripped binary.
var values = sonic.Config{
	SortMapKeys:      true,
	CompactMarshaler: true,
	UseNumber:        true,
	CaseSensitive:    true,
	CopyString:       true,
	ValidateString:   true,
}.Froze()

// Unmarshal decodes text, one JSON value, into v as encoding/json does, with what [Valid] wants
// of a text beforehand: valid UTF-8, and nesting within [MaxDepth]. It borrows text. Its errors
// are a *SyntaxError, a *TypeError, or that of v's own Unmarshaler, and show nothing of the text.
func Unmarshal(text []byte, v any) error {
	if _, _, _, err := one(text); err != nil {
		return err
	}
	return explain(values.Unmarshal(text, v)) // of a copy: a Number is a view in spite of CopyString
}

// Marshal returns v as compact JSON.
func Marshal(v any) ([]byte, error) { return values.Marshal(v) }

// MarshalIndent returns v as JSON for people: each member on a line of its own, indented by
// indent a level.
func MarshalIndent(v any, indent string) ([]byte, error) {
	return values.MarshalIndent(v, "", indent)
}

// TypeError reports a valid JSON value that the Go value cannot hold.
type TypeError struct {
	// Offset is the index of a byte at or near the JSON value, -1 when it is not known.
	Offset int
	// Type is the Go type.
	Type string
}

// Error implements error.
func (e *TypeError) Error() string {
	if e.Offset < 0 {
		return "a value is not a " + e.Type
	}
	return fmt.Sprintf("the value at byte %d is not a %s", e.Offset, e.Type)
}

// explain replaces the errors of sonic, which quote the text around the fault: that is somebody's
// data, which must not get into a log, and a view of memory that is not ours to keep.
func explain(err error) error {
	var mismatch *decoder.MismatchTypeError
	var unfit *stdjson.UnmarshalTypeError
	var syntax decoder.SyntaxError
	switch {
	case errors.As(err, &mismatch):
		return &TypeError{Offset: mismatch.Pos, Type: mismatch.Type.String()}
	case errors.As(err, &unfit):
		return &TypeError{Offset: -1, Type: unfit.Type.String()}
	case errors.As(err, &syntax):
		return &SyntaxError{Offset: syntax.Pos, Reason: syntax.Message()}
	}
	return err
}
