package testkit

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	// Only its testdata is read, but an import is what keeps a module in go.mod.
	_ "github.com/minio/simdjson-go"
)

const (
	simdjson = "github.com/minio/simdjson-go"
	sonic    = "github.com/bytedance/sonic"
)

// ParkingCitations returns 1,000 real records of Los Angeles' parking tickets,
// one JSON object each: flat, 18 string members.
func ParkingCitations(t testing.TB) [][]byte {
	t.Helper()
	text := bytes.TrimSpace(readZstd(t, simdjson, "testdata/parking-citations.json.zst"))
	return bytes.Split(text, []byte("\n"))
}

// GithubEvents returns 30 real events of GitHub's API, one JSON object each:
// nested, with URLs and numbers, as indented as they came.
func GithubEvents(t testing.TB) [][]byte {
	t.Helper()
	return elements(t, readZstd(t, simdjson, "testdata/github_events.json.zst"))
}

// Tweets returns 100 real tweets, one JSON object each: deeply nested, mostly
// Japanese text, escapes and ids past 2^53, as indented as they came.
func Tweets(t testing.TB) [][]byte {
	t.Helper()
	var page struct {
		Statuses json.RawMessage `json:"statuses"`
	}
	if err := json.Unmarshal(readZstd(t, simdjson, "testdata/twitter.json.zst"), &page); err != nil {
		t.Fatalf("cannot read the tweets: %v", err)
	}
	return elements(t, page.Statuses)
}

// RealRecords returns all of [ParkingCitations], [GithubEvents] and [Tweets].
func RealRecords(t testing.TB) [][]byte {
	t.Helper()
	return slices.Concat(ParkingCitations(t), GithubEvents(t), Tweets(t))
}

// Verdict is what JSONTestSuite expects of a parser.
type Verdict byte

// The verdicts, as the suite's file names begin.
const (
	Accept Verdict = 'y' // must be accepted
	Refuse Verdict = 'n' // must be refused
	Either Verdict = 'i' // up to the implementation
)

// JSONCase is one case of JSONTestSuite.
type JSONCase struct {
	// Name is the case's, with its verdict's prefix: "n_array_1_true_without_comma".
	Name string
	// Text is what to parse.
	Text []byte
	// Want is the verdict.
	Want Verdict
}

// JSONTestSuite returns the cases of "Parsing JSON is a Minefield", by name. The
// archive holds them as JSON strings, in which every byte that is not UTF-8 has
// become U+FFFD; a byte that is not UTF-8 is put back in its place.
func JSONTestSuite(t testing.TB) []JSONCase {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(readModule(t, sonic, "testdata/JSONTestSuite/testdata.json.gz")))
	if err != nil {
		t.Fatalf("cannot unpack JSONTestSuite: %v", err)
	}
	var texts map[string]string
	if err := json.NewDecoder(zr).Decode(&texts); err != nil {
		t.Fatalf("cannot read JSONTestSuite: %v", err)
	}
	var cases []JSONCase
	for _, name := range sortedKeys(texts) {
		text := bytes.ReplaceAll([]byte(texts[name]), []byte("\uFFFD"), []byte{0xFF})
		cases = append(cases, JSONCase{Name: name, Text: text, Want: Verdict(name[0])})
	}
	return cases
}

func elements(t testing.TB, array []byte) [][]byte {
	t.Helper()
	var raw []json.RawMessage
	if err := json.Unmarshal(array, &raw); err != nil {
		t.Fatalf("cannot split a JSON array: %v", err)
	}
	out := make([][]byte, len(raw))
	for i, r := range raw {
		out[i] = r
	}
	return out
}

func readZstd(t testing.TB, module, file string) []byte {
	t.Helper()
	zr, err := zstd.NewReader(bytes.NewReader(readModule(t, module, file)))
	if err != nil {
		t.Fatalf("cannot unpack %s: %v", file, err)
	}
	defer zr.Close()
	text, err := io.ReadAll(zr)
	if err != nil {
		t.Fatalf("cannot unpack %s: %v", file, err)
	}
	return text
}

// readModule reads a file of a module in the version that go.mod has, out of
// the module cache.
func readModule(t testing.TB, module, file string) []byte {
	t.Helper()
	dir, err := moduleDir(module)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatalf("cannot read test input: %v", err)
	}
	return text
}

var moduleDirs sync.Map // module path -> folder

func moduleDir(module string) (string, error) {
	if dir, ok := moduleDirs.Load(module); ok {
		return dir.(string), nil
	}
	for range 2 {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			return "", fmt.Errorf("cannot find module %s: %w", module, err)
		}
		if dir := strings.TrimSpace(string(out)); dir != "" {
			moduleDirs.Store(module, dir)
			return dir, nil
		}
		// Known to go.mod, but not in the module cache yet.
		if out, err := exec.Command("go", "mod", "download", module).CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot download module %s: %w\n%s", module, err, out)
		}
	}
	return "", fmt.Errorf("cannot find module %s: it was downloaded, but is not in the module cache", module)
}
