package server

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// maxSentText bounds what a message quotes of a request.
const maxSentText = 200

// SentPath is the path of the request as its client has sent it, for a message.
// The decoded path would name something that the client has not asked for.
func SentPath(ctx *fasthttp.RequestCtx) string {
	target := ctx.Request.Header.RequestURI()
	if _, rest, ok := bytes.Cut(target, []byte("://")); ok && target[0] != '/' {
		if slash := bytes.IndexByte(rest, '/'); slash >= 0 {
			target = rest[slash:]
		} else {
			target = []byte("/")
		}
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	return sentText(path)
}

// sentText is text of a request for a message: bounded, and with what no URL has
// percent-encoded, so that whatever shows the message shows no more than text.
func sentText(text []byte) string {
	const hex = "0123456789ABCDEF"
	long := len(text) > maxSentText
	if long {
		text = text[:maxSentText]
	}
	dst := make([]byte, 0, len(text)+8)
	for _, c := range text {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte("\"<>\\^`{|}"), c) >= 0 {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
			continue
		}
		dst = append(dst, c)
	}
	if long {
		dst = append(dst, "…"...)
	}
	return string(dst)
}
