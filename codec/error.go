package codec

import (
	"strconv"

	"millrace/codec/json"
	"millrace/internal/apierr"
)

// AppendError appends the JSON object that a client receives for e,
// {"error_code":N,"message":"…"}.
func AppendError(dst []byte, e *apierr.Error) []byte {
	return append(AppendErrorMembers(append(dst, '{'), e), '}')
}

// AppendErrorMembers appends the members of that object.
func AppendErrorMembers(dst []byte, e *apierr.Error) []byte {
	dst = append(dst, `"error_code":`...)
	dst = strconv.AppendInt(dst, int64(e.Kind.Code), 10)
	dst = append(dst, `,"message":`...)
	return json.AppendString(dst, e.Message())
}
