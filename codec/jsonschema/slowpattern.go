package jsonschema

import (
	"time"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// RE2 refuses what JavaScript has and its own bounds forbid: repeat counts over 1,000, look-ahead
// and look-behind, back-references. Such a pattern is left to an engine that backtracks, as that of
// the Confluent proxy does, so that the rest of its schema stands. It is bounded in time, which a
// pattern like (a+)+$ exceeds, and in the length of the text, and with that in memory.
const (
	// maxMatch bounds one match. The engine looks at the clock every 100 ms.
	maxMatch = 100 * time.Millisecond
	// maxSlowText is how many bytes of text such a pattern may be matched against.
	maxSlowText = 64 << 10
)

// backtracking compiles a pattern of JavaScript.
func backtracking(text string) (*regexp2.Regexp, error) {
	re, err := regexp2.Compile(text, regexp2.ECMAScript|regexp2.Unicode)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = maxMatch
	return re, nil
}

// compileSlow compiles a pattern that RE2 refuses with the error why.
func (p *patterns) compileSlow(text string, why error) (jsonschema.Regexp, error) {
	re, err := backtracking(text)
	if err != nil {
		return nil, why
	}
	if p.instructions += len(text); p.instructions > maxAllPatterns {
		return nil, errPatternsBig
	}
	p.known[text] = &slowPattern{re, text, p.effort}
	return p.known[text], nil
}

// slowPattern is a regular expression that backtracks. Its time is counted as effort, a step for a
// microsecond.
type slowPattern struct {
	re     *regexp2.Regexp
	text   string // as the schema has it
	effort *effort
}

// String implements the library's Regexp.
func (p *slowPattern) String() string { return p.text }

// MatchString implements the library's Regexp. A text that cannot be judged within the bounds ends
// the validation as too costly.
func (p *slowPattern) MatchString(s string) bool {
	if len(s) > maxSlowText {
		panic(errEffort)
	}
	began := time.Now()
	matched, err := p.re.MatchString(s)
	if err != nil {
		panic(errEffort)
	}
	p.effort.spend(1 + int(time.Since(began).Microseconds()))
	return matched
}
