package server

import (
	"strconv"
	"unicode/utf8"

	"millrace/codec/json"
	"millrace/internal/apierr"
)

// ObjectReader reads one small JSON object whose members are known. Like the walker it has no
// effect after a fault, so that loops over it end; err has the fault. Strings that it returns are
// copies.
type ObjectReader struct {
	json.Walker
	err error
}

// ReadObject calls member for each member of the object in text; member must step over the value.
func ReadObject(text []byte, member func(b *ObjectReader, name string)) error {
	if len(text) == 0 {
		return apierr.Unprocessable.New("The request needs a body: a JSON object.")
	}
	if !utf8.Valid(text) {
		return apierr.BadRequest.New("The body is not valid UTF-8.")
	}
	b := &ObjectReader{Walker: json.NewWalker(text)}
	if !b.Enter('{') {
		if b.Value(); b.Err() == nil {
			return apierr.BadRequest.New("The body must be a JSON object.")
		}
	}
	b.Members(member)
	b.End()
	if b.err != nil {
		return b.err
	}
	if err := b.Err(); err != nil {
		return apierr.BadRequest.New("The body is not valid JSON: %s.", err.Error())
	}
	return nil
}

// Members calls member for each member of the object that was entered.
func (b *ObjectReader) Members(member func(b *ObjectReader, name string)) {
	for b.err == nil && b.Member() {
		member(b, string(b.Name()))
	}
}

// Refuse ends the reading with an error of kind k, unless one occurred already.
func (b *ObjectReader) Refuse(k *apierr.Kind, format string, args ...any) {
	if b.err == nil && b.Err() == nil {
		b.err = k.New(format, args...)
	}
}

// Unknown refuses a member that the object may not have.
func (b *ObjectReader) Unknown(name string) {
	b.Value()
	b.Refuse(apierr.Unprocessable, "Unrecognized field %q.", name)
}

// Scalar returns the text of a string, number or truth value; quoted reports a string. It returns
// no text for null, and refuses anything else as kind k.
func (b *ObjectReader) Scalar(name string, k *apierr.Kind) (text string, quoted, some bool) {
	raw := b.Value()
	switch {
	case raw == nil || string(raw) == "null":
		return "", false, false
	case raw[0] == '"':
		return string(json.Unquote(raw)), true, true
	case raw[0] == '{' || raw[0] == '[':
		b.Refuse(k, "%s must be a single value.", name)
		return "", false, false
	}
	return string(raw), false, true
}

// Text reads a string, nil for null.
func (b *ObjectReader) Text(name string) *string {
	text, quoted, some := b.Scalar(name, apierr.BadRequest)
	if !some {
		return nil
	}
	if !quoted {
		b.Refuse(apierr.BadRequest, "%s must be a string.", name)
	}
	return &text
}

// Integer reads a whole number, which may stand in quotes, nil for null.
func (b *ObjectReader) Integer(name string, limit int64) *int64 {
	text, _, some := b.Scalar(name, apierr.BadRequest)
	if !some {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > limit || n < -limit {
		b.Refuse(apierr.BadRequest, "%s must be a whole number up to %d.", name, limit)
	}
	return &n
}

// List calls element for each element of a list; null is an empty one. It reports whether the
// value was a list.
func (b *ObjectReader) List(name string, element func(b *ObjectReader)) bool {
	if !b.Enter('[') {
		if raw := b.Value(); raw != nil && string(raw) != "null" {
			b.Refuse(apierr.BadRequest, "%s must be a list.", name)
		}
		return false
	}
	for b.err == nil && b.Element() {
		element(b)
	}
	return true
}
