package v3

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/server"
)

// maxBody bounds a body: a batch of changes of some thousand topics.
const maxBody = 4 << 20

// media returns the media type of the body, in lower case and without parameters.
func (c *call) media() string {
	name, _, _ := strings.Cut(string(c.Request.Header.ContentType()), ";")
	return strings.ToLower(strings.TrimSpace(name))
}

// read decodes the body into v, a pointer to a struct whose tags bound its members. missing is the
// error of a request without a body, or with null.
func (c *call) read(v any, missing error) error {
	body, err := c.boundedBody()
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(body)); text == "" || text == "null" {
		return missing
	}
	if err := json.UnmarshalStrict(body, v); err != nil {
		return explain(err)
	}
	return checkBounds(reflect.ValueOf(v).Elem())
}

func (c *call) boundedBody() ([]byte, error) {
	body := server.RequestBody(c.RequestCtx)
	if len(body) > maxBody {
		return nil, apierr.BodyTooLarge.New("The body is too large: it may have %d bytes. Send several requests.", maxBody)
	}
	return body, nil
}

// noBody is the error of a request that lacks its body.
var noBody = apierr.Unprocessable.New("The request needs a body: a JSON object.")

// explain returns the error of a body that cannot be decoded.
func explain(err error) error {
	var unknown *json.UnknownFieldError
	var mismatch *json.TypeError
	var own *apierr.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &unknown):
		return apierr.Unprocessable.New("Unrecognized field %q.", unknown.Name)
	case errors.As(err, &mismatch):
		where := ""
		if mismatch.Offset >= 0 {
			where = fmt.Sprintf(" at byte %d", mismatch.Offset)
		}
		return apierr.BadRequest.New("A value of the body%s is not %s.", where, inWords(mismatch.Type))
	}
	return apierr.BadRequest.New("The body is not valid JSON: %s.", err.Error())
}

// inWords says in JSON's words what a Go type holds.
func inWords(goType string) string {
	switch {
	case goType == "string":
		return "a string"
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "int"), strings.HasPrefix(goType, "float"):
		return "a number that fits here"
	}
	return "an object"
}

// fields returns the members of bodies like v, for [server.Route]. Truth values have no bound, and
// [server.Field] cannot express that of a map; both are left out.
func fields(v any) server.Fields { return fieldsOf(reflect.TypeOf(v)) }

func fieldsOf(t reflect.Type) (all server.Fields) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		m := server.Field{Name: name, Max: bound(f)}
		switch of := f.Type; {
		case of.Kind() == reflect.Bool || of.Kind() == reflect.Map:
			continue
		case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct:
			m.Of = fieldsOf(of.Elem())
		case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.String:
			m.Each = server.MaxName
		case of.Kind() == reflect.Slice:
			m.Each = server.MaxWord
		}
		all = append(all, m)
	}
	return all
}

// bound returns the bound of a member: its tag max, or that of a number.
func bound(f reflect.StructField) int {
	if n, err := strconv.Atoi(f.Tag.Get("max")); err == nil {
		return n
	}
	return server.MaxWord
}

// checkBounds refuses what is longer than its tag max.
func checkBounds(v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if err := checkBound(name, v.Field(i), bound(f)); err != nil {
			return err
		}
	}
	return nil
}

func checkBound(name string, v reflect.Value, max int) error {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		if utf8.RuneCountInString(v.String()) > max {
			return server.TooLong(name, max)
		}
	case reflect.Map:
		if v.Len() > max {
			return tooMany(name, max)
		}
		for _, key := range v.MapKeys() {
			if err := checkBound(name, v.MapIndex(key), server.MaxName); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if v.Len() > max {
			return tooMany(name, max)
		}
		for i := range v.Len() {
			if err := checkBound(name, v.Index(i), server.MaxName); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return checkBounds(v)
	}
	return nil
}

func tooMany(name string, max int) error {
	return apierr.Unprocessable.New("%s is too long: it may have %d elements. Send several requests.", name, max)
}

// text is a string that a body may also write as a number or a truth value, as Java's proxy
// accepts it.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(raw []byte) error {
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[':
		return apierr.BadRequest.New("A value that must be a string is a list or an object.")
	case raw[0] == '"':
		return json.Unmarshal(raw, (*string)(t))
	case string(raw) == "null":
		return nil
	}
	*t = text(raw)
	return nil
}

// number is a whole number that a body may also write as a string.
type number int32

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	parsed, err := wholeNumber(raw, math.MaxInt32)
	*n = number(parsed)
	return err
}

// wholeNumber reads a number, which may stand in quotes, up to max either way. Null is none: a
// member that may be left out is a pointer.
func wholeNumber(raw []byte, max int64) (int64, error) {
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil || n > max || n < -max {
		return 0, apierr.BadRequest.New("%s in the body is not a whole number up to %d.", apierr.Quote(raw), max)
	}
	return n, nil
}
