package consumer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A waiting context ends with each of the things that end it, whether somebody waits for that or
// asks for it only, and so does what is derived from it.
func TestWaiting(t *testing.T) {
	for name, want := range map[string]error{
		"nothing": nil, "parent": context.Canceled, "other": context.Canceled, "deadline": context.DeadlineExceeded,
	} {
		for _, made := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				type key struct{}
				parent, endParent := context.WithCancel(context.WithValue(t.Context(), key{}, name))
				defer endParent()
				other, endOther := context.WithCancel(t.Context())
				defer endOther()
				at := time.Now().Add(time.Minute)
				outer := &waiting{parent: parent, other: other, deadline: at}
				defer outer.stop()
				inner := &waiting{parent: outer, other: t.Context()}
				defer inner.stop()
				if made {
					inner.Done()
				}
				if outer.made != nil != made {
					t.Errorf("%s: made is %v, want %v", name, outer.made != nil, made)
				}
				switch name {
				case "parent":
					endParent()
				case "other":
					endOther()
				case "deadline":
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				for which, w := range map[string]context.Context{"outer": outer, "inner": inner} {
					if err := w.Err(); !errors.Is(err, want) {
						t.Errorf("%s, made %v: the error of %s is %v, want %v", name, made, which, err, want)
					}
					if deadline, ok := w.Deadline(); !ok || !deadline.Equal(at) || w.Value(key{}) != any(name) {
						t.Errorf("%s, made %v: %s has the deadline %v, %v, and the value %v", name, made, which, deadline, ok, w.Value(key{}))
					}
				}
				derived, cancel := context.WithCancel(inner)
				defer cancel()
				synctest.Wait()
				if err := derived.Err(); !errors.Is(err, want) {
					t.Errorf("%s, made %v: the error of what is derived is %v, want %v", name, made, err, want)
				}
			})
		}
	}
}

// A waiting context that was stopped has ended.
func TestWaitingStops(t *testing.T) {
	w := &waiting{parent: t.Context(), other: t.Context(), deadline: time.Now().Add(time.Hour)}
	w.stop() // nothing was made
	w.Done()
	w.stop()
	select {
	case <-w.Done():
	default:
		t.Error("it goes on")
	}
}
