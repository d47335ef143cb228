package javaconf

import (
	"fmt"
	"strings"
)

// Login is one entry of a JAAS configuration. Module is the name of a Java class.
type Login struct {
	Module  string
	Options map[string]string
}

// SimpleName returns the name of a Java class without its package.
func SimpleName(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

// ParseJAAS reads one login as Kafka's Java clients read sasl.jaas.config: `module flag key=value
// … ;`, values in double or single quotes with backslash escapes, or bare words. Errors name the
// position and never quote the text, because it holds a password.
func ParseJAAS(text string) (Login, error) {
	s := jaasScanner{text: text}
	login := Login{Options: map[string]string{}}
	module, err := s.next()
	if err != nil {
		return login, err
	}
	flag, err := s.next()
	if err != nil {
		return login, err
	}
	if !module.word || !flag.word {
		return login, fmt.Errorf("does not begin with a login module and a control flag")
	}
	switch strings.ToLower(flag.text) {
	case "required", "requisite", "sufficient", "optional":
	default:
		return login, fmt.Errorf("has no control flag (required) after the login module")
	}
	login.Module = module.text
	for {
		key, err := s.next()
		if err != nil {
			return login, err
		}
		if key.is(';') {
			break
		}
		if err := s.option(key, login.Options); err != nil {
			return login, err
		}
	}
	if end, err := s.next(); err != nil || !end.is(0) {
		return login, fmt.Errorf("goes on after its ';' at character %d; one login module is supported", s.pos)
	}
	return login, nil
}

// jaasToken is a word or quoted string, or a mark: '=', ';', or 0 at the end.
type jaasToken struct {
	text string
	word bool
	mark byte
}

func (t jaasToken) is(mark byte) bool { return !t.word && t.mark == mark }

type jaasScanner struct {
	text string
	pos  int
}

// option reads the value of key, "=value".
func (s *jaasScanner) option(key jaasToken, options map[string]string) error {
	if key.is(0) {
		return fmt.Errorf("does not end with ';'")
	}
	if !key.word {
		return fmt.Errorf("has no name before '=' at character %d", s.pos)
	}
	equals, err := s.next()
	if err != nil {
		return err
	}
	if !equals.is('=') {
		return fmt.Errorf("has no '=' at character %d", s.pos)
	}
	value, err := s.next()
	if err != nil {
		return err
	}
	if !value.word {
		return fmt.Errorf("has no value after '=' at character %d", s.pos)
	}
	options[key.text] = value.text
	return nil
}

func (s *jaasScanner) next() (jaasToken, error) {
	s.skip()
	if s.pos >= len(s.text) {
		return jaasToken{}, nil
	}
	c := s.text[s.pos]
	switch {
	case c == '=' || c == ';':
		s.pos++
		return jaasToken{mark: c}, nil
	case c == '"' || c == '\'':
		return s.quoted(c)
	}
	start := s.pos
	for s.pos < len(s.text) && isJAASWord(s.text[s.pos]) {
		s.pos++
	}
	if s.pos == start {
		return jaasToken{}, fmt.Errorf("has an unexpected character at character %d", s.pos+1)
	}
	return jaasToken{text: s.text[start:s.pos], word: true}, nil
}

func isJAASWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 || strings.IndexByte("._-$", c) >= 0
}

// skip skips blanks and comments.
func (s *jaasScanner) skip() {
	for s.pos < len(s.text) {
		rest := s.text[s.pos:]
		switch {
		case rest[0] <= ' ':
			s.pos++
		case strings.HasPrefix(rest, "\\\n"), strings.HasPrefix(rest, "\\\r\n"):
			s.pos++ // a line that goes on, as in a properties file, in a variable
		case strings.HasPrefix(rest, "//"):
			s.pos += lengthThrough(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			s.pos += 2 + lengthThrough(rest[2:], "*/")
		default:
			return
		}
	}
}

// lengthThrough returns the length of s up to and including end, or of all of s.
func lengthThrough(s, end string) int {
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

// quoted reads a string; its escapes are those of Java's StreamTokenizer.
func (s *jaasScanner) quoted(quote byte) (jaasToken, error) {
	start := s.pos
	var value strings.Builder
	for s.pos++; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		switch {
		case c == quote:
			s.pos++
			return jaasToken{text: value.String(), word: true}, nil
		case c == '\n' || c == '\r':
			s.pos = len(s.text) // a string does not span lines
		case c == '\\' && s.pos+1 < len(s.text):
			s.pos++
			s.escape(&value)
		default:
			value.WriteByte(c)
		}
	}
	return jaasToken{}, fmt.Errorf("has a string without an end, from character %d on", start+1)
}

// escape reads the character after a backslash; s.pos ends on its last one.
func (s *jaasScanner) escape(value *strings.Builder) {
	c := s.text[s.pos]
	if c >= '0' && c <= '7' {
		longest := 2
		if c <= '3' {
			longest = 3
		}
		code, n := 0, 0
		for n < longest && s.pos+n < len(s.text) && s.text[s.pos+n] >= '0' && s.text[s.pos+n] <= '7' {
			code = code*8 + int(s.text[s.pos+n]-'0')
			n++
		}
		value.WriteRune(rune(code))
		s.pos += n - 1
		return
	}
	if i := strings.IndexByte("abfnrtv", c); i >= 0 {
		c = "\a\b\f\n\r\t\v"[i]
	}
	value.WriteByte(c)
}
