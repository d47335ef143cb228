package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"millrace/config"
	"millrace/internal/testkit"
)

// runMake runs make in a folder with the source in it.
func runMake(t *testing.T, dir string, args ...string) {
	t.Helper()
	testkit.Needs(t, "make", "sed")
	cmd := exec.Command("make", args...)
	cmd.Dir = dir
	// A make that runs this test hands its own flags and variables down.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=")
	})
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %v: %v\n%s", args, err, out)
	}
}

// copySource copies what a build needs of the source to another folder, without git.
func copySource(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		from, to := filepath.Join(root, e.Name()), filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), ".") || e.Name() == "bin":
		case e.IsDir():
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		case e.Type().IsRegular():
			text, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// Two builds of one state, in two folders, are the same program. It needs no
// library, so that it runs in an empty container, and says what it is. And what
// make install has put somewhere is whole.
func TestBuildAndInstall(t *testing.T) {
	t.Parallel()
	testkit.Long(t) // it builds the program twice
	root, err := testkit.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	stamp := []string{"VERSION=v9.8.7", "COMMIT=0123456789ab", "DATE=2026-01-02T03:04:05Z"}
	installed := filepath.Join(to, "opt", "bin", "millrace")
	runMake(t, root, append([]string{"install", "BIN=" + filepath.Join(to, "one"), "DESTDIR=" + to, "PREFIX=/opt"}, stamp...)...)
	runMake(t, copySource(t, root), append([]string{"build", "BIN=" + filepath.Join(to, "two")}, stamp...)...)

	one, err := os.ReadFile(installed)
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(filepath.Join(to, "two"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("two builds of one state differ")
	}
	if runtime.GOOS == "linux" {
		program, err := elf.NewFile(bytes.NewReader(one))
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Error("the program is not static")
		}
	}
	said, err := exec.Command(installed, "version").Output()
	want := "millrace v9.8.7 (0123456789ab, 2026-01-02T03:04:05Z) " + runtime.Version() + " "
	if err != nil || !strings.HasPrefix(string(said), want) {
		t.Errorf("version says %q, want %q: %v", said, want, err)
	}

	for _, file := range []string{
		"opt/share/bash-completion/completions/millrace", "opt/share/zsh/site-functions/_millrace", "opt/share/fish/vendor_completions.d/millrace.fish",
	} {
		if text, err := os.ReadFile(filepath.Join(to, file)); err != nil || !bytes.Contains(text, []byte("check-config")) {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	// The settings of one who installs again are kept.
	settings := filepath.Join(to, "etc", "millrace", "millrace.properties")
	if text, err := os.ReadFile(settings); err != nil || string(text) != deployed(t, "millrace.properties") {
		t.Errorf("%q, %v", text, err)
	}
	unit, err := os.ReadFile(filepath.Join(to, "etc", "systemd", "system", "millrace.service"))
	if err != nil || !bytes.Contains(unit, []byte("\nExecStart=/opt/bin/millrace serve ")) {
		t.Errorf("the unit does not start what was installed: %v\n%s", err, unit)
	}
	t.Run("unit", func(t *testing.T) { verifyUnit(t, string(unit), installed) })
}

// verifyUnit has systemd look at the unit, which must name a program that exists.
func verifyUnit(t *testing.T, unit, program string) {
	t.Helper()
	testkit.Needs(t, "systemd-analyze")
	file := filepath.Join(t.TempDir(), "millrace.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(unit, "/opt/bin/millrace", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput(); err != nil || bytes.Contains(out, []byte("millrace.service")) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// captured returns the first group of the expression in a file of deploy/.
func captured(t *testing.T, expression string, path ...string) string {
	t.Helper()
	m := regexp.MustCompile(expression).FindStringSubmatch(deployed(t, path...))
	if m == nil {
		t.Fatalf("nothing in %v matches %s", path, expression)
	}
	return m[1]
}

// number is captured as a number.
func number(t *testing.T, expression string, path ...string) int {
	t.Helper()
	n, err := strconv.Atoi(captured(t, expression, path...))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Every supervisor that ends the node waits longer than a drain takes.
func TestDrainFits(t *testing.T) {
	t.Parallel()
	usual := standard(t, "shutdown.graceful.ms")
	kubernetes := []string{"kubernetes", "millrace.yaml"}
	there := number(t, `shutdown\.graceful\.ms=(\d+)`, kubernetes...)
	pause := number(t, `sleep: \{seconds: (\d+)\}`, kubernetes...)
	for _, c := range []struct {
		who                string
		patience, pause, s int // seconds
	}{
		{"systemd", number(t, `(?m)^TimeoutStopSec=(\d+)s$`, "systemd", "millrace.service"), 0, usual / 1000},
		{"compose", number(t, `stop_grace_period: (\d+)s`, "docker", "compose.yaml"), 0, usual / 1000},
		{"Kubernetes", number(t, `terminationGracePeriodSeconds: (\d+)`, kubernetes...), pause, there / 1000},
	} {
		if spare := c.patience - c.pause - c.s; spare < 5 {
			t.Errorf("%s kills after %d s, %d s after a drain of %d s", c.who, c.patience, spare, c.s)
		}
	}
	if open := number(t, `LimitNOFILE=(\d+)`, "systemd", "millrace.service"); open < 2*standard(t, "connections.max") {
		t.Errorf("%d open files are too few", open)
	}
}

// described returns a setting of the reference.
func described(t *testing.T, name string) config.Setting {
	t.Helper()
	all := config.Reference()
	at := slices.IndexFunc(all, func(s config.Setting) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("there is no setting %s", name)
	}
	return all[at]
}

// standard is the default of a setting that is a number.
func standard(t *testing.T, name string) int {
	t.Helper()
	n, err := strconv.Atoi(described(t, name).Default)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// The images and the manifests agree with the program on ports and commands.
func TestDeployedCommands(t *testing.T) {
	t.Parallel()
	listeners := described(t, "listeners").Default
	port := listeners[strings.LastIndexByte(listeners, ':')+1:]
	for expression, path := range map[string][]string{
		`EXPOSE (\d+)`:              {"docker", "Dockerfile"},
		`ports: \["\d+:(\d+)"\]`:    {"docker", "compose.yaml"},
		`containerPort: (\d+)`:      {"kubernetes", "millrace.yaml"},
		`listeners=http://.*:(\d+)`: {"kubernetes", "millrace.yaml"},
		`\.io/port: "(\d+)"`:        {"kubernetes", "millrace.yaml"},
	} {
		if have := captured(t, expression, path...); have != port {
			t.Errorf("%v has port %s (%s), want %s", path, have, expression, port)
		}
	}
	var compose struct {
		Services map[string]struct{ Image string }
	}
	if err := yaml.Unmarshal([]byte(deployed(t, "docker", "compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	for name, service := range compose.Services {
		if _, tag, ok := strings.Cut(service.Image, ":"); name != "millrace" && (!ok || tag == "latest") {
			t.Errorf("%s has no fixed tag: %q", name, service.Image)
		}
	}
	// The versions that users try are those that the tests use.
	for name, want := range map[string]string{
		"kafka": "apache/kafka:" + testkit.KafkaVersion, "registry": "apicurio/apicurio-registry:" + testkit.RegistryVersion,
	} {
		if have := compose.Services[name].Image; have != want {
			t.Errorf("compose.yaml runs %s, want %s", have, want)
		}
	}
	command := captured(t, `(?m)^ExecStart=\S+ (.*)$`, "systemd", "millrace.service")
	if args := captured(t, `args: \[(.*)\]`, "kubernetes", "millrace.yaml"); strings.ReplaceAll(args, ",", "") != command {
		t.Errorf("systemd runs %q, Kubernetes %q", command, args)
	}
	// It ends for want of that file, not of that command or flag.
	out, err := exec.Command(testkit.Binary(t), append(strings.Fields(command), "--set=listeners=http://127.0.0.1:0")...).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("/etc/millrace/millrace.properties")) || bytes.Contains(out, []byte("Usage:")) {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}

// The pages about running it name settings that exist.
func TestDeploymentPagesNameSettings(t *testing.T) {
	t.Parallel()
	root, err := testkit.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`((?:[a-z0-9]+\\.)+[a-z0-9]+|KAFKA_REST_[A-Z_]+)(?:=[^`]*)?`")
	for _, page := range []string{"deployment.md", "migration.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		found := names.FindAllSubmatch(text, -1)
		if len(found) < 2 {
			t.Errorf("%s names %d settings", page, len(found))
		}
		for _, m := range found {
			src := config.Sources{Preset: []string{"bootstrap.servers=a:1"}}
			if setting := string(m[1]) + "=x"; strings.HasPrefix(setting, "KAFKA_REST_") {
				src.Environ = []string{setting}
			} else {
				src.Set = []string{setting}
			}
			// The value may be wrong, the name may not.
			if _, err := config.Load(src); err != nil && strings.Contains(err.Error(), "is not a setting") {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
