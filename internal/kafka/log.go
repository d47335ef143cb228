package kafka

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
)

// levelTrace is the level of the library's debug messages: several per request.
const levelTrace = slog.LevelDebug - 4

// slogLogger writes the client library's log to a structured log. The library's informational
// messages report every metadata refresh and every step of every group, so they are debug
// messages to an operator of millrace; its debug messages are a level below that.
type slogLogger struct{ log *slog.Logger }

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
	s.log.Log(context.Background(), slogLevels[level], msg, keyvals...)
}
