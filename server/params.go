package server

import (
	"bytes"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// PathParam returns a parameter of the route's path, percent-decoding undone. The
// name of a group or an instance that is too long is 422; that of a topic is 400,
// as Kafka's refusal of any other impossible name ([apierr.KafkaInvalid]).
func PathParam(ctx *fasthttp.RequestCtx, name string) (string, error) {
	raw, _ := ctx.UserValue(name).(string)
	text, err := url.PathUnescape(raw)
	if err != nil {
		return "", apierr.BadRequest.Wrap(err, "The path is not percent-encoded correctly.")
	}
	if !utf8.ValidString(text) {
		return "", apierr.BadRequest.New("A name in the path is not UTF-8.")
	}
	switch {
	case !longer(text, MaxName):
		return text, nil
	case name == "topic":
		return "", apierr.KafkaInvalid.New("The name of a topic is too long: it may have %d characters.", MaxName)
	}
	return "", TooLong("The name of the "+name+" in the path", MaxName)
}

// HeaderTimeout is a header of the response to a read: how long in milliseconds it waits at most,
// where that is less than its client asked for.
const HeaderTimeout = "X-Millrace-Timeout"

// QueryTexts returns the values of a query parameter: at most count, of at most max
// characters each.
func QueryTexts(ctx *fasthttp.RequestCtx, name string, count, max int) ([][]byte, error) {
	all := ctx.QueryArgs().PeekMulti(name)
	if len(all) > count {
		return nil, apierr.Unprocessable.New("The query parameter %s may be given %d times.", name, count)
	}
	for _, text := range all {
		if longer(text, max) {
			return nil, TooLong("The query parameter "+name, max)
		}
	}
	return all, nil
}

// QueryText returns the value of a query parameter, empty where it is not there, of
// at most max characters.
func QueryText(ctx *fasthttp.RequestCtx, name string, max int) (string, error) {
	all, err := QueryTexts(ctx, name, maxMembers, max)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return string(all[0]), nil
}

// QueryInt returns a number in the query, or absent when the parameter is missing.
func QueryInt(ctx *fasthttp.RequestCtx, name string, absent int) (int, error) {
	if !ctx.QueryArgs().Has(name) {
		return absent, nil
	}
	text, err := QueryText(ctx, name, MaxWord)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxQueryInt || n < -maxQueryInt {
		return 0, apierr.BadRequest.New("The query parameter %s must be a whole number, not %q.", name, text)
	}
	return int(n), nil
}

// maxQueryInt keeps a number of milliseconds within a time.Duration.
const maxQueryInt = 1 << 40

// QueryBool returns a truth value in the query, false when the parameter is missing.
func QueryBool(ctx *fasthttp.RequestCtx, name string) (bool, error) {
	text, err := QueryText(ctx, name, MaxWord)
	if err != nil {
		return false, err
	}
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		if !ctx.QueryArgs().Has(name) {
			return false, nil
		}
		return false, apierr.BadRequest.New("The query parameter %s must be true or false, not %q.", name, text)
	}
}

// QueryTime returns a time in the query: milliseconds since 1970, or ISO-8601.
func QueryTime(ctx *fasthttp.RequestCtx, name string) (time.Time, error) {
	text, err := QueryText(ctx, name, MaxWord)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := ParseTime(text)
	if !ok {
		return at, apierr.BadRequest.New("The query parameter %s must be a number of milliseconds since 1970 or an ISO-8601 time such as 2026-01-31T12:00:00Z, not %q.", name, text)
	}
	return at, nil
}

// ParseTime parses a number of milliseconds since 1970, or an ISO-8601 time.
func ParseTime(text string) (time.Time, bool) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 {
		return time.UnixMilli(ms), true
	}
	return ParseISO8601(text)
}

// QueryPeriod reads a time of a query parameter: a number of milliseconds, or
// one with its unit, as in 500ms and 30s.
func QueryPeriod(name, text string) (time.Duration, error) {
	if ms, err := strconv.ParseInt(text, 10, 32); err == nil && ms >= 0 {
		return time.Duration(ms) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, apierr.BadRequest.New("The time in the query parameter %s must be a number of milliseconds or one with its unit, such as 500ms or 30s, not %q.", name, text)
	}
	return d, nil
}

// ISO-8601 times are accepted in these layouts; one without an offset is UTC. Fractions of a
// second are read where the layout has seconds.
var isoLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", time.DateOnly,
}

// ParseISO8601 parses a time in one of the accepted forms of ISO-8601.
func ParseISO8601(text string) (time.Time, bool) {
	for _, layout := range isoLayouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// InstanceParams returns the names that the path of a [Route] with Instance has.
func InstanceParams(ctx *fasthttp.RequestCtx) (group, name string, err error) {
	if group, err = PathParam(ctx, "group"); err != nil {
		return "", "", err
	}
	name, err = PathParam(ctx, "instance")
	return group, name, err
}

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

// Query are the query parameters of a route.
type Query struct {
	// Known are those that Handle reads. One that is nearly one of these is refused: its client
	// meant something that would not happen.
	Known []string
	// InBody are members of the body that clients put here, and that are refused for the same
	// reason.
	InBody []string
	// Only refuses all but Known. It is for routes that the Confluent proxy does not have; on its
	// own, that proxy ignores what it does not know, and clients rely on it.
	Only bool
}

// check refuses the query parameters that mean something else than their client thinks. Others
// are ignored.
func (q *Query) check(ctx *fasthttp.RequestCtx) error {
	if len(ctx.URI().QueryString()) == 0 {
		return nil
	}
	for name := range ctx.QueryArgs().All() {
		if err := q.checkName(string(name)); err != nil {
			return err
		}
	}
	return nil
}

func (q *Query) checkName(name string) error {
	switch {
	case slices.Contains(q.Known, name):
		return nil
	case slices.Contains(q.InBody, name):
		return apierr.BadRequest.New("%s is no query parameter here: it is a member of each record in the body.", name)
	}
	if known := q.nearest(name); known != "" {
		return apierr.BadRequest.New("There is no query parameter %q; did you mean %s?", sentText([]byte(name)), known)
	}
	if q.Only {
		return apierr.BadRequest.New("There is no query parameter %q; this path has %s.", sentText([]byte(name)), list(q.Known))
	}
	return nil
}

// nearest returns the known parameter that name is a slip of, or "": the same in other cases or
// with other separators, or with one character in four changed.
func (q *Query) nearest(name string) string {
	if len(name) > MaxWord {
		return ""
	}
	name = plain(name)
	for _, known := range q.Known {
		if levenshtein.ComputeDistance(name, plain(known)) <= len(known)/4 {
			return known
		}
	}
	return ""
}

// plain is a name without what distinguishes the ways of writing one.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(name))
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
