package apierr

import (
	"bytes"
	"flag"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite docs/errors.md")

// TestReference holds docs/errors.md to the table.
func TestReference(t *testing.T) {
	testkit.Reference(t, "../../docs/errors.md", *update, WriteReference)
}

// TestReferenceListsEveryKind holds the page to one row for each kind.
func TestReferenceListsEveryKind(t *testing.T) {
	var page bytes.Buffer
	if err := WriteReference(&page); err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds() {
		if n := strings.Count(page.String(), "| `"+k.Name+"` |"); n != 1 {
			t.Errorf("%s has %d rows", k.Name, n)
		}
	}
}

func TestRetryCell(t *testing.T) {
	f := func(k Kind, want string) {
		t.Helper()
		if got := retryCell(&k); got != want {
			t.Errorf("%+v gives %q, want %q", k, got, want)
		}
	}
	f(Kind{}, "no")
	f(Kind{Retry: true}, "yes")
	f(Kind{Retry: true, RetryAfter: 5 * time.Second}, "yes, after 5 s")
}
