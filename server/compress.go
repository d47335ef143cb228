package server

import (
	"errors"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
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

// maxInflated bounds the decompressed bodies of all requests together: a few kilobytes on the
// wire can stand for the largest body allowed.
const maxInflated = 256 << 20

// decompress decodes the request's Content-Encoding, into a body with the same size limit as an
// uncompressed one. It returns how much of maxInflated that body takes until the response is
// written.
func (s *Server) decompress(ctx *fasthttp.RequestCtx) (held int64, err error) {
	encoding := ctx.Request.Header.ContentEncoding()
	if len(encoding) == 0 {
		return 0, nil
	}
	switch name := strings.ToLower(strings.TrimSpace(string(encoding))); name {
	case "identity":
		return 0, nil
	case "x-gzip":
		ctx.Request.Header.SetContentEncoding("gzip")
	default:
		ctx.Request.Header.SetContentEncoding(name)
	}
	// Its size is known only at the end; until then it counts as the largest.
	largest := int64(s.settings.MaxBodyBytes)
	if s.inflated.Add(largest) > max(maxInflated, largest) {
		s.inflated.Add(-largest)
		return 0, apierr.Overloaded.New("This node is decompressing as many request bodies as it may.")
	}
	body, err := ctx.Request.BodyUncompressedWithLimit(s.settings.MaxBodyBytes)
	held = int64(cap(body))
	s.inflated.Add(held - largest)
	switch {
	case errors.Is(err, fasthttp.ErrContentEncodingUnsupported):
		ctx.Response.Header.Set(fasthttp.HeaderAcceptEncoding, "gzip, zstd, br, deflate")
		return held, apierr.UnsupportedMedia.New("The Content-Encoding must be one of gzip, zstd, br and deflate.")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return held, apierr.BodyTooLarge.New("The request body is larger than %d bytes once it is decompressed.", s.settings.MaxBodyBytes)
	case err != nil:
		return held, apierr.BadRequest.Wrap(err, "The body is not what its Content-Encoding says.")
	}
	ctx.Request.Header.Del(fasthttp.HeaderContentEncoding)
	ctx.Request.SwapBody(body)
	return held, nil
}

// compress encodes a large response as the client prefers. It also adds Vary: Accept-Encoding to
// every response.
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
