package testkit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// errNoPython is the reason of a skip.
var errNoPython = errors.New("Python was left out: it needs python3 with venv (Debian: apt install python3-venv)")

// Python returns a python with the packages of a requirements file, in a
// virtual environment below .cache that is made once. Without python3 the test
// is skipped as those that need Java are, in CI it fails; so it does when the
// packages cannot be downloaded.
func Python(t testing.TB, requirements string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Python with packages of its own, which -short leaves out")
	}
	python, err := installPython(requirements)
	if errors.Is(err, errNoPython) {
		Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return python
}

func installPython(requirements string) (string, error) {
	text, err := os.ReadFile(requirements)
	if err != nil {
		return "", fmt.Errorf("cannot read what Python needs: %w", err)
	}
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(root, ".cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the download cache: %w", err)
	}
	unlock, err := lockFile(filepath.Join(cache, "python.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	// The environment is used where it was made: its scripts name their own
	// folder. That it is complete is said by a file.
	dir := filepath.Join(cache, fmt.Sprintf("python-%x", sha256.Sum256(text))[:len("python-")+12])
	python, done := filepath.Join(dir, "bin", "python"), filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return python, nil
	}
	if exec.Command("python3", "-c", "import ensurepip, venv").Run() != nil {
		return "", errNoPython
	}
	if out, err := exec.Command("python3", "-m", "venv", "--clear", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot make a virtual environment for Python: %w\n%s", err, out)
	}
	install := exec.Command(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements)
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot install Python's packages: %w\n%s", err, out)
	}
	return python, os.WriteFile(done, nil, 0o644)
}
