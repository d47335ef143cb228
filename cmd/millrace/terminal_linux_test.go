package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"millrace/internal/testkit"
)

// inTerminal runs a command on a pseudo-terminal and returns what it shows.
func inTerminal(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	here, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := unix.IoctlSetPointerInt(int(here.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(here.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = there, there
	err = cmd.Start()
	there.Close()
	if err != nil {
		t.Fatal(err)
	}
	shown, _ := io.ReadAll(here) // ends with EIO once the other side is closed
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	return string(shown)
}

// A terminal gets a coloured line a second, all else plain ones.
func TestLoadtestProgress(t *testing.T) {
	t.Parallel()
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }))
	defer stub.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "polls.yaml")
	if err := os.WriteFile(file, []byte("{warmup: 0s, duration: 1500ms, flows: [{do: metadata, rate: 20, expect: {errors: 0%}}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(environ ...string) *exec.Cmd {
		cmd := exec.Command(testkit.Binary(t), "loadtest", "--url", stub.URL, "--out", dir, file)
		cmd.Env = append(append(os.Environ(), "NO_COLOR=", "TERM=xterm"), environ...)
		return cmd
	}
	line := regexp.MustCompile(`(?m)^   1 s  │ metadata [\d.]+/s`)
	shown := inTerminal(t, command())
	if !strings.Contains(shown, "\x1b[2m│ \x1b[0mmetadata") || !strings.Contains(shown, "\x1b[32mPASSED\x1b[0m") {
		t.Errorf("a terminal is shown no colours:\n%q", shown)
	}
	for what, shown := range map[string]string{"without colours": inTerminal(t, command("NO_COLOR=1")), "to a file": output(t, command())} {
		if strings.Contains(shown, "\x1b") || !line.MatchString(shown) {
			t.Errorf("%s:\n%q", what, shown)
		}
	}
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
