package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/codec"
)

// kind is what the text of a setting may look like.
type kind[T any] struct {
	// allowed completes "allowed: …" in a fault, and is the documentation's word.
	allowed string
	// parse turns a text into a value; its error says what is wrong, not what is allowed.
	parse func(text string) (T, error)
	// secret texts are never shown; show, if not nil, cuts secrets out of a text.
	secret bool
	show   func(text string) string
}

// largest is the upper end of a range that has none of its own: Java's int.
const largest = math.MaxInt32

// text is any string; blanks around it do not count, as for Java.
var text = kind[string]{allowed: "text", parse: func(s string) (string, error) {
	return strings.TrimSpace(s), nil
}}

// password is a text that is never shown and never trimmed.
var password = kind[string]{allowed: "password", secret: true, parse: func(s string) (string, error) { return s, nil }}

// pemText is certificates in PEM, in the setting itself.
var pemText = kind[string]{
	allowed: "PEM text",
	parse:   func(s string) (string, error) { return s, nil },
	show:    func(s string) string { return fmt.Sprintf("(PEM, %d bytes)", len(s)) },
}

var boolean = kind[bool]{allowed: "true or false", parse: func(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}}

// whole is a whole number within a range.
func whole[T int | int64](low, high T) kind[T] {
	return kind[T]{allowed: between("a whole number", int64(low), int64(high)), parse: func(s string) (T, error) {
		n, err := ranged(s, int64(low), int64(high))
		return T(n), err
	}}
}

// size is a number of bytes within a range.
func size[T int | int64](low, high T) kind[T] {
	k := whole(low, high)
	k.allowed = between("bytes", int64(low), int64(high))
	return k
}

// millis is a number of milliseconds within a range.
func millis(low, high int64) kind[time.Duration] {
	return kind[time.Duration]{allowed: between("milliseconds", low, high), parse: func(s string) (time.Duration, error) {
		n, err := ranged(s, low, high)
		return time.Duration(n) * time.Millisecond, err
	}}
}

func between(what string, low, high int64) string {
	if high == math.MaxInt64 || high == largest {
		return fmt.Sprintf("%s, %d or more", what, low)
	}
	return fmt.Sprintf("%s from %d to %d", what, low, high)
}

func ranged(s string, low, high int64) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is out of range", strings.TrimSpace(s))
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number", s)
	case n < low || n > high:
		return 0, fmt.Errorf("%d is out of range", n)
	}
	return n, nil
}

// gzipLevel is gzip's range with Java's word for "the default", -1.
var gzipLevel = kind[int]{allowed: "a whole number from 1 to 9, or -1 for gzip's default", parse: func(s string) (int, error) {
	n, err := ranged(s, -1, 9)
	if err == nil && n == 0 {
		return 0, errors.New("0 is out of range")
	}
	return int(n), err
}}

// oneOf is a word of a list, in capitals or not.
func oneOf[T ~string](words ...T) kind[T] {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	return kind[T]{allowed: strings.Join(names, ", "), parse: func(s string) (T, error) {
		for _, w := range words {
			if strings.EqualFold(strings.TrimSpace(s), string(w)) {
				return w, nil
			}
		}
		return "", fmt.Errorf("%q is not supported", s)
	}}
}

// dialect is how Avro values are written as JSON.
var dialect = kind[codec.Dialect]{allowed: "tagged, plain", parse: func(s string) (codec.Dialect, error) {
	d, ok := codec.ParseDialect(strings.ToLower(strings.TrimSpace(s)))
	if !ok {
		return 0, fmt.Errorf("%q is not supported", s)
	}
	return d, nil
}}

// acks is how many replicas must have a record; all is -1.
var acks = kind[int]{allowed: "all, -1, 0, 1", parse: func(s string) (int, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "all", "-1":
		return -1, nil
	case "0":
		return 0, nil
	case "1":
		return 1, nil
	}
	return 0, fmt.Errorf("%q is not supported", s)
}}

var logLevel = kind[slog.Level]{allowed: "debug, info, warn, error", parse: func(s string) (slog.Level, error) {
	word := strings.TrimSpace(s)
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(word, l.String()) {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%q is not a level", s)
}}

// commaList cuts at commas; blanks and empty parts do not count, as for Java.
func commaList(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return slices.DeleteFunc(parts, func(p string) bool { return p == "" })
}

// webURLs is a list of http and https URLs. They may hold a user and password,
// so no fault quotes them.
var webURLs = kind[[]string]{
	allowed: "http:// or https:// URLs, separated by commas",
	parse: func(s string) ([]string, error) {
		urls := commaList(s)
		for i, u := range urls {
			parsed, err := url.Parse(u)
			if err != nil {
				return nil, fmt.Errorf("entry %d is not a URL", i+1)
			}
			if parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
				return nil, fmt.Errorf("entry %d has no http:// or https:// and host name", i+1)
			}
		}
		return urls, nil
	},
	show: func(s string) string {
		urls := commaList(s)
		for i, u := range urls {
			if parsed, err := url.Parse(u); err == nil {
				urls[i] = parsed.Redacted()
			}
		}
		return strings.Join(urls, ",")
	},
}

// bootstrap is one broker to start from; protocol is the prefix that it was
// written with, or empty.
type bootstrap struct{ protocol, address string }

var protocols = []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

var bootstraps = kind[[]bootstrap]{
	allowed: "host:port, separated by commas, each with PLAINTEXT://, SSL://, SASL_PLAINTEXT:// or SASL_SSL:// before it or not",
	parse: func(s string) ([]bootstrap, error) {
		var brokers []bootstrap
		for _, part := range commaList(s) {
			protocol, address, prefixed := strings.Cut(part, "://")
			if !prefixed {
				protocol, address = "", part
			}
			protocol = strings.ToUpper(protocol)
			if prefixed && !slices.Contains(protocols, protocol) {
				return nil, fmt.Errorf("%q has an unknown prefix", part)
			}
			host, port, err := net.SplitHostPort(address)
			if err != nil || host == "" || !validPort(port, 1) {
				return nil, fmt.Errorf("%q is not host:port", part)
			}
			brokers = append(brokers, bootstrap{protocol, address})
		}
		if len(brokers) == 0 {
			return nil, errors.New("is empty")
		}
		return brokers, nil
	},
}

func validPort(s string, low int64) bool {
	_, err := ranged(s, low, math.MaxUint16)
	return err == nil
}
