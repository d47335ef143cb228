package server

import "github.com/valyala/fasthttp"

// noSniff keeps a browser from taking an answer for another type than its
// Content-Type says, such as a page or a script made of a record.
const noSniff = "X-Content-Type-Options: nosniff"

var (
	headerTypeOptions = []byte("X-Content-Type-Options")
	valueNoSniff      = []byte("nosniff")
)

// harden adds the headers that every response has, whatever made it. A stream
// is written later, with the header that it has by now.
func harden(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetCanonical(headerTypeOptions, valueNoSniff)
}
