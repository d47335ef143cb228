package testkit

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Binary returns the path of a millrace program built from this source, once a
// test process. It is gone when [Main] ends.
func Binary(t testing.TB) string {
	t.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	if binary.path == "" && binary.err == nil {
		dir, err := os.MkdirTemp("", "millrace-bin-*")
		if err != nil {
			t.Fatal(err)
		}
		atExit(t, func() { _ = os.RemoveAll(dir) })
		binary.path, binary.err = build(filepath.Join(dir, "millrace"))
	}
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// binary is what [Binary] has built; process.mu guards it.
var binary struct {
	path string
	err  error
}

// build puts the program at path. It is linked below .cache, where go build finds it again: of
// the packages whose tests run it only the first one links it, and the others take a copy.
func build(path string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".cache", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make a folder for the program: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, "millrace.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	kept := filepath.Join(dir, "millrace")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", kept, "./cmd/millrace")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build millrace: %w\n%s", err, out)
	}
	// By a child: a file that this process had open for writing cannot be run while a fork of it
	// still has the descriptor.
	if out, err := exec.Command("cp", kept, path).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot copy the program: %w\n%s", err, out)
	}
	return path, nil
}

// Process is a child process of a test, with all that it printed.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process was reaped

	mu      sync.Mutex
	out     bytes.Buffer  // stdout and stderr as they came; guarded by mu
	printed chan struct{} // closed and replaced at each write; guarded by mu
}

// StartMillrace builds millrace and starts it with args. The environment is the
// test's own without KAFKA_REST_ variables, which are millrace's settings.
func StartMillrace(t testing.TB, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(Binary(t), args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KAFKA_REST_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return StartProcess(t, cmd)
}

// StartProcess starts cmd and collects what it prints. When t ends the process
// is killed if it still runs, and shown if t failed.
func StartProcess(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, exited: make(chan struct{}), printed: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = childAttr()
	// Grandchildren that keep the pipe open must not hold up the end.
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(cmd.Path), p.Output())
		}
	})
	return p
}

// Write implements io.Writer for the child's output.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Write(b)
	close(p.printed)
	p.printed = make(chan struct{})
	return len(b), nil
}

// Output returns all that the process has printed so far, stdout and stderr in
// the order of their arrival.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// WaitLine waits until the process has printed a whole line that pattern (a
// regular expression) matches anywhere, and returns the match and its groups.
// It fails t when the process ends without it, or after timeout.
func (p *Process) WaitLine(t testing.TB, pattern string, timeout time.Duration) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		p.mu.Lock()
		text, printed := p.out.String(), p.printed
		p.mu.Unlock()
		if m := matchLine(re, text); m != nil {
			return m
		}
		select {
		case <-printed:
		case <-p.exited:
			// The last output came before the end, so one more look settles it.
			if m := matchLine(re, p.Output()+"\n"); m != nil {
				return m
			}
			t.Fatalf("%s ended (%v) without a line that matches %q", p.cmd.Path, p.cmd.ProcessState, pattern)
		case <-deadline.C:
			t.Fatalf("%s printed no line that matches %q within %v", p.cmd.Path, pattern, timeout)
		}
	}
}

// matchLine looks only at lines that have ended.
func matchLine(re *regexp.Regexp, text string) []string {
	lines := strings.Split(text, "\n")
	for _, line := range lines[:len(lines)-1] {
		if m := re.FindStringSubmatch(line); m != nil {
			return m
		}
	}
	return nil
}

// Resident is the memory of the process that is resident now, and the most that ever
// was, in bytes. It fails t where the system does not tell (it is read from /proc).
func (p *Process) Resident(t testing.TB) (now, peak int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("cannot read the memory of %s: %v", p.cmd.Path, err)
	}
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &now) // other lines match neither
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &peak)
	}
	return now << 10, peak << 10
}

// CPU is the processor time, of user and system, that the process has taken. It
// fails t where the system does not tell.
func (p *Process) CPU(t testing.TB) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("cannot read the CPU time of %s: %v", p.cmd.Path, err)
	}
	var user, system int64
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Fatalf("cannot read %q: %v", stat, err)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
	return time.Duration(user+system) * tick
}

// Signal sends sig to the process, and fails t when it has ended already.
func (p *Process) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("cannot signal %s: %v", p.cmd.Path, err)
	}
}

// WaitExit waits until the process has ended and returns its exit code, -1 when
// a signal ended it. It fails t when the process still runs after timeout.
func (p *Process) WaitExit(t testing.TB, timeout time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(timeout):
		t.Fatalf("%s still runs %v later", p.cmd.Path, timeout)
		return 0
	}
}

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}
