// Package singleflight shares calls: callers with equal keys get the result of one call.
//
// It is for questions to another machine that many requests ask at once. The call has a life of
// its own: it runs on a goroutine of its own, and a caller that gives up leaves it to the others.
// A caller waits by a select of its own on [Call.Done], beside its deadline and whatever else ends
// its wait.
//
// golang.org/x/sync/singleflight does not fit. Its keys are strings and its results any. It does
// not tell whether a call is in flight without starting one. A panic in a call ends the process.
// Its goroutines cannot be waited for, so that a part which is closed could not tell when the last
// one has let go of its dependencies.
package singleflight

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group has the calls in flight, one for each key. The zero value is ready.
type Group[K comparable, V any] struct {
	mu       sync.Mutex
	inFlight map[K]*Call[V]
}

// Spawn runs a call on another goroutine. It returns an error instead when the call must not start
// any more. It is called with the group locked.
type Spawn func(call func()) error

// Go is the [Spawn] that always starts the call.
func Go(call func()) error {
	go call()
	return nil
}

// Start returns the call in flight under the key, or starts one. The error is that of spawn.
func (g *Group[K, V]) Start(key K, spawn Spawn, work func() (V, error)) (*Call[V], error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.inFlight[key]; c != nil {
		return c, nil
	}
	c := NewCall[V]()
	if err := spawn(func() { g.run(key, c, work) }); err != nil {
		return nil, err
	}
	if g.inFlight == nil {
		g.inFlight = make(map[K]*Call[V])
	}
	g.inFlight[key] = c
	return c, nil
}

// InFlight returns the call in flight under the key, or nil.
func (g *Group[K, V]) InFlight(key K) *Call[V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inFlight[key]
}

// errExited is the result of a call that ended its goroutine.
var errExited = errors.New("the call ended its goroutine (runtime.Goexit)")

// run makes the call. A panic is its error, with the stack: on a goroutine that has no other
// recovery it would end the process, and the requests of all.
func (g *Group[K, V]) run(key K, c *Call[V], work func() (V, error)) {
	var v V
	err := errExited
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		// Before Complete: a caller that comes after the result must start a new call.
		g.mu.Lock()
		delete(g.inFlight, key)
		g.mu.Unlock()
		c.Complete(v, err)
	}()
	v, err = work()
}

// Call is a result that may be still to come. Its methods may be called concurrently, Complete
// once.
type Call[V any] struct {
	done  chan struct{}
	value V // with err, set when done is closed
	err   error
}

// NewCall returns a call of no group, which its maker completes.
func NewCall[V any]() *Call[V] { return &Call[V]{done: make(chan struct{})} }

// Complete sets the result and wakes all waiting callers.
func (c *Call[V]) Complete(v V, err error) {
	c.value, c.err = v, err
	close(c.done)
}

// Done is closed when there is a result.
func (c *Call[V]) Done() <-chan struct{} { return c.done }

// Result returns the result, and waits for it without a limit.
func (c *Call[V]) Result() (V, error) {
	<-c.done
	return c.value, c.err
}
