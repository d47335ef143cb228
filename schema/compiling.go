package schema

import (
	"runtime"
	"sync/atomic"

	"millrace/internal/apierr"
)

// turns lets so many go on at a time, and so many more wait.
type turns struct {
	running chan struct{}
	most    int32 // who may run or wait
	all     atomic.Int32
}

func newTurns(running, waiting int) *turns {
	return &turns{running: make(chan struct{}, running), most: int32(running + waiting)}
}

// maxCompiling bounds how many schemas wait to be compiled.
const maxCompiling = 64

// compiling bounds how many schemas are compiled at a time: one of a megabyte keeps
// a processor busy for a second, and its compiler cannot be told that nobody waits
// any more. More at a time would only be slower, and hold more memory.
var compiling = newTurns(runtime.GOMAXPROCS(0), maxCompiling)

// begin waits for its turn, which the caller ends. Where too many wait already it
// refuses at once.
func (t *turns) begin() (end func(), err error) {
	if t.all.Add(1) > t.most {
		t.all.Add(-1)
		return nil, apierr.RegistryTimedOut.New("As many schemas that are new to this server wait to be compiled as may.")
	}
	t.running <- struct{}{}
	return func() {
		<-t.running
		t.all.Add(-1)
	}, nil
}
