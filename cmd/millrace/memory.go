package main

import (
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of the memory that its cgroup allows the runtime may use;
// the rest is for what the runtime does not count, such as the kernel's buffers.
const memoryShare = 0.9

// limitMemory gives the runtime a soft memory limit from the cgroup of the process,
// unless GOMEMLIMIT has given it one. Without it the heap may grow to twice what is in
// use before it is collected, and the kernel ends the process long before.
var limitMemory = sync.OnceFunc(func() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	limit, err := memlimit.FromCgroup()
	switch {
	case err == nil:
		debug.SetMemoryLimit(int64(float64(limit) * memoryShare))
	case !errors.Is(err, memlimit.ErrNoLimit) && !errors.Is(err, memlimit.ErrNoCgroup) && !errors.Is(err, memlimit.ErrCgroupsNotSupported):
		slog.Warn("cannot read the memory limit of the cgroup; set GOMEMLIMIT", "err", err)
	}
})
