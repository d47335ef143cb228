package registry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// A small schema whose parts refer to each other many times over is too complex to compare with
// another, which is found out at once: it would hold up all changes of the registry.
func TestManyReferences(t *testing.T) {
	for keyword, last := range map[string]string{"anyOf": "false", "allOf": "{}"} {
		var definitions strings.Builder
		for i := range 12 {
			refs := strings.Repeat(fmt.Sprintf(`,{"$ref":"#/definitions/d%d"}`, i+1), 5)
			fmt.Fprintf(&definitions, `"d%d":{%q:[%s]},`, i, keyword, refs[1:])
		}
		text := `{"$ref":"#/definitions/d0","definitions":{` + definitions.String() + `"d12":` + last + `}}`
		old, next := parseText(t, sr.TypeJSON, text), parseText(t, sr.TypeJSON, `{"type":"string"}`)
		done := make(chan []string, 1)
		go func() { done <- next.canRead(old) }()
		select {
		case problems := <-done:
			if want := "#: too complex to compare"; len(problems) != 1 || problems[0] != want {
				t.Errorf("%s: %q, want %q", keyword, problems, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: the comparison does not end", keyword)
		}
	}
}
