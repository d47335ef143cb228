package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// installed returns the folder of a program called millrace.
func installed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(testkit.Binary(t), filepath.Join(dir, "millrace")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inShell runs a script with millrace in the path.
func inShell(t *testing.T, dir string, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return string(out)
}

func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	testkit.Needs(t, "bash")
	dir := installed(t)
	for line, want := range map[string]string{
		"millrace chec":            "check-config",
		"millrace serve --con":     "--config",
		"millrace loadtest li":     "list",
		"millrace serve --config ": "", // bash's own: files
	} {
		script := `source <(millrace completion bash); COMP_CWORD=$(($# - 1)); COMP_WORDS=("$@"); _millrace; echo "${COMPREPLY[@]}"`
		out := inShell(t, dir, append([]string{"bash", "-c", script, "bash"}, strings.Split(line, " ")...)...)
		if strings.TrimSpace(out) != want {
			t.Errorf("bash completes %q to %q, want %q", line, out, want)
		}
	}
}

// zshDriver types a line and a tab into an interactive zsh that has just started, and prints
// what stands on its command line then. It first types the lines by which the user has set up
// completion.
const zshDriver = `
zmodload zsh/zpty || exit 9
zpty -b z zsh -f -i
zpty -w z "unset zle_bracketed_paste; PROMPT= RPROMPT=; show() { print -r -- \"<<\$BUFFER>>\" }; zle -N show; bindkey '^Xs' show; $1"
zpty -w z "print -r -- re''ady"
zpty -r z out '*ready*' || exit 8
zpty -w -n z "$2"$'\t\x18s'
zpty -r z out '*<<*>>*' || exit 7
print -r -- "$out"
zpty -d z
`

func TestCompletionInZsh(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	testkit.Needs(t, "zsh")
	dir := installed(t)
	functions := filepath.Join(dir, "functions")
	if err := os.Mkdir(functions, 0o755); err != nil {
		t.Fatal(err)
	}
	script := inShell(t, dir, filepath.Join(dir, "millrace"), "completion", "zsh")
	for _, text := range []struct{ name, text string }{{"driver", zshDriver}, {"functions/_millrace", script}, {"kafka-rest.properties", ""}} {
		if err := os.WriteFile(filepath.Join(dir, text.name), []byte(text.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shown := regexp.MustCompile(`<<(.*)>>`)
	for name, setup := range map[string]string{
		"sourced":                    "source <(millrace completion zsh)",
		"sourced after compinit":     "autoload -Uz compinit; compinit -D; source <(millrace completion zsh)",
		"as make install has placed": "fpath=(" + functions + " $fpath); autoload -Uz compinit; compinit -D -u",
	} {
		for line, want := range map[string]string{
			"millrace chec":               "millrace check-config ",
			"millrace serve --con":        "millrace serve --config ",
			"millrace loadtest targ":      "millrace loadtest targets ",
			"millrace serve --config kaf": "millrace serve --config kafka-rest.properties ",
		} {
			out := inShell(t, dir, "zsh", "-f", filepath.Join(dir, "driver"), setup, line)
			if m := shown.FindStringSubmatch(out); m == nil || m[1] != want {
				t.Errorf("%s: zsh completes %q to %q, want %q", name, line, out, want)
			}
		}
	}
}

func TestCompletionInFish(t *testing.T) {
	t.Parallel()
	testkit.Needs(t, "fish")
	dir := installed(t)
	if err := os.WriteFile(filepath.Join(dir, "kafka-rest.properties"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"millrace chec":               "check-config\tSay everything that is wrong with a configuration, or show what it comes to.\n",
		"millrace serve --con":        "--config\tProperties file, such as kafka-rest.properties.\n",
		"millrace loadtest targ":      "targets\tWrite a scenario's requests as a target file for the vegeta command.\n",
		"millrace serve --config kaf": "kafka-rest.properties\n",
	} {
		out := inShell(t, dir, "fish", "--no-config", "-c", "millrace completion fish | source; complete -C $argv[1]", line)
		if out != want {
			t.Errorf("fish completes %q to %q, want %q", line, out, want)
		}
	}
}

// The help of every command has examples and exit codes.
func TestHelp(t *testing.T) {
	t.Parallel()
	binary := testkit.Binary(t)
	help := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(binary, append(args, "--help")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	whole := help()
	for _, want := range []string{
		"\n    millrace dev\n", "KAFKA_REST_BOOTSTRAP_SERVERS", "\n    80  the command line is wrong\n", "/etc/millrace/millrace.properties", "loadtest run",
	} {
		if !strings.Contains(whole, want) {
			t.Errorf("millrace --help lacks %q:\n%s", want, whole)
		}
	}
	for _, command := range []string{"serve", "dev", "loadtest", "tune", "check-config", "metrics", "completion"} {
		if out := help(command); !strings.Contains(out, "\n    millrace "+command) && !strings.Contains(out, "(millrace "+command) {
			t.Errorf("%s has no example:\n%s", command, out)
		}
	}
	if out := help("loadtest"); !strings.Contains(out, "\n    2  something that was expected did not hold") {
		t.Errorf("no exit codes:\n%s", out)
	}
	// The command line that is wrong.
	var said bytes.Buffer
	wrong := exec.Command(binary, "serve", "--no-such-flag")
	wrong.Stderr = &said
	if err := wrong.Run(); err == nil || wrong.ProcessState.ExitCode() != 80 {
		t.Errorf("exit code %d, want 80: %s", wrong.ProcessState.ExitCode(), &said)
	}
}
