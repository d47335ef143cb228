package server

import (
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/pool"
)

// minCompressed is the smallest response that is worth compressing.
const minCompressed = 1024

// The levels favour CPU over size: responses are made once and read once.
const (
	brotliLevel = 3
	gzipLevel   = fasthttp.CompressBestSpeed
	zstdLevel   = fasthttp.CompressZstdBestSpeed
)

// compress encodes a large answer as the client prefers. It also says, on
// every answer, that the encoding depends on Accept-Encoding.
func (s *Server) compress(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Add(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	if ctx.Response.IsBodyStream() {
		return
	}
	plain := ctx.Response.Body()
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)
	if len(plain) < minCompressed || len(accept) == 0 {
		return
	}
	encoding := pickEncoding(string(accept))
	if encoding == "" {
		return
	}
	out := pool.GetBuffer(len(plain) / 2)
	defer out.Release()
	switch encoding {
	case "zstd":
		out.B = fasthttp.AppendZstdBytesLevel(out.B, plain, zstdLevel)
	case "br":
		out.B = fasthttp.AppendBrotliBytesLevel(out.B, plain, brotliLevel)
	case "gzip":
		out.B = fasthttp.AppendGzipBytesLevel(out.B, plain, gzipLevel)
	}
	if len(out.B) >= len(plain) {
		return
	}
	ctx.Response.Header.SetContentEncoding(encoding)
	if tag := ctx.Response.Header.Peek(fasthttp.HeaderETag); len(tag) > 0 {
		ctx.Response.Header.Set(fasthttp.HeaderETag, encodedTag(tag, encoding))
	}
	ctx.Response.SetBody(out.B)
}

// encodings are those of responses, the cheapest first.
var encodings = [...]string{"zstd", "gzip", "br"}

// pickEncoding returns the encoding with the highest quality in an Accept-Encoding header, the
// cheapest among equals, or "" for none.
func pickEncoding(accept string) string {
	best, bestQ := "", 0.0
	for _, offer := range encodings {
		q := 0.0
		for part := range strings.SplitSeq(accept, ",") {
			name, params, _ := strings.Cut(part, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name != offer && name != "*" && (name != "x-gzip" || offer != "gzip") {
				continue
			}
			q = 1
			if text, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
				if v, err := strconv.ParseFloat(text, 64); err == nil {
					q = v
				}
			}
			if name == offer {
				break // a name outranks the wildcard
			}
		}
		if q > bestQ {
			best, bestQ = offer, q
		}
	}
	return best
}
