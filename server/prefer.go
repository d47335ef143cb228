package server

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

var (
	headerPrefer  = []byte("Prefer")
	returnMinimal = []byte("return=minimal")
)

// PrefersMinimal reports whether the client prefers an answer without a body where all went well
// (Prefer: return=minimal, RFC 7240 §4.2).
func PrefersMinimal(ctx *fasthttp.RequestCtx) bool {
	for list := ctx.Request.Header.PeekCanonical(headerPrefer); len(list) > 0; {
		var preference []byte
		preference, list, _ = bytes.Cut(list, []byte{','})
		preference, _, _ = bytes.Cut(preference, []byte{';'})
		if bytes.EqualFold(bytes.TrimSpace(preference), returnMinimal) {
			return true
		}
	}
	return false
}
