package server

import (
	"bytes"
	"mime"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/pool"
)

// MediaJSON is the media type of plain JSON.
const MediaJSON = "application/json"

// PickAccepted returns the first of the offers with the highest quality that
// accept gives it, or "" when it admits none. For each offer the most specific
// range that matches decides. A range that cannot be parsed admits nothing.
func PickAccepted(accept string, offers []string) string {
	best, bestQ := "", 0.0
	for _, offer := range offers {
		q, specific := 0.0, -1
		for part := range strings.SplitSeq(accept, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			if s := matchRange(name, offer); s > specific {
				q, specific = quality(params), s
			}
		}
		if q > bestQ {
			best, bestQ = offer, q
		}
	}
	return best
}

// matchRange returns how specifically a media range names a type: 2 exactly, 1 by type/*, 0 by
// */*, -1 not at all.
func matchRange(name, offer string) int {
	switch {
	case name == offer:
		return 2
	case name == "*/*" || name == "*":
		return 0
	case strings.HasSuffix(name, "/*") && strings.HasPrefix(offer, name[:len(name)-1]):
		return 1
	}
	return -1
}

func quality(params map[string]string) float64 {
	text, ok := params["q"]
	if !ok {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}

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

// HeldTag returns the ETag in an If-None-Match header that matches tag, in any encoding, or ""
// (RFC 9110 §13.1.2).
func HeldTag(header []byte, tag string) string {
	if len(header) == 0 {
		return ""
	}
	if string(header) == tag {
		return tag
	}
	for one := range strings.SplitSeq(string(header), ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == "*" {
			return tag
		}
		if PlainTag(one) != tag[1:len(tag)-1] {
			continue
		}
		for _, encoding := range encodings {
			if one == encodedTag([]byte(tag), encoding) {
				return one
			}
		}
		return tag
	}
	return ""
}

// PlainTag removes from an ETag the parts that [encodedTag] and caches may have added, and its
// quotes.
func PlainTag(tag string) string {
	tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
	tag, _, _ = strings.Cut(tag, "-")
	return tag
}

// encodedTag returns the ETag of a response in another encoding, whose bytes differ.
func encodedTag(tag []byte, encoding string) string {
	return string(tag[:len(tag)-1]) + "-" + encoding + `"`
}

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
	if len(plain) < minCompressed {
		return
	}
	encoding := pickEncoding(string(ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)))
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
			if text, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q="); ok {
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
