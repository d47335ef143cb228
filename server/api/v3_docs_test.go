package api_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
)

// fences are the blocks of commands of docs/api.md, each with the answer that may follow it.
var fences = regexp.MustCompile("(?s)```sh\n(.*?)```(?:\n\n```json\n(.*?)```)?")

// The commands of docs/api.md work in their order, and answer what it says: each "…" in an answer
// is any text, and each number any number.
func TestV3Docs(t *testing.T) {
	t.Parallel()
	testkit.Needs(t, "curl")
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	s := startV3(t, testkit.Fake(t).Broker)
	if _, err := s.admin.CreateTopics(t.Context(), 1, 1, nil, "old"); err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("$C", s.base+s.cluster, "http://localhost:8082", s.base, "/brokers/1", "/brokers/"+fmt.Sprint(s.broker))
	commands := 0
	for i, fence := range fences.FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(fence[1], "/consumer-groups") {
			var offsets kadm.Offsets
			offsets.AddOffset("readings", 0, 0, -1)
			if err := s.admin.CommitAllOffsets(t.Context(), "dash", offsets); err != nil {
				t.Fatal(err)
			}
		}
		printed := ""
		for command := range strings.SplitSeq("\n"+fence[1], "\ncurl ") {
			if strings.TrimSpace(command) == "" {
				continue
			}
			commands++
			out, err := exec.CommandContext(t.Context(), "sh", "-euc", "curl -sS --fail-with-body "+filled.Replace(command)).CombinedOutput()
			if err != nil {
				t.Fatalf("curl %s: %v\n%s", command, err, out)
			}
			printed += string(out)
		}
		if want := answerOf(fence[2]); !want.MatchString(printed) {
			t.Errorf("block %d prints\n%s\nwant\n%s", i, printed, want)
		}
	}
	if commands < 25 {
		t.Errorf("%d commands were found", commands)
	}
}

// answerOf returns what an answer of the document must match.
func answerOf(text string) *regexp.Regexp {
	pattern := regexp.QuoteMeta(regexp.MustCompile(`\s*\n\s*`).ReplaceAllString(strings.TrimSpace(text), ""))
	pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, "…", ".*"), "http://localhost:8082", "http://[^/]*")
	pattern = regexp.MustCompile(`([:/])\d+`).ReplaceAllString(pattern, `${1}-?\d+`)
	return regexp.MustCompile("(?s)" + pattern)
}
