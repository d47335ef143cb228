package otlp

import (
	"strconv"

	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/encoding/protowire"

	"millrace/codec/json"
	"millrace/internal/apierr"
)

// AppendError appends an error as the google.rpc.Status that the specification wants, in the
// encoding of the request. An error that may pass gets a status at which a client retries.
func AppendError(ctx *fasthttp.RequestCtx, dst []byte, e *apierr.Error) []byte {
	if e.Kind.Retry && e.Kind.Status == fasthttp.StatusInternalServerError {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
	}
	enc, err := encodingOf(ctx)
	if err != nil {
		enc = text // which everybody can read
	}
	ctx.SetContentType(enc.media())
	code, message := codeOf(ctx.Response.StatusCode()), e.Message()
	if enc == text {
		dst = strconv.AppendUint(append(dst, `{"code":`...), code, 10)
		dst = json.AppendString(append(dst, `,"message":`...), message)
		return append(dst, '}')
	}
	dst = protowire.AppendVarint(protowire.AppendTag(dst, 1, protowire.VarintType), code)
	return protowire.AppendString(protowire.AppendTag(dst, 2, protowire.BytesType), message)
}

// codeOf returns the google.rpc.Code for an HTTP status.
func codeOf(status int) uint64 {
	switch status {
	case 400, 413, 415, 422:
		return 3 // INVALID_ARGUMENT
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404, 405:
		return 12 // UNIMPLEMENTED
	case 408, 504:
		return 4 // DEADLINE_EXCEEDED
	case 429:
		return 8 // RESOURCE_EXHAUSTED
	case 503:
		return 14 // UNAVAILABLE
	}
	return 13 // INTERNAL
}
