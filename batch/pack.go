package batch

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// packParallel is the size of frames from which on another goroutine is worth its start.
const packParallel = 16 << 10

// pack compresses the batches, several at a time if they are large.
func (p *Producer) pack(all []sending) {
	large, compresses := 0, p.compresses()
	for i := range all {
		b := all[i].b
		if b.payload != nil {
			continue
		}
		if compresses {
			b.reserve()
		}
		if len(b.frames.B) >= packParallel {
			large++
		}
	}
	helpers := min(large, runtime.GOMAXPROCS(0)) - 1
	if helpers <= 0 || !compresses {
		for i := range all {
			all[i].b.pack(p.compressor)
		}
		return
	}
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; int(i) < len(all); i = next.Add(1) - 1 {
			all[i].b.pack(p.compressor)
		}
	}
	var helping sync.WaitGroup
	for range helpers {
		helping.Go(work)
	}
	work()
	helping.Wait()
}

// compresses reports whether the codec is one that computes.
func (p *Producer) compresses() bool {
	c, known := p.compressor.(interface{ Compresses() bool })
	return !known || c.Compresses()
}
