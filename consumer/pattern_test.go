package consumer

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
)

// TestPatternSize compares the estimate, which may be a bit more, with what the standard
// library compiles.
func TestPatternSize(t *testing.T) {
	t.Parallel()
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

// TestPatternStates follows the standard library's programs through names, and has the
// bound no lower than what is tried at any of their characters.
func TestPatternStates(t *testing.T) {
	t.Parallel()
	names := []string{strings.Repeat("a", 249), strings.Repeat("ab", 124), "topic-123", strings.Repeat("eu.telemetry-7.", 16)}
	for pattern, most := range map[string]int{
		"abc": 1, "[a-z0-9._-]{1,249}": 3, "(?:abc){3}x": 2, "(?:eu|us)[.].*": 6, ".*": 3, ".*aaaa": 7, "a?a?a?aaa": 10,
		strings.Repeat(".*", 60): 121, "(?:a*a*){20}b": 102, "(?:a|aa){1,30}": 151, "(?:(?:a*)*b*)*z": 10, "a{1,30}a{1,30}": 70,
		strings.Repeat("topic-[0-9]{1,3}|", 100): 210, "(a+|b+|.+)+": 15, "(?:a|ab)(?:c|bcd)*": 10, "x*(?:aaa){0,9}": 40,
	} {
		parsed, err := syntax.Parse(whole(pattern), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		bound, _ := patternStates(parsed, false)
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if tried := mostTried(program, name); tried > bound {
				t.Errorf("%.40q: %d places tried at a character of %.20q, the bound says %d", pattern, tried, name, bound)
			}
		}
		if bound > most {
			t.Errorf("%.40q: the bound says %d, want %d at most", pattern, bound, most)
		}
	}
}

// mostTried is how many characters of a program are compared with one of the name, at
// most, or half of the instructions that lead to them if that is more.
func mostTried(program *syntax.Prog, name string) (most int) {
	at := map[uint32]bool{}
	var enter func(pc uint32, seen map[uint32]bool, into map[uint32]bool)
	enter = func(pc uint32, seen, into map[uint32]bool) {
		if seen[pc] {
			return
		}
		seen[pc] = true
		switch in := &program.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			enter(in.Out, seen, into)
			enter(in.Arg, seen, into)
		case syntax.InstCapture, syntax.InstNop:
			enter(in.Out, seen, into)
		case syntax.InstEmptyWidth: // the beginning or the end, and which makes no difference here
			enter(in.Out, seen, into)
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			into[pc] = true
		}
	}
	enter(uint32(program.Start), map[uint32]bool{}, at)
	for _, char := range name {
		next, seen := map[uint32]bool{}, map[uint32]bool{}
		for pc := range at {
			if program.Inst[pc].MatchRune(char) {
				enter(program.Inst[pc].Out, seen, next)
			}
		}
		most = max(most, len(next), len(seen)/2)
		at = next
	}
	return most
}

// BenchmarkPatterns matches patterns at the bound to a topic name as long as it may be.
func BenchmarkPatterns(b *testing.B) {
	name := strings.Repeat("a", 249)
	for what, pattern := range map[string]string{
		"any":     strings.Repeat(".*", 203) + "!",
		"letter":  strings.Repeat(`\pL*`, 203) + "!",
		"class":   strings.Repeat("[a-z]*", 203) + "!",
		"a":       "(?:" + strings.Repeat("a*", 65) + "b*)*(?:" + strings.Repeat("a*", 65) + ")!",
		"topics":  strings.Repeat("topic-[0-9]{1,3}|", 200),
		"regions": "(?:" + strings.Repeat("[a-z]+|", 101) + "-)*!",
	} {
		b.Run(what, func(b *testing.B) {
			if err := checkPattern(pattern); err != nil {
				b.Fatal(err)
			}
			compiled := regexp.MustCompile(whole(pattern))
			for b.Loop() {
				compiled.MatchString(name)
			}
		})
	}
}
