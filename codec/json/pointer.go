package json

import (
	"errors"
	"strconv"
	"strings"
)

// Pointer finds a value in JSON texts (RFC 6901). It is immutable.
//
// It steps through the text with [Scan]: sonic's searcher allocates for each search, wants to be
// told whether a token of digits is an index or a name, and is no faster on events.
type Pointer struct {
	text   string
	tokens []token
}

// token is one step of a pointer: a name of an object, and an index of an array if it may be one.
type token struct {
	name  string
	index int // -1: it is none
}

// ParsePointer parses a pointer. The empty one, which means the whole text, is refused.
func ParsePointer(text string) (*Pointer, error) {
	if !strings.HasPrefix(text, "/") {
		return nil, errors.New(`a JSON pointer begins with "/", as /user/id does`)
	}
	p := &Pointer{text: text}
	for part := range strings.SplitSeq(text[1:], "/") {
		for i := range len(part) {
			if part[i] == '~' && (i+1 == len(part) || part[i+1] != '0' && part[i+1] != '1') {
				return nil, errors.New("in a JSON pointer ~ stands before 0 or 1 only")
			}
		}
		t := token{name: strings.NewReplacer("~1", "/", "~0", "~").Replace(part), index: -1}
		if n, err := strconv.Atoi(t.name); err == nil && n >= 0 && strconv.Itoa(n) == t.name {
			t.index = n
		}
		p.tokens = append(p.tokens, t)
	}
	return p, nil
}

// String returns the pointer as it was written.
func (p *Pointer) String() string { return p.text }

// Find returns the value in text, which must have passed [Scan], as a view, or nil where it is
// not there. Of members with the same name the first counts.
func (p *Pointer) Find(text []byte) []byte {
	i := SkipSpace(text, 0)
	for _, t := range p.tokens {
		switch {
		case text[i] == '{':
			i = member(text, i, t.name)
		case text[i] == '[' && t.index >= 0:
			i = element(text, i, t.index)
		default:
			return nil
		}
		if i < 0 {
			return nil
		}
	}
	end, _, err := Scan(text, i)
	if err != nil {
		return nil
	}
	return text[i:end:end]
}

// member returns the index of the value of the member of that name of the object at b[i], -1
// where there is none.
func member(b []byte, i int, name string) int {
	i = SkipSpace(b, i+1)
	for b[i] != '}' {
		end := stringEnd(b, i)
		is := isName(b[i+1:end-1], name)
		i = SkipSpace(b, SkipSpace(b, end)+1) // behind the colon
		if is {
			return i
		}
		i = next(b, i)
	}
	return -1
}

// element returns the index of the nth element of the array at b[i], -1 where there is none.
func element(b []byte, i, n int) int {
	i = SkipSpace(b, i+1)
	for b[i] != ']' {
		if n == 0 {
			return i
		}
		n--
		i = next(b, i)
	}
	return -1
}

// next steps over the value at b[i], and the comma behind it.
func next(b []byte, i int) int {
	end, _, _ := Scan(b, i)
	if i = SkipSpace(b, end); b[i] == ',' {
		i = SkipSpace(b, i+1)
	}
	return i
}

// isName reports whether the text of a JSON string is the name, with its escapes decoded.
func isName(raw []byte, name string) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if len(raw) > 6*len(name) { // no escape is longer for a byte
			return false
		}
		decoded := append(append(make([]byte, 0, 64), '"'), raw...)
		return string(Unquote(append(decoded, '"'))) == name
	}
	return string(raw) == name
}
