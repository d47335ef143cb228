package server

import (
	"bytes"
	"errors"
	"net/netip"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

const (
	// longestName is the longest name of a header, and longestLine the longest line that the end
	// of a message depends on: a Content-Length, a Transfer-Encoding, the size of a chunk.
	longestName, longestLine = 200, 256
	// A Content-Length and the size of a chunk have so many digits at most.
	lengthDigits, chunkDigits = 18, 15
)

// framing follows where the requests on a connection begin and end, and lets no line of their
// framing reach fasthttp's parser that RFC 9112 does not allow there.
//
// Invariant: of what fasthttp reads, every line of a header, of a chunk and of a trailer ends
// with CR and LF, no header is folded, and one rule says where the message ends. fasthttp takes
// a lone LF for the end of a line, and passes over whatever stands in a chunk extension. A proxy
// in front may read such bytes as another number of requests, and then one client's bytes become
// another's request (RFC 9112 §11.2).
//
// The bytes before a line that is refused pass, so that the requests before it get their
// responses. Only the connection's goroutine uses a framing.
type framing struct {
	next    lineKind
	left    int // bytes of a body, or of a chunk, before the next line
	length  int // Content-Length of the header that is being read; -1: none
	chunked bool
	refused *apierr.Error // once it is set, nothing more is read

	// The beginning of a line of which the rest has not arrived.
	begun int // bytes that have
	start [longestLine]byte
}

// lineKind is what a line is for.
type lineKind uint8

const (
	requestLine lineKind = iota
	fieldLine
	chunkSize
	chunkEnd
	trailerLine
)

// The reasons for a refusal.
const (
	badLineEnd   = "Each line of the header, and of the framing of chunks, must end with CR and LF."
	badFold      = "A line of the header must not begin with a space or a tab: folded headers are not supported."
	badName      = "The name of a header must be letters, digits and !#$%&'*+-.^_`|~, without a space, followed by a colon."
	badLength    = "The Content-Length must be one decimal number of at most 18 digits."
	badCoding    = "The Transfer-Encoding must be chunked, and given once."
	bothLengths  = "A request must not have both Content-Length and Transfer-Encoding."
	badChunkSize = "A chunk must begin with its size, a hexadecimal number of at most 15 digits."
	badChunkEnd  = "A chunk must end with CR and LF behind as many bytes as its size says."
	badExtension = "The chunk extensions must be names, with or without a value, of no more than 240 bytes in all."
)

// pass returns how many of b, which was just read, fasthttp may see, and err or the refusal.
func (f *framing) pass(b []byte, err error) (int, error) {
	n, reason := f.follow(b)
	if reason == "" {
		return n, err
	}
	f.refused = apierr.BadRequest.New("%s", reason)
	if f.next == requestLine && f.begun == 0 {
		return n + 1, nil // fasthttp answers only a request that has begun
	}
	if n == 0 {
		return 0, f.refused
	}
	return n, nil
}

// follow moves past b. When it meets a line that must not pass, it returns where that begins, and
// the reason.
func (f *framing) follow(b []byte) (n int, reason string) {
	for n < len(b) {
		if f.left > 0 {
			skipped := min(f.left, len(b)-n)
			f.left -= skipped
			n += skipped
			continue
		}
		if f.next == fieldLine && f.begun == 0 {
			passed, reason := f.fields(b[n:])
			if n += passed; reason != "" || n == len(b) {
				return n, reason
			}
		}
		end := bytes.IndexByte(b[n:], '\n') + 1
		if end == 0 {
			return len(b), f.keep(b[n:])
		}
		line := b[n : n+end]
		if f.begun > 0 {
			line = f.whole(line)
		}
		if reason = f.line(line); reason != "" {
			return n, reason
		}
		f.begun = 0
		n += end
	}
	return len(b), ""
}

// keep keeps the beginning of a line, as far as it decides anything, and its last byte. It
// returns the reason for a refusal if the line is too long.
func (f *framing) keep(part []byte) string {
	if f.begun < longestLine {
		copy(f.start[f.begun:], part)
	}
	f.begun += len(part)
	if f.begun > longestLine-2 {
		f.start[longestLine-2] = part[len(part)-1]
	}
	switch {
	case f.begun <= longestLine:
	case f.next == chunkSize:
		return badExtension
	case f.next == chunkEnd:
		return badChunkEnd
	}
	return ""
}

// whole returns the line that rest ends. One that is longer than longestLine lacks its middle.
func (f *framing) whole(rest []byte) []byte {
	before := f.start[longestLine-2]
	if len(rest) > 1 {
		before = rest[len(rest)-2]
	}
	if f.begun < longestLine {
		copy(f.start[f.begun:], rest)
	}
	if f.begun += len(rest); f.begun <= longestLine {
		return f.start[:f.begun]
	}
	f.start[longestLine-2], f.start[longestLine-1] = before, '\n'
	return f.start[:]
}

// line moves past one line, which ends with LF. It returns the reason for a refusal, or "".
func (f *framing) line(line []byte) string {
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return badLineEnd
	}
	empty := len(line) == 2
	switch f.next {
	case requestLine:
		if !empty { // an empty line before the request line is ignored (RFC 9112 §2.2)
			f.next, f.length, f.chunked = fieldLine, -1, false
		}
	case fieldLine:
		if empty {
			return f.endHeader()
		}
		_, reason := f.fields(line)
		return reason
	case chunkSize:
		return f.chunk(line[:len(line)-2])
	case chunkEnd:
		if !empty {
			return badChunkEnd
		}
		f.next = chunkSize
	case trailerLine:
		if empty {
			f.next = requestLine
			return ""
		}
		return checkName(line)
	}
	return ""
}

