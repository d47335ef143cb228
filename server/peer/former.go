package peer

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/valyala/fasthttp"
)

// headerSecret is how nodes of former versions prove themselves: the secret as it is. Every
// receiver of the request learns it.
const headerSecret = "X-Millrace-Secret"

// former is how this node talks to nodes of former versions while a service is
// upgraded node by node (cluster.authentication=accept).
type former struct {
	accepted bool
	secret   string
	sum      [sha256.Size]byte
}

func newFormer(s Settings) former {
	f := former{accepted: s.Lenient, secret: s.Former}
	if f.secret == "" {
		f.secret = s.Secret
	}
	f.sum = sha256.Sum256([]byte(f.secret))
	return f
}

// admits reports whether the request is of such a node, and takes the secret off it.
func (f *former) admits(ctx *fasthttp.RequestCtx) bool {
	sum := sha256.Sum256(ctx.Request.Header.Peek(headerSecret))
	ctx.Request.Header.Del(headerSecret)
	return f.accepted && subtle.ConstantTimeCompare(sum[:], f.sum[:]) == 1
}
