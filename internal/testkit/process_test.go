package testkit_test

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"millrace/internal/testkit"
)

func TestProcessLineSignalAndExit(t *testing.T) {
	p := testkit.StartProcess(t, exec.Command("bash", "-c",
		`trap 'echo got term; exit 7' TERM; echo "listening on :$((40 + 2))"; echo "ready" >&2; while :; do sleep 0.05; done`))
	if m := p.WaitLine(t, `listening on :(\d+)`, 10*time.Second); m[1] != "42" {
		t.Fatalf("group is %q", m[1])
	}
	p.WaitLine(t, `^ready$`, 10*time.Second) // on stderr
	if !p.Running() {
		t.Fatal("not running")
	}
	p.Signal(t, syscall.SIGTERM)
	p.WaitLine(t, `^got term$`, 10*time.Second)
	if code := p.WaitExit(t, 10*time.Second); code != 7 || p.Running() {
		t.Fatalf("exit code %d, running %v", code, p.Running())
	}
	if out := p.Output(); !strings.HasSuffix(out, "got term\n") {
		t.Fatalf("output is %q", out)
	}
}

func TestProcessLastLineWithoutNewlineIsSeen(t *testing.T) {
	p := testkit.StartProcess(t, exec.Command("bash", "-c", "printf 'end 5'"))
	if m := p.WaitLine(t, `end (\d)`, 10*time.Second); m[1] != "5" {
		t.Fatalf("group is %q", m[1])
	}
	if code := p.WaitExit(t, 10*time.Second); code != 0 {
		t.Fatalf("exit code %d", code)
	}
}
