package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// LeftOutEnv names a file that gets a line for each test that is left out because the machine
// lacks something. `go test ./...` shows nothing of what a package prints whose tests pass, and
// so the Makefile shows that file at the very end.
const LeftOutEnv = "MILLRACE_TEST_LEFT_OUT"

// Missing ends t because the machine lacks something: in CI it fails, elsewhere it is skipped and
// the line is said aloud, which names what was not tested and how to get what it needs.
func Missing(t testing.TB, line string) {
	t.Helper()
	if os.Getenv("CI") == "1" {
		t.Fatal(line)
	}
	leaveOut(t, line)
	t.Skip(line)
}

// leaveOut says on stderr and in the file of [LeftOutEnv] what was left out.
func leaveOut(t testing.TB, line string) {
	t.Helper()
	line = strings.TrimSpace(line)
	fmt.Fprintf(os.Stderr, "\n*** %s ***\n\n", line)
	path := os.Getenv(LeftOutEnv)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatalf("cannot say what was left out: %v", err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(line + "\n"); err != nil { // at once: packages are processes side by side
		t.Fatalf("cannot say what was left out: %v", err)
	}
}

// Needs ends t by [Missing] where a program is not installed.
func Needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			Missing(t, "NOT TESTED WITHOUT "+program+": "+t.Name())
		}
	}
}

// Long leaves t out of `make test-kfake`: it computes for more than a second, or starts programs of
// others. `make test` runs it.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes longer than -short is for")
	}
}

// OnDemand skips t unless the environment variable is set, to 1 or to what t needs, as a target
// of the Makefile does it. It is for what takes minutes, or programs that neither a developer nor
// CI need otherwise: no machine is to blame, and `make proofs` runs it.
func OnDemand(t testing.TB, variable, line string) {
	t.Helper()
	if v := os.Getenv(variable); v != "" && v != "0" {
		return
	}
	fmt.Fprintf(os.Stderr, "\n*** %s ***\n\n", line)
	t.Skip(line)
}