// fields moves past the lines of the header that are whole, up to the empty one. fasthttp checks
// the names, and lets only spaces pass that it should not. Most often the first space of a line is
// the one behind the colon.
func (f *framing) fields(b []byte) (n int, reason string) {
	for {
		line := b[n:]
		end := bytes.IndexByte(line, '\n')
		if end < 2 {
			return n, ""
		}
		line = line[:end+1]
		if line[end-1] != '\r' {
			return n, badLineEnd
		}
		first := lineStart[line[0]]
		if space := bytes.IndexByte(line, ' '); space < 2 || space > longestName+1 || line[space-1] != ':' || first != 0 {
			if reason := f.field(line); reason != "" {
				return n, reason
			}
		}
		n += end + 1
	}
}

// lineStart marks the bytes with which a line may begin that says something of the framing, or must
// not begin.
var lineStart = [256]uint8{'c': 1, 'C': 1, 't': 1, 'T': 1, ' ': 1, '\t': 1}

// field moves past a line of the header.
func (f *framing) field(line []byte) string {
	if value, ok := cutField(line, "Content-Length:"); ok {
		return f.sized(value, len(line))
	}
	if value, ok := cutField(line, "Transfer-Encoding:"); ok {
		return f.coded(value, len(line))
	}
	return checkName(line)
}

// sized notes the Content-Length in a line of n bytes.
func (f *framing) sized(value []byte, n int) string {
	length, ok := contentLength(value)
	if !ok || f.length >= 0 || max(f.begun, n) > longestLine {
		return badLength
	}
	f.length = length
	return ""
}

// coded notes the Transfer-Encoding in a line of n bytes.
func (f *framing) coded(value []byte, n int) string {
	if f.chunked || !bytes.EqualFold(trimOWS(value), []byte("chunked")) || max(f.begun, n) > longestLine {
		return badCoding
	}
	f.chunked = true
	return ""
}

// endHeader moves past the header's last line.
func (f *framing) endHeader() string {
	switch {
	case f.chunked && f.length >= 0:
		return bothLengths
	case f.chunked:
		f.next = chunkSize
	default:
		f.next, f.left = requestLine, max(f.length, 0)
	}
	return ""
}

// chunk moves past the line before a chunk, which is without its end here.
func (f *framing) chunk(line []byte) string {
	size, digits := 0, 0
	for ; digits < len(line) && digits <= chunkDigits; digits++ {
		digit := hexDigit(line[digits])
		if digit < 0 {
			break
		}
		size = size<<4 | digit
	}
	if digits == 0 || digits > chunkDigits {
		return badChunkSize
	}
	if len(line) > digits {
		if line[digits] != ';' {
			return badChunkSize
		}
		if max(f.begun-2, len(line)) > longestLine-2 || !validExtensions(line[digits:]) {
			return badExtension
		}
	}
	if f.left = size; size > 0 {
		f.next = chunkEnd
	} else {
		f.next = trailerLine
	}
	return ""
}

// errWire ends the reading of a chunked body whose framing takes too much.
var errWire = errors.New("the chunks of the body have taken too many bytes on the wire")

// wire counts what a connection has read, decrypted, and bounds that while a
// chunked body is read: fasthttp passes over the extensions of chunks, of any
// size, without telling. Only the connection's goroutine uses it.
type wire struct {
	read  int
	base  int   // read when the bound was set first
	limit int   // of read (0: none)
	err   error // of the last read; fasthttp hides it in one of its own, within a chunk's framing
}

// full reports whether nothing more may be read.
func (w *wire) full() bool {
	if w.limit == 0 || w.read < w.limit {
		return false
	}
	w.err = errWire
	return true
}

// bound lets so many bytes be read since the first call, until unbound.
func (w *wire) bound(n int) {
	if w.limit == 0 {
		w.base = w.read
	}
	w.limit = w.base + n
}

func (w *wire) unbound() { w.limit = 0 }

// wireOf returns the count of the request's connection. One that is of no listener of
// ours is not counted.
func wireOf(ctx *fasthttp.RequestCtx) *wire {
	if c := ConnOf(ctx); c != nil {
		return &c.wire
	}
	return new(wire)
}

// addrOf returns the address of the request's client.
func addrOf(ctx *fasthttp.RequestCtx) netip.Addr {
	if c := ConnOf(ctx); c != nil {
		return c.addr
	}
	return netip.Addr{}
}
