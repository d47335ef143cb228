package testkit

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// Reference holds a generated document to what write writes. With update, which is the test's
// own flag of that name, it writes the document first.
func Reference(t testing.TB, path string, update bool, write func(io.Writer) error) {
	t.Helper()
	var want bytes.Buffer
	if err := write(&want); err != nil {
		t.Fatal(err)
	}
	if update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is out of date; run %s in this package with -update", path, t.Name())
	}
}
