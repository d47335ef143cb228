package consumer

import (
	"regexp/syntax"

	"millrace/internal/apierr"
)

// The bounds of a topic pattern. The client library matches it to the name of each
// topic, in a loop that goes on after whoever subscribed has left.
const (
	// maxPatternSize bounds what a pattern compiles to, in instructions. A pattern
	// of 4 KiB without counted repetitions has 4,100 at most. With them
	// ("[a-z]{0,900}") 4 KiB come to 720,000, which are 300 MB.
	maxPatternSize = 5000
	// maxPatternStates bounds the instructions that may be tried at one character of
	// a name. Each costs 20 ns: 1,000 names of 249 characters take 2 s.
	maxPatternStates = 410
)

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
	if states, _ := patternStates(parsed, false); states > maxPatternStates {
		return apierr.Unprocessable.New("The topic pattern is too large: at one character of a name %d of its parts may have to be tried, counted repetitions written out. Use fewer alternatives and repetitions, or name the topics.", maxPatternStates)
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

// patternStates is how many instructions of a pattern may have to be tried at one
// character of a name, at most; any number above maxPatternStates stands for more.
// loose says that a match of the pattern may begin at several characters, and is
// returned true if the rest may. A part that begins at one character and has one length
// is at one place at a time; behind a repetition every character may be anywhere.
func patternStates(re *syntax.Regexp, loose bool) (states int, after bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if states = 1; loose {
			states = len(re.Rune)
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			n, next := patternStates(sub, loose)
			if loose {
				states += n
			} else {
				states = max(states, n)
			}
			loose = next
		}
	case syntax.OpAlternate: // their lengths may differ
		for _, sub := range re.Sub {
			n, _ := patternStates(sub, loose)
			states += n
		}
		if loose {
			states += len(re.Sub) - 1
		}
		loose = true
	case syntax.OpCapture:
		states, loose = patternStates(re.Sub[0], loose)
		states += 2
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		states, _ = repeatedStates(re.Sub[0], 1, loose)
		loose = true
	case syntax.OpRepeat:
		states, loose = repeatedStates(re.Sub[0], max(re.Min, re.Max, 1), loose)
		loose = loose || re.Min != re.Max
	default:
		states = 1
	}
	return min(states, maxPatternStates+1), loose
}

// repeatedStates is [patternStates] of a number of copies of a pattern, one behind
// the other, each of which may be the last.
func repeatedStates(sub *syntax.Regexp, copies int, loose bool) (states int, after bool) {
	if !loose {
		if states, after = patternStates(sub, false); !after {
			return states + 1, false
		}
	}
	states, _ = patternStates(sub, true)
	return copies * (states + 1), true
}
