package consumer

import (
	"regexp/syntax"
	"strings"
	"testing"
)

// TestPatternSize compares the estimate, which may be a bit more, with what the standard
// library compiles.
func TestPatternSize(t *testing.T) {
	for _, pattern := range []string{
		"a", "abc", "a|b|cd", "(a)(b)", "a*b+c?", "[a-z]{3}", "[a-z]{0,40}", "(ab{2,3}){4}", "a{2,}", ".*.*.*", `^\bx\b$`, "(?:)", "()",
		"(a|b|c)?", `(?i)\pL{20}`, "((a{2}){3}){4}", strings.Repeat(".*", 500), "topic-[0-9]{1,3}",
	} {
		parsed, err := syntax.Parse(whole(pattern), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		// A program has an instruction to fail and one to match beside them.
		if estimate, size := patternSize(parsed), len(program.Inst); estimate < size-2 || estimate > size+size/2 {
			t.Errorf("%q: %d instructions, estimated %d", pattern, size, estimate)
		}
	}
}
