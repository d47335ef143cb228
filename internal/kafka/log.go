package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// levelTrace is the level of the library's debug messages: several per request.
const levelTrace = slog.LevelDebug - 4

const (
	// sameLineFor is how long a warning of the library is not logged again while it says the same.
	// The library warns at each attempt: of a broker that is dead that is eight lines a second, of
	// each client, and what is new drowns.
	sameLineFor = time.Minute
	// maxSameLines bounds the lines that are kept to be compared.
	maxSameLines = 256
)

// slogLogger writes the client library's log to a structured log. The library's informational
// messages report every metadata refresh and every step of every group, so they are debug
// messages to an operator of millrace; its debug messages are a level below that.
type slogLogger struct {
	log  *slog.Logger
	same *sameLines
}

func newLogger(log *slog.Logger) slogLogger {
	return slogLogger{log: log, same: &sameLines{lines: make(map[string]*sameLine)}}
}

// slogLevels maps the library's levels; LogLevelNone is never logged.
var slogLevels = [...]slog.Level{
	kgo.LogLevelError: slog.LevelError,
	kgo.LogLevelWarn:  slog.LevelWarn,
	kgo.LogLevelInfo:  slog.LevelDebug,
	kgo.LogLevelDebug: levelTrace,
}

// Level returns the level up to which the library builds messages.
func (s slogLogger) Level() kgo.LogLevel {
	for level := kgo.LogLevelDebug; level > kgo.LogLevelNone; level-- {
		if s.log.Enabled(context.Background(), slogLevels[level]) {
			return level
		}
	}
	return kgo.LogLevelNone
}

// Log implements [kgo.Logger]. The library's pairs are slog's.
func (s slogLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	if level <= kgo.LogLevelNone || int(level) >= len(slogLevels) {
		return
	}
	if level == kgo.LogLevelError || level == kgo.LogLevelWarn {
		if isSeed(keyvals) {
			level = kgo.LogLevelInfo
		}
		first, more := s.same.count(lineOf(msg, keyvals), time.Now())
		if !first {
			return
		}
		if more > 0 {
			keyvals = append(keyvals[:len(keyvals):len(keyvals)], "more_since_the_last", more)
		}
	}
	s.log.Log(context.Background(), slogLevels[level], msg, keyvals...)
}

// isSeed reports whether a message is about an address of bootstrap.servers. Every client tries all
// of them for as long as no broker answers. That none does is logged by package metadata, once.
func isSeed(keyvals []any) bool {
	for i := 0; i+1 < len(keyvals); i += 2 {
		if name, ok := keyvals[i+1].(string); ok && keyvals[i] == "broker" && strings.HasPrefix(name, "seed_") {
			return true
		}
	}
	return false
}

// ownPort matches what differs between two attempts to reach the same broker: the port from which
// it was tried.
var ownPort = regexp.MustCompile(`:\d+->`)

// lineOf is what a message says, without what differs each time.
func lineOf(msg string, keyvals []any) string {
	var b strings.Builder
	b.WriteString(msg)
	for _, v := range keyvals {
		fmt.Fprintf(&b, " %v", v)
	}
	return ownPort.ReplaceAllString(b.String(), "->")
}

// sameLines are the lines that were logged of late.
type sameLines struct {
	mu    sync.Mutex
	lines map[string]*sameLine
}

// sameLine is one of them: when it was logged last, and how often it was left out since.
type sameLine struct {
	logged time.Time
	more   int
}

// count reports whether a line is to be logged, and how often it was left out before.
func (l *sameLines) count(line string, now time.Time) (first bool, more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.lines[line]
	if was != nil && now.Sub(was.logged) < sameLineFor {
		was.more++
		return false, 0
	}
	if was != nil {
		more = was.more
	} else if len(l.lines) >= maxSameLines {
		clear(l.lines) // a line too many is better than memory without bound
	}
	l.lines[line] = &sameLine{logged: now}
	return true, more
}
