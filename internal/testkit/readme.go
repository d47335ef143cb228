package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// commandTimeout bounds one command of a README.
const commandTimeout = 30 * time.Second

// quickstartHost is the address that READMEs are written for.
const quickstartHost = "localhost:8082"

var errNoCurl = errors.New("README NOT TESTED: needs curl (Debian: apt-get install curl)")

// RunReadme runs the curl commands of a markdown file against the server at
// base ("http://host:port"), in order, with the real curl and sh, and fails t
// where one prints something else than the file says. The convention:
//
//   - A fence that opens with ```sh and whose first line begins with "curl" is
//     run. Each line that begins with "curl" starts a command; the lines up to
//     the next one belong to it. Other fences are left alone.
//   - The answer is the next fence, if that opens with ```json or ```text and
//     stands before any further ```sh and any heading. Without one the commands
//     must print nothing.
//   - What the commands print is compared as text. A command's output loses the
//     blanks at its end, empty outputs are left out, the rest stands line under
//     line.
//     A "…" in the answer stands for any text, where it depends on the cluster.
//   - localhost:8082 is replaced by base's address on both sides.
//
// The file must hold at least one such fence. Its responses are those of a new Kafka cluster:
// against real Kafka give it one by [StartKafka].
func RunReadme(t *testing.T, file, base string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		Missing(t, errNoCurl.Error())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("cannot read the README: %v", err)
	}
	if err := playReadme(file, string(text), base); err != nil {
		t.Fatal(err)
	}
}

// step is one fence of commands and what they must print.
type step struct {
	line     int // of the fence
	commands []string
	want     string
}

// playReadme stops at the first difference: what follows builds on it.
func playReadme(file, text, base string) error {
	host := strings.TrimPrefix(base, "http://")
	steps := readSteps(strings.ReplaceAll(text, quickstartHost, host))
	if len(steps) == 0 {
		return fmt.Errorf("%s: no ```sh fence with curl commands", file)
	}
	for _, s := range steps {
		var printed []string
		for _, command := range s.commands {
			out, err := runShell(command)
			if err != nil {
				return fmt.Errorf("%s:%d: %w\n%s", file, s.line, err, command)
			}
			if out != "" {
				printed = append(printed, out)
			}
		}
		if have := strings.Join(printed, "\n"); !agrees(have, s.want) {
			return fmt.Errorf("%s:%d: the commands print something else from byte %d on:\n%s\nwant:\n%s\nhave:\n%s",
				file, s.line, common(s.want, have), strings.Join(s.commands, "\n"), s.want, have)
		}
	}
	return nil
}

func runShell(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", command)
	var complaints strings.Builder
	cmd.Stderr = &complaints // curl's progress bar, and what went wrong
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot run a command: %w\n%s", err, complaints.String())
	}
	return strings.TrimRight(string(out), " \r\n"), nil
}

// readSteps finds the fences that [RunReadme] speaks of.
func readSteps(text string) []step {
	var steps []step
	open := false // the last step may still get its answer
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if strings.HasPrefix(lines[i], "#") {
			open = false
		}
		language, ok := strings.CutPrefix(lines[i], "```")
		if !ok {
			continue
		}
		start := i + 1
		for i++; i < len(lines) && !strings.HasPrefix(lines[i], "```"); i++ {
		}
		body := lines[start:min(i, len(lines))]
		switch strings.TrimSpace(language) {
		case "sh":
			open = len(body) > 0 && strings.HasPrefix(body[0], "curl")
			if open {
				steps = append(steps, step{line: start, commands: commands(body)})
			}
		case "json", "text":
			if open {
				steps[len(steps)-1].want = strings.TrimRight(strings.Join(body, "\n"), " \n")
			}
			open = false
		}
	}
	return steps
}

// commands joins the lines of a fence to one text per command.
func commands(lines []string) []string {
	var all []string
	for _, line := range lines {
		if strings.HasPrefix(line, "curl") {
			all = append(all, line)
		} else {
			all[len(all)-1] += "\n" + line
		}
	}
	return all
}

// agrees reports whether have is want, in which each "…" stands for any text.
func agrees(have, want string) bool {
	parts := strings.Split(want, "…")
	if len(parts) == 1 {
		return have == want
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(have, first) || !strings.HasSuffix(have[len(first):], last) {
		return false
	}
	rest := have[len(first) : len(have)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return true
}

// common is the length of what a and b begin with alike.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
