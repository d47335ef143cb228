package server

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/pool"
)

// zstdWindow is what the window of a zstd decoder is rounded up to, from the
// largest body there may be: a frame may refer back to all of it.
const zstdWindow = 8 << 20

// unpackers are the decoders of Content-Encodings. As many run at a time as there
// are processors: a decoder's window has megabytes that its input does not show
// and that nobody is charged for, and more at a time would be no faster.
type unpackers struct {
	slots                     chan struct{}
	gzip, zlib, zstd, brotlis sync.Pool
	window                    uint64
}

func newUnpackers(largest int) *unpackers {
	window := (largest + zstdWindow - 1) / zstdWindow * zstdWindow
	return &unpackers{slots: make(chan struct{}, runtime.GOMAXPROCS(0)), window: uint64(max(window, zstdWindow))}
}

// decompress undoes the request's Content-Encoding, into a body that may be as
// large as an uncompressed one and no larger. That is charged as it grows, beside
// what came, which is let go of at the end: a few kilobytes can stand for the
// largest body there may be, and it is not known before which do.
func (s *Server) decompress(ctx *fasthttp.RequestCtx) error {
	if len(ctx.Request.Header.ContentEncoding()) == 0 {
		return nil
	}
	name, b := encodingOf(ctx), bodyOf(ctx)
	switch {
	case name == "" || b == nil || b.len() == 0:
		return nil
	case !slices.Contains(supported, name):
		return unsupportedEncoding(ctx)
	}
	s.unpackers.slots <- struct{}{}
	defer func() { <-s.unpackers.slots }()
	decoder, done, err := s.unpackers.open(name, b.buffer.B)
	if err == nil {
		defer done()
		err = b.unpack(decoder, s.settings.MaxBodyBytes)
	}
	var own *apierr.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return tooLargeUnpacked(s.settings.MaxBodyBytes)
	case err != nil:
		return apierr.BadRequest.Wrap(err, "The body is not what its Content-Encoding says.")
	}
	ctx.Request.Header.Del(fasthttp.HeaderContentEncoding)
	return nil
}

func tooLargeUnpacked(most int) error {
	return apierr.BodyTooLarge.New("The request body is larger than %d bytes once it is decompressed.", most)
}

// open returns a decoder of packed. It is borrowed until done is called.
func (u *unpackers) open(encoding string, packed []byte) (decoder io.Reader, done func(), err error) {
	return u.reader(encoding, bytes.NewReader(packed))
}

// encodingOf returns the request's Content-Encoding, empty for none.
func encodingOf(ctx *fasthttp.RequestCtx) string {
	name := strings.ToLower(strings.TrimSpace(string(ctx.Request.Header.ContentEncoding())))
	if name == "identity" {
		return ""
	}
	return name
}

// supported are the names of the Content-Encodings of requests.
var supported = []string{"", "gzip", "x-gzip", "deflate", "zstd", "br"}

func unsupportedEncoding(ctx *fasthttp.RequestCtx) error {
	ctx.Response.Header.Set(fasthttp.HeaderAcceptEncoding, "gzip, zstd, br, deflate")
	return apierr.UnsupportedMedia.New("The Content-Encoding must be one of gzip, zstd, br and deflate.")
}

// source is what a decoder reads. The pool of decoders is not to keep the body, so it is cut off.
type source struct{ io.Reader }

// reader returns a decoder of packed. It is borrowed until done is called.
func (u *unpackers) reader(encoding string, packed io.Reader) (decoder io.Reader, done func(), err error) {
	in := &source{packed}
	switch encoding {
	case "gzip", "x-gzip":
		return borrow(&u.gzip, in, func() (*gzip.Reader, error) { return gzip.NewReader(in) }, (*gzip.Reader).Reset)
	case "deflate":
		return borrow(&u.zlib, in, func() (io.ReadCloser, error) { return zlib.NewReader(in) }, func(r io.ReadCloser, in io.Reader) error {
			return r.(zlib.Resetter).Reset(in, nil)
		})
	case "zstd":
		return borrow(&u.zstd, in, func() (*zstd.Decoder, error) {
			return zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(u.window))
		}, (*zstd.Decoder).Reset)
	case "br":
		return borrow(&u.brotlis, in, func() (*brotli.Reader, error) { return brotli.NewReader(in), nil }, (*brotli.Reader).Reset)
	}
	return in, func() {}, nil
}

// borrow returns a decoder of the pool, or a new one, that reads in. One that could not
// be begun is not given back: it may be in any state.
func borrow[D io.Reader](from *sync.Pool, in *source, begin func() (D, error), reset func(D, io.Reader) error) (io.Reader, func(), error) {
	d, ok := from.Get().(D)
	var err error
	if ok {
		err = reset(d, in)
	} else {
		d, err = begin()
	}
	if err != nil {
		return nil, nil, err
	}
	return d, func() {
		in.Reader = strings.NewReader("")
		from.Put(d)
	}, nil
}

// unpack replaces the body by what the decoder makes of it, up to most bytes.
func (b *incoming) unpack(decoder io.Reader, most int) error {
	packed := b.charge.Held()
	out := pool.GetBuffer(0)
	defer func() { out.Release() }()
	for room := min(firstRoom, most); ; room = min(2*room, most) {
		if err := b.charge.Charge(packed+int64(pool.Room(room)), false); err != nil {
			return err
		}
		out.B = pool.Grow(out.B, room-len(out.B))
		whole, err := fill(out, decoder, room)
		if err == nil && !whole && room == most {
			if whole, err = ends(decoder); err == nil && !whole {
				err = tooLargeUnpacked(most)
			}
		}
		switch {
		case err != nil:
			return err
		case whole:
			b.buffer, out = out, b.buffer
			b.charge.Shrink(int64(pool.Room(room)))
			return nil
		}
	}
}

// ends reports whether a decoder has nothing more to give.
func ends(decoder io.Reader) (bool, error) {
	var excess [1]byte
	switch n, err := io.ReadFull(decoder, excess[:]); {
	case n > 0:
		return false, nil
	case errors.Is(err, io.EOF):
		return true, nil
	default:
		return false, err
	}
}

// fill appends to the buffer what the decoder gives, until that is whole or there are
// n bytes.
func fill(out *pool.Buffer, decoder io.Reader, n int) (whole bool, err error) {
	for len(out.B) < n {
		got, err := decoder.Read(out.B[len(out.B):n])
		out.B = out.B[:len(out.B)+got]
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
