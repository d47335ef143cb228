package consumer

import (
	"regexp/syntax"

	"millrace/internal/apierr"
)

// maxPatternSize bounds what a topic pattern compiles to, in instructions. A
// pattern of 4 KiB without counted repetitions has 4,100 at most. With them
// ("[a-z]{0,900}") 4 KiB come to 720,000: 300 MB, and 4 s to match one name.
const maxPatternSize = 5000

// whole makes a pattern match whole names, as Kafka's consumer has it, where
// the client library would have it match a part of them.
func whole(pattern string) string { return "^(?:" + pattern + ")$" }

// checkPattern refuses a pattern that is no regular expression (RE2 syntax) or
// compiles to too much. It compiles nothing: the client library does, once.
func checkPattern(pattern string) error {
	bad := apierr.Unprocessable.New("The topic pattern %q is not a regular expression (RE2 syntax).", pattern)
	if pattern == "" {
		return bad
	}
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil { // whole, "a)(b" is well-formed
		return bad
	}
	parsed, err := syntax.Parse(whole(pattern), syntax.Perl)
	if err != nil { // alone, `\Qa` is
		return bad
	}
	if patternSize(parsed) > maxPatternSize {
		return apierr.Unprocessable.New("The topic pattern is too large: its counted repetitions, written out, may have %d characters and operators. Use * or + in their place.", maxPatternSize)
	}
	return nil
}

// patternSize is how many instructions a pattern compiles to at most, repetitions
// written out; any number above maxPatternSize stands for more.
func patternSize(re *syntax.Regexp) int {
	size := 0
	for _, sub := range re.Sub {
		size += patternSize(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		size = len(re.Rune)
	case syntax.OpConcat:
	case syntax.OpAlternate:
		size += len(re.Sub) - 1
	case syntax.OpCapture:
		size += 2
	case syntax.OpRepeat: // x{2,4} is xx(x(x)?)?, and x{2,} is xx+
		size = re.Min*size + max(re.Max-re.Min, 0)*(size+1) + 1
	default: // a character class, or an operator with what it is about
		size++
	}
	return min(size, maxPatternSize+1)
}
