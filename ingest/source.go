package ingest

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server"
)

// from is where a value of a record comes from.
type from uint8

const (
	fixed from = iota
	pointer
	query
	header
)

// source is a rule for one value of a record. It is immutable.
type source struct {
	of       string // the value, for messages: key, headers.trace
	from     from
	name     string // of the query parameter or the HTTP header
	fixed    []byte
	pointer  *json.Pointer
	required bool
}

// maxPicked bounds a value that a rule takes out of a request. Each is copied into every record
// that it applies to, beside the event that it may be a part of.
const maxPicked = 4 << 10

// String returns the place that the source takes its value from, for messages.
func (s *source) String() string {
	switch s.from {
	case pointer:
		return s.of + " (" + s.pointer.String() + ")"
	case query:
		return s.of + " (query parameter " + s.name + ")"
	case header:
		return s.of + " (header " + s.name + ")"
	}
	return s.of
}

// check returns why the value of an event or a request cannot be used, or nil. A nil value is
// none.
func (s *source) check(value []byte) *apierr.Error {
	switch {
	case value == nil && s.required:
		return apierr.Unprocessable.New("The route needs a %s, and there is none.", s)
	case len(value) > maxPicked:
		return apierr.Unprocessable.New("The %s is too long: it may have %d bytes.", s, maxPicked)
	}
	return nil
}

// ofRequest returns the value that all events of the request share, as a view of the request.
func (s *source) ofRequest(ctx *fasthttp.RequestCtx) []byte {
	switch s.from {
	case query:
		if ctx.QueryArgs().Has(s.name) {
			return ctx.QueryArgs().Peek(s.name)
		}
	case header:
		if h := ctx.Request.Header.Peek(s.name); len(h) > 0 {
			return h
		}
	case fixed:
		return s.fixed
	}
	return nil
}

// ofEvent returns the value that an event has, or nil: the text of a string, or the JSON of
// another value. Views of the event are returned where they can be; a string with escapes goes
// into the arena.
func (s *source) ofEvent(event, arena []byte) (value, grown []byte) {
	return textOf(s.pointer.Find(event), arena)
}

// textOf returns the text of a JSON string, the JSON of another value, and nil of null and of
// nothing.
func textOf(raw, arena []byte) (value, grown []byte) {
	switch {
	case raw == nil || raw[0] == 'n':
		return nil, arena
	case raw[0] != '"':
		return raw, arena
	}
	for _, c := range raw {
		if c == '\\' {
			n := len(arena)
			arena = append(arena, raw...)
			return json.Unquote(arena[n:]), arena
		}
	}
	return raw[1 : len(raw)-1], arena
}

// partitionOf reads a number of a partition; none is -1.
func partitionOf(s *source, value []byte) (int32, *apierr.Error) {
	if value == nil {
		return -1, nil
	}
	n, err := strconv.ParseUint(pool.String(value), 10, 31)
	if err != nil {
		return 0, apierr.Unprocessable.New("The %s must be the number of a partition, not %q.", s, value)
	}
	return int32(n), nil
}

// timeOf reads a time: milliseconds since 1970, with or without a fraction, or ISO-8601.
func timeOf(s *source, value []byte) (time.Time, *apierr.Error) {
	if value == nil {
		return time.Time{}, nil
	}
	if at, ok := parseTime(value); ok {
		return at, nil
	}
	return time.Time{}, apierr.Unprocessable.New("The %s must be a number of milliseconds since 1970, or an ISO-8601 time such as 2026-01-31T12:00:00Z, not %q.", s, value)
}

// parseTime reads the same, in whatever is no time too.
func parseTime(value []byte) (time.Time, bool) {
	text := pool.String(value)
	if ms, err := strconv.ParseFloat(text, 64); err == nil && ms >= 0 && ms <= maxMillis {
		return time.UnixMilli(int64(ms)), true
	}
	at, ok := server.ParseISO8601(text)
	return at, ok && at.UnixMilli() >= 0 && at.UnixMilli() <= maxMillis
}

// maxMillis is the last millisecond of the year 9999.
const maxMillis = 253402300799999
