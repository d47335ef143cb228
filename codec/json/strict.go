package json

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bytedance/sonic"
)

// strict is [values], but refuses members that the Go type does not have.
var strict = sonic.Config{
	SortMapKeys:           true,
	CompactMarshaler:      true,
	UseNumber:             true,
	CaseSensitive:         true,
	CopyString:            true,
	ValidateString:        true,
	DisallowUnknownFields: true,
}.Froze()

// UnknownFieldError reports a member that the Go type does not have.
type UnknownFieldError struct {
	// Name of the member.
	Name string
}

// Error implements error.
func (e *UnknownFieldError) Error() string {
	return fmt.Sprintf("unrecognized field %q", e.Name)
}

// UnmarshalStrict is [Unmarshal], but returns an *[UnknownFieldError] for a member that v's type
// does not have: a name that is spelt wrong must not go unnoticed.
func UnmarshalStrict(text []byte, v any) error {
	if _, _, _, err := one(text); err != nil {
		return err
	}
	err := strict.Unmarshal(text, v)
	if err == nil {
		return nil
	}
	// Sonic has no type for this error. encoding/json, which it falls back to, has the same text.
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, failed := strconv.Unquote(quoted)
		if failed != nil {
			name = quoted
		}
		return &UnknownFieldError{Name: name}
	}
	return explain(err)
}
