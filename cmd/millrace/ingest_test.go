package main

import (
	"path/filepath"
	"testing"

	"millrace/internal/testkit"
)

func TestIngestPage(t *testing.T) {
	t.Parallel()
	_, url, _ := dev(t)
	testkit.RunReadme(t, filepath.Join(filepath.Dir(readme(t)), "docs", "ingest.md"), url)
}
