package consumer

import (
	"context"
	"log/slog"
	"slices"

	"millrace/internal/kafka"
)

// toldAnyway are messages of the client library about failures that reach the
// client of the instance as an error, or our own log with its name: the
// former are mostly that client's mistakes.
var toldAnyway = []string{
	"group manage loop errored",
	"join group failed",
	"sync group failed",
	"unable to commit offset for topic partition",
	// The answer to the last commit came after the instance was gone. The
	// commit had that answer all the same.
	"received an OffsetCommitResponse after our group session has ended, unable to handle this (were we kicked from the group?)",
}

// quiet turns those messages into debug ones.
type quiet struct{ slog.Handler }

// quietly returns s with a logger that is quiet.
func quietly(s kafka.Settings) kafka.Settings {
	if s.Logger != nil {
		s.Logger = slog.New(quiet{s.Logger.Handler()})
	}
	return s
}

// Handle implements [slog.Handler].
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug && slices.Contains(toldAnyway, r.Message) {
		if r.Level = slog.LevelDebug; !q.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return q.Handler.Handle(ctx, r)
}
