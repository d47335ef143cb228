package lint

import "testing"

func TestPhrases(t *testing.T) {
	for _, c := range []struct{ comment, want string }{
		{"Close closes it. The caller retries.", ""},
		{"Close closes it. What is open fails.", "write a subject"},
		{"Close answers two questions. What is open? It returns the list.", ""},
		{"Who closes it waits.", "write a subject"},
		{"It works whatever the order.", ""},
		{"The client is trying on.", "write retry"},
		{"A record is kept for ever.", "without a bound"},
	} {
		f := sample(t, "batch/a.go", "package batch\n\n// "+c.comment+"\nvar x int\n")
		breaks(t, Phrases(f), c.want)
	}
}
