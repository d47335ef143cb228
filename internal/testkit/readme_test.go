package testkit

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sampleReadme = "# Sample\n```sh\nmake run\n```\n```text\nnot an answer to curl\n```\n" +
	"Produce:\n```sh\ncurl -s -X POST \\\n  -d '{\"a\": \"it is $5\"}' \\\n  http://localhost:8082/echo\n```\n" +
	"and get\n```json\nPOST /echo {\"a\": \"it is $5\"} []\n```\n" +
	"Two, of which the first prints nothing:\n```sh\ncurl -s http://localhost:8082/none\ncurl -s http://localhost:8082/lines\n```\n" +
	"```text\none\r\ntwo\n```\n" +
	"Nothing:\n```sh\ncurl -s http://localhost:8082/none\n```\n# Next\n```json\n{\"not\":\"an answer\"}\n```\n" +
	"The address is replaced in answers too:\n```sh\ncurl -s http://localhost:8082/made\n```\n" +
	"```json\n{\"id\":\"x-17\",\"uri\":\"http://localhost:8082/made/x-17\"}\n```\n"

func TestReadmeIsRunAsWritten(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(echo))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte(sampleReadme), 0o644); err != nil {
		t.Fatal(err)
	}
	RunReadme(t, file, srv.URL)
}

func TestReadmeThatLies(t *testing.T) {
	Needs(t, "curl")
	srv := httptest.NewServer(http.HandlerFunc(echo))
	defer srv.Close()
	cases := map[string]struct{ text, want string }{
		"answer differs": {strings.Replace(sampleReadme, "x-17", "x-18", 1), "README.md:36: the commands print something else from byte 10 on"},
		"answer missing": {"```sh\ncurl -s localhost:8082/made\n```\n", "want:\n\nhave:\n{"},
		"curl fails":     {"```sh\ncurl -sf http://localhost:8082/none:\ncurl -s --no-such-option\n```\n", "README.md:1: cannot run a command: exit status"},
		"no commands":    {"```sh\nmake run\n```\n", "README.md: no ```sh fence with curl"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := playReadme("README.md", c.text, srv.URL)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("want an error with %q, have %v", c.want, err)
			}
		})
	}
}

func TestAgrees(t *testing.T) {
	f := func(have, want string, ok bool) {
		t.Helper()
		if agrees(have, want) != ok {
			t.Errorf("agrees(%q, %q) is not %v", have, want, ok)
		}
	}
	f("abc", "abc", true)
	f("abc", "ab", false)
	f("abc", "a…c", true)
	f("ac", "a…c", true)
	f("a", "a…a", false)
	f("axbyc", "a…b…c", true)
	f("axbyc", "a…z…c", false)
	f("abcd", "…bc…", true)
	f("abcd", "…bd…", false)
}
