package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/cluster"
	"millrace/server"
)

// remoteBody is the body of an answer from another node.
type remoteBody struct {
	io.ReadCloser
	end   func()
	whole atomic.Bool // all of it was read
}

// Read implements [io.Reader].
func (b *remoteBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.whole.Store(true)
	}
	return n, err
}

// Close implements [io.Closer]; fasthttp calls it when the answer was sent, or cannot be.
func (b *remoteBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

// copyTo forwards the response as it comes, until it ends or this node drains: then up to the
// end of the message that has begun.
func (b *remoteBody) copyTo(st *server.Stream, contentType string) error {
	defer b.Close()
	c := &cutter{end: b.end, messageEnd: "\n"}
	if strings.HasPrefix(contentType, server.MediaEvents) {
		c.messageEnd = "\n\n"
	}
	defer context.AfterFunc(st.Context(), c.drain)()
	piece := make([]byte, 32<<10)
	for {
		n, err := b.Read(piece)
		part, over := c.admit(piece[:n], st.Context().Err)
		if len(part) > 0 {
			if err := st.Send(part); err != nil {
				return err
			}
		}
		switch {
		case over, errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// cutter ends a stream of messages between two of them.
type cutter struct {
	end        func() // the reading
	messageEnd string

	mu   sync.Mutex
	tail []byte // of what was sent last, as long as messageEnd; empty before there was anything
}

// between reports whether no message has begun that is not sent whole. The
// caller holds c.mu.
func (c *cutter) between() bool { return len(c.tail) == 0 || string(c.tail) == c.messageEnd }

// drain ends the reading: at once between two messages, else when there was
// time for the rest of one.
func (c *cutter) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.between() {
		c.end()
		return
	}
	time.AfterFunc(server.LastWords, c.end)
}

// admit returns what of the piece is to be sent, and whether the stream ends
// with it. draining says whether it shall end soon.
func (c *cutter) admit(piece []byte, draining func() error) (part []byte, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if draining() != nil { // before drain has looked, or after
		if c.between() {
			return nil, true
		}
		// The end may have begun in the piece before.
		joined := append(bytes.Clone(c.tail), piece...)
		if at := bytes.Index(joined, []byte(c.messageEnd)); at >= 0 {
			return piece[:at+len(c.messageEnd)-len(c.tail)], true
		}
	}
	c.tail = append(c.tail, piece[max(0, len(piece)-len(c.messageEnd)):]...)
	c.tail = append(c.tail[:0], c.tail[max(0, len(c.tail)-len(c.messageEnd)):]...)
	return piece, false
}

// copyResponse makes the response of another node ours. It takes the body, and calls
// end when it is done with it. It is false when the answer broke off while
// there is still time to ask again; then nothing of it is kept.
func (f *Forwarder) copyResponse(s *server.Server, ctx *fasthttp.RequestCtx, resp *http.Response, from cluster.Place, end func()) (whole bool, err error) {
	body := &remoteBody{ReadCloser: resp.Body, end: end}
	page := resp.Header.Get(headerPage)
	if n := resp.ContentLength; n >= 0 && n <= maxWhole {
		defer body.Close()
		err := server.Respond(ctx, func(dst []byte) ([]byte, error) {
			dst = slices.Grow(dst, int(n))[:n]
			_, err := io.ReadFull(body, dst)
			return dst, err
		})
		if err != nil {
			return false, fmt.Errorf("the answer of another node broke off: %w", err)
		}
		body.whole.Store(true)
	}
	if page != "" {
		f.onward(ctx, from, page, body)
	}
	ctx.SetStatusCode(resp.StatusCode)
	for _, name := range sentBack {
		if value := resp.Header.Get(name); value != "" {
			ctx.Response.Header.Set(name, value)
		}
	}
	if resp.Header.Get("Content-Encoding") != "" {
		ctx.Request.Header.Del(fasthttp.HeaderAcceptEncoding) // once is enough
	}
	switch {
	case resp.ContentLength < 0:
		contentType := resp.Header.Get("Content-Type")
		copyTo := func(st *server.Stream) error { return body.copyTo(st, contentType) }
		if err := s.Stream(ctx, contentType, copyTo); err != nil {
			_ = body.Close()
			return true, err
		}
	case resp.ContentLength > maxWhole:
		ctx.Response.SetBodyStream(body, int(resp.ContentLength))
	}
	return true, nil
}
