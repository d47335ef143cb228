package consumer

import (
	"context"
	"time"
)

// waiting is a context that sets no timer and has no parent to tell until somebody waits for its
// end: a read that finds what it wants waits for nothing. One goroutine uses it at a time, and
// hands on what it makes of it. It is to be stopped.
type waiting struct {
	parent, other context.Context // either ends it
	deadline      time.Time       // ends it too; zero: nothing but those

	made context.Context // what it stands for, once somebody waits
	end  func()          // of made
}

// stop ends the context and gives back what it holds.
func (w *waiting) stop() {
	if w.end != nil {
		w.end()
	}
}

// Deadline implements [context.Context].
func (w *waiting) Deadline() (time.Time, bool) {
	inherited, ok := w.parent.Deadline()
	if w.deadline.IsZero() || ok && inherited.Before(w.deadline) {
		return inherited, ok
	}
	return w.deadline, true
}

// Done implements [context.Context].
func (w *waiting) Done() <-chan struct{} {
	if w.made == nil {
		var cancel context.CancelFunc
		if w.deadline.IsZero() {
			w.made, cancel = context.WithCancel(w.parent)
		} else {
			w.made, cancel = context.WithDeadline(w.parent, w.deadline)
		}
		undo := context.AfterFunc(w.other, cancel)
		w.end = func() { undo(); cancel() }
	}
	return w.made.Done()
}

// Err implements [context.Context].
func (w *waiting) Err() error {
	if w.made != nil {
		return w.made.Err()
	}
	if err := w.parent.Err(); err != nil {
		return err
	}
	if w.other.Err() != nil {
		return context.Canceled
	}
	if !w.deadline.IsZero() && !time.Now().Before(w.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements [context.Context]. Contexts find their parent by it: without that of made, each
// would have a goroutine that waits for the end of w.
func (w *waiting) Value(key any) any {
	if w.made != nil {
		return w.made.Value(key)
	}
	return w.parent.Value(key)
}
