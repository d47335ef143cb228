package avro

import (
	"encoding/hex"
	"strconv"

	hamba "github.com/hamba/avro/v2"
)

// logical is a logical type that the plain dialect writes in another way than the type below it.
// A uuid that is a string is written as the string, so it has no logical.
type logical uint8

const (
	logicalNone logical = iota
	logicalDecimal
	logicalDate
	logicalTime
	logicalTimestamp
	logicalLocalTimestamp
	logicalUUID
)

// clocks has the unit and the layout of each logical type that counts time.
var clocks = map[string]struct {
	kind      kind
	logical   logical
	perSecond int64  // units that make a second
	layout    string // of the JSON text
}{
	"date":                   {kindInt, logicalDate, 1, `"2006-01-02"`},
	"time-millis":            {kindInt, logicalTime, 1e3, `"15:04:05.000"`},
	"time-micros":            {kindLong, logicalTime, 1e6, `"15:04:05.000000"`},
	"timestamp-millis":       {kindLong, logicalTimestamp, 1e3, `"2006-01-02T15:04:05.000Z"`},
	"timestamp-micros":       {kindLong, logicalTimestamp, 1e6, `"2006-01-02T15:04:05.000000Z"`},
	"timestamp-nanos":        {kindLong, logicalTimestamp, 1e9, `"2006-01-02T15:04:05.000000000Z"`},
	"local-timestamp-millis": {kindLong, logicalLocalTimestamp, 1e3, `"2006-01-02T15:04:05.000"`},
	"local-timestamp-micros": {kindLong, logicalLocalTimestamp, 1e6, `"2006-01-02T15:04:05.000000"`},
	"local-timestamp-nanos":  {kindLong, logicalLocalTimestamp, 1e9, `"2006-01-02T15:04:05.000000000"`},
}

// setLogical sets the logical type of a primitive or fixed type. One that is unknown, or does not
// suit its type, is ignored, as the specification wants it.
func (n *node) setLogical(l hamba.LogicalSchema, p hamba.PropertySchema) {
	if d, ok := l.(*hamba.DecimalLogicalSchema); ok {
		n.logical, n.prec, n.scale = logicalDecimal, d.Precision(), d.Scale()
		if n.scale > maxDigits {
			n.logical = logicalNone
		}
		return
	}
	name, _ := p.Prop("logicalType").(string) // newer than the parser
	if l != nil {
		name = string(l.Type())
	}
	if c, ok := clocks[name]; ok && c.kind == n.kind {
		n.logical, n.perSecond, n.layout = c.logical, c.perSecond, c.layout
	}
	if name == "uuid" && n.kind == kindFixed && n.size == 16 {
		n.logical = logicalUUID
	}
}

// logicalValue encodes a value of a logical type in the plain dialect.
func (e *encoder) logicalValue(n *node, dst []byte, i int) ([]byte, int) {
	switch {
	case n.logical == logicalDecimal:
		return e.decimal(n, dst, i)
	case n.logical == logicalUUID:
		return e.uuid(n, dst, i)
	case e.at(i) != '"':
		v, end := e.integer(n, i) // the number itself is accepted too
		return appendLong(dst, v), end
	}
	text, end := e.plainString(i)
	if end < 0 {
		return e.fail(dst, "unexpected text")
	}
	v, problem := parseTime(n, text)
	if problem != "" {
		return e.fail(dst, "expected "+problem+", got "+e.quote(i))
	}
	return appendLong(dst, v), end
}

// logicalValue decodes a value of a logical type to the plain dialect.
func (d *decoder) logicalValue(n *node, dst []byte, i int) ([]byte, int) {
	switch n.logical {
	case logicalDecimal:
		size := n.size
		if n.kind == kindBytes {
			if size, i = d.length(n, i); i < 0 {
				return dst, i
			}
		}
		return d.decimal(n, dst, i, size)
	case logicalUUID:
		if len(d.b)-i < n.size {
			return d.short(n, dst)
		}
		return appendUUID(dst, d.b[i:i+n.size]), i + n.size
	}
	v, i := d.integer(n, i)
	if i < 0 {
		return dst, i
	}
	dst, ok := appendTime(n, dst, v)
	if !ok {
		dst = strconv.AppendInt(dst, v, 10)
	}
	return dst, i
}

// uuidGroups is where the groups of a uuid's text begin.
var uuidGroups = [...]struct{ text, digits int }{{0, 8}, {9, 4}, {14, 4}, {19, 4}, {24, 12}}

const uuidLen = 36

func (e *encoder) uuid(n *node, dst []byte, i int) ([]byte, int) {
	text, end := e.plainString(i)
	if end < 0 {
		return e.unexpected(n, dst, i)
	}
	dst, ok := appendUUIDBytes(dst, text)
	if !ok {
		return e.fail(dst, "expected a UUID, got "+e.quote(i))
	}
	return dst, end
}

func appendUUIDBytes(dst, text []byte) ([]byte, bool) {
	if len(text) != uuidLen {
		return dst, false
	}
	for _, g := range uuidGroups {
		if g.text > 0 && text[g.text-1] != '-' {
			return dst, false
		}
		var err error
		if dst, err = hex.AppendDecode(dst, text[g.text:g.text+g.digits]); err != nil {
			return dst, false
		}
	}
	return dst, true
}

func appendUUID(dst, b []byte) []byte {
	dst = append(dst, '"')
	for _, g := range uuidGroups {
		if g.text > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[:g.digits/2])
		b = b[g.digits/2:]
	}
	return append(dst, '"')
}
