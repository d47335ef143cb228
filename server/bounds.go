package server

import (
	"bytes"
	"unicode/utf8"

	"millrace/codec/json"
	"millrace/internal/apierr"
)

// The bounds of names and words. They are checked while a request is parsed, before
// anything is done with it or kept of it.
const (
	// MaxName bounds the names of groups, instances, topics and settings, in
	// characters. Kafka bounds topics and group.instance.id so.
	MaxName = 249
	// MaxWord bounds a number, a time, or one of a few words.
	MaxWord = 64
	// maxMembers bounds the members of one object, repeated ones too.
	maxMembers = 1000
)

// Field is one member that a body may have, with its bound.
type Field struct {
	// Name of the member; empty means that any name is a member.
	Name string
	// Max bounds the characters of a single value, or the elements of a list.
	Max int
	// Each bounds the characters of the elements of a list of strings.
	Each int
	// Of are the members of the elements of a list of objects.
	Of Fields
}

// Fields are all members that an object in a body may have. A member that is
// not among them is refused, so none can be read without a bound.
type Fields []Field

// find returns the member of that name, nil if there is none.
func (f Fields) find(name []byte) *Field {
	for n := range f {
		if f[n].Name == "" || f[n].Name == string(name) {
			return &f[n]
		}
	}
	return nil
}

// longer reports whether a text has more than max characters. It looks at no
// more of the text than it must.
func longer[T string | []byte](text T, max int) bool {
	return len(text) > utf8.UTFMax*max || len(text) > max && utf8.RuneCount([]byte(text)) > max
}

// TooLong is the refusal of a text with more than max characters.
func TooLong(name string, max int) *apierr.Error {
	return apierr.Unprocessable.New("%s is too long: it may have %d characters.", name, max)
}

// checkLength refuses a value, as it stands in the body, that is longer than the
// member may be. An escape is at most six bytes for each byte of its character.
func (b *ObjectReader) checkLength(name string, raw []byte, max int) bool {
	text := raw
	if raw[0] == '"' {
		if len(raw) <= 6*utf8.UTFMax*max && bytes.IndexByte(raw, '\\') >= 0 {
			text = json.Unquote(bytes.Clone(raw))
		} else {
			text = raw[1 : len(raw)-1]
		}
	}
	if longer(text, max) {
		b.Refuse(apierr.Unprocessable, "%s", TooLong(name, max).Message())
		return false
	}
	return true
}
