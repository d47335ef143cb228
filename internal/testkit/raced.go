//go:build race

package testkit

import (
	"os"
	"runtime/debug"
)

// racedGC is GOGC of a test process with the race detector, which makes collecting garbage, and
// filling again the pools that a collection has emptied, several times as dear. Nothing that runs
// with it measures memory, and children have Go's default.
const racedGC = 400

func init() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(racedGC)
	}
}
