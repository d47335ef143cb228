package schema

import (
	"runtime"
	"sync/atomic"

	"millrace/internal/apierr"
)

// limiter lets a number of callers run at a time, and a number of further ones wait.
type limiter struct {
	running chan struct{}
	most    int32 // bound of running and waiting callers together
	all     atomic.Int32
}

func newLimiter(running, waiting int) *limiter {
	return &limiter{running: make(chan struct{}, running), most: int32(running + waiting)}
}

// maxCompiling bounds how many schemas wait to be compiled.
const maxCompiling = 64

// compiling bounds how many schemas are compiled at a time: one of a megabyte takes a processor
// for a second, and its compiler cannot be canceled when the request has given up. More at a time
// would only be slower, and hold more memory.
var compiling = newLimiter(runtime.GOMAXPROCS(0), maxCompiling)

// acquire waits until the caller may run; the caller releases with the returned function. It
// refuses at once while too many wait.
func (t *limiter) acquire() (release func(), err error) {
	if t.all.Add(1) > t.most {
		t.all.Add(-1)
		return nil, apierr.RegistryTimedOut.New("Too many new schemas wait to be compiled on this node.")
	}
	t.running <- struct{}{}
	return func() {
		<-t.running
		t.all.Add(-1)
	}, nil
}
