package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that relaxes its timers is the same process afterwards, with the slack on threads that
// the runtime starts; one that was started with a slack of its own keeps it.
func TestTimersAreRelaxed(t *testing.T) {
	t.Parallel()
	const child = "MILLRACE_TEST_SLACK"
	if os.Getenv(child) != "" {
		relaxTimers()
		var asked, all sync.WaitGroup
		asked.Add(2) // each holds its thread until both have asked, so that one is not the first thread
		for range 2 {
			all.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
				fmt.Printf("pid %d slack %d %v;\n", os.Getpid(), slack, err)
				asked.Done()
				asked.Wait()
			})
		}
		all.Wait()
		return
	}
	for _, start := range []struct{ slack, want int }{
		{int(defaultSlack), int(timerSlack)},
		{7000, 7000},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTimersAreRelaxed$")
		cmd.Env = append(os.Environ(), child+"=1")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		runtime.LockOSThread()
		before, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(start.slack), 0, 0, 0)
		}
		if err == nil {
			err = cmd.Start() // by this thread, whose slack the process has
		}
		if err2 := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(before), 0, 0, 0); err == nil {
			err = err2
		}
		runtime.UnlockOSThread()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, &out)
		}
		if want := fmt.Sprintf("pid %d slack %d <nil>;", cmd.Process.Pid, start.want); strings.Count(out.String(), want) != 2 {
			t.Errorf("started with %d: %s, want twice %q", start.slack, &out, want)
		}
	}
}
