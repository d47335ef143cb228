package jsonschema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// isPattern checks a value that must be a regular expression itself. It replaces the library's
// check, which would compile the value with patterns.
func isPattern(v any) error {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	if len(text) > maxPattern {
		return errPatternLong
	}
	_, err := syntax.Parse(translate(text), syntax.Perl)
	if err != nil {
		if _, other := backtracking(text); other == nil {
			return nil
		}
	}
	return err
}

// patterns compiles the regular expressions of one schema.
type patterns struct {
	effort       *effort
	instructions int
	known        map[string]jsonschema.Regexp // each pattern is compiled twice without it
}

var (
	errPatternLong = errors.New("it is longer than 1000 bytes")
	errPatternBig  = errors.New("it repeats too much")
	errPatternsBig = errors.New("the patterns of this schema are too many or too large")
)

func (p *patterns) compile(text string) (jsonschema.Regexp, error) {
	if re := p.known[text]; re != nil {
		return re, nil
	}
	if len(text) > maxPattern {
		return nil, errPatternLong
	}
	translated := translate(text)
	parsed, err := syntax.Parse(translated, syntax.Perl)
	if err != nil {
		return p.compileSlow(text, err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	size := len(program.Inst)
	if size > maxInstructions {
		return p.compileSlow(text, errPatternBig)
	}
	if p.instructions += size; p.instructions > maxAllPatterns {
		return nil, errPatternsBig
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return p.compileSlow(text, err)
	}
	p.known[text] = &pattern{Regexp: re, text: text, size: size, effort: p.effort}
	return p.known[text], nil
}

// pattern is a regular expression whose work is counted: at worst the length of
// the text times that of the program.
type pattern struct {
	*regexp.Regexp
	text   string // as the schema has it
	size   int
	effort *effort
}

// String implements the library's Regexp.
func (p *pattern) String() string { return p.text }

// MatchString implements the library's Regexp.
func (p *pattern) MatchString(s string) bool {
	p.effort.spend(1 + len(s)*p.size/64)
	return p.Regexp.MatchString(s)
}

// blanks are the characters that \s matches in JavaScript, whose patterns JSON Schema has; RE2's
// \s matches only ASCII.
const blanks = `\t\n\v\f\r\p{Z}\x{feff}`

// translate rewrites a pattern of JavaScript for RE2: \s, \S, \cX, \uXXXX and \u{X}. Within
// brackets \S keeps the meaning that it has in RE2.
func translate(text string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			class = c == '[' || class && c != ']'
			b.WriteByte(c)
			continue
		}
		i++
		switch rest := text[i+1:]; {
		case text[i] == 's' && class:
			b.WriteString(blanks)
		case text[i] == 's':
			b.WriteString("[" + blanks + "]")
		case text[i] == 'S' && !class:
			b.WriteString("[^" + blanks + "]")
		case text[i] == 'c' && rest != "" && rest[0]|0x20 >= 'a' && rest[0]|0x20 <= 'z':
			fmt.Fprintf(&b, `\x{%x}`, rest[0]&0x1f)
			i++
		case text[i] == 'u' && strings.HasPrefix(rest, "{"):
			b.WriteString(`\x`)
		case text[i] == 'u' && codeUnit(rest) >= 0:
			r := codeUnit(rest)
			i += 4
			if next, ok := strings.CutPrefix(text[i+1:], `\u`); ok && utf16.IsSurrogate(r) {
				if pair := utf16.DecodeRune(r, codeUnit(next)); pair != '\uFFFD' {
					r = pair
					i += 6
				}
			}
			fmt.Fprintf(&b, `\x{%x}`, r)
		default:
			b.WriteString(text[i-1 : i+1])
		}
	}
	return b.String()
}

// codeUnit is the number that s begins with as four hexadecimal digits, or -1.
func codeUnit(s string) rune {
	if len(s) < 4 {
		return -1
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
