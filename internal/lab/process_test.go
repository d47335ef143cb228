package lab

import (
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

// burn uses the processor for d.
func burn(d time.Duration) {
	for began := ProcessCPU(); ProcessCPU()-began < d; {
		_ = make([]byte, 1)
	}
}

// TestUsageGrows reads this process by /proc and by its clocks: what is burnt
// between two reads stands in all of them.
func TestUsageGrows(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: CPU and memory are only read on Linux")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const burnt = 100 * time.Millisecond
	before, err := ReadUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	thread, process := ThreadCPU(), ProcessCPU()
	burn(burnt)
	thread, process = ThreadCPU()-thread, ProcessCPU()-process
	after, err := ReadUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after.CPU - before.CPU; used < burnt-2*tick || used > process+100*tick {
		t.Errorf("/proc says %v, the clock of the process %v", used, process)
	}
	if process < burnt || thread < burnt/10 || thread > process {
		t.Errorf("of %v the process used %v and the thread %v", burnt, process, thread)
	}
	if after.RSS < 1<<20 || after.Peak < after.RSS {
		t.Errorf("%d bytes are resident, %d were", after.RSS, after.Peak)
	}
	if _, err := ReadUsage(-1); err == nil {
		t.Error("there is no process -1")
	}
}

func TestSockets(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: sockets are only counted on Linux")
	}
	before, err := Sockets(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	after, err := Sockets(os.Getpid())
	if err != nil || after != before+1 {
		t.Errorf("%d sockets, then %d: %v", before, after, err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Sockets(-1); err == nil {
		t.Error("there is no process -1")
	}
}
