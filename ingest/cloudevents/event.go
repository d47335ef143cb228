package cloudevents

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
)

// required are the attributes that each event has.
var required = [...]string{"id", "source", "specversion", "type"}

// version is the one of the specification.
const version = "1.0"

var pointers = func() (all [len(required)]*json.Pointer) {
	for i, name := range required {
		all[i] = mustParse("/" + name)
	}
	return all
}()

var partitionKey = mustParse("/partitionkey")

func mustParse(text string) *json.Pointer {
	p, err := json.ParsePointer(text)
	if err != nil {
		panic(err)
	}
	return p
}

// Check returns why a JSON text, which must be valid, is not an event, or nil.
func Check(event []byte) *apierr.Error {
	if event[0] != '{' {
		return apierr.Unprocessable.New("A CloudEvent is a JSON object.")
	}
	for i, p := range pointers {
		value := p.Find(event)
		if len(value) < len(`"x"`) || value[0] != '"' {
			return apierr.Unprocessable.New("A CloudEvent has %s, a text that is not empty.", required[i])
		}
		if required[i] == "specversion" && string(value) != `"`+version+`"` {
			return apierr.Unprocessable.New("The specversion of the CloudEvent is %s; 1.0 is supported.", value)
		}
	}
	return nil
}

// Key returns the JSON value of the event's partitionkey, which Kafka's binding makes the key of
// the record, or nil.
func Key(event []byte) []byte {
	if value := partitionKey.Find(event); value != nil && value[0] == '"' {
		return value
	}
	return nil
}

// AppendAttributes appends the headers of the record of a request in binary mode: ce_NAME of each
// attribute, and content-type. Names and values are in the arena. key is the partitionkey, or nil.
func AppendAttributes(dst []kgo.RecordHeader, arena []byte, h *fasthttp.RequestHeader) (headers []kgo.RecordHeader, grown, key []byte, err error) {
	var have int
	for name, value := range h.All() {
		attribute, ok := attributeOf(name)
		if !ok {
			continue
		}
		n := len(arena)
		arena = append(append(arena, "ce_"...), attribute...)
		if !lower(arena[n+3:]) {
			return nil, arena, nil, apierr.BadRequest.New("The name of a CloudEvent's attribute is of letters and digits, not %s.", name)
		}
		attribute = arena[n+3 : len(arena) : len(arena)]
		full := pool.String(arena[n:len(arena):len(arena)])
		n = len(arena)
		if arena, ok = appendDecoded(arena, value); !ok {
			return nil, arena, nil, apierr.BadRequest.New("The header %s is not percent-encoded UTF-8.", name)
		}
		value = arena[n:len(arena):len(arena)]
		dst = append(dst, kgo.RecordHeader{Key: full, Value: value})
		have |= flag(pool.String(attribute), len(value))
		switch string(attribute) {
		case "partitionkey":
			key = value
		case "specversion":
			if string(value) != version {
				return nil, arena, nil, apierr.BadRequest.New("The ce-specversion is %q; 1.0 is supported.", value)
			}
		}
	}
	for i, name := range required {
		if have&(1<<i) == 0 {
			return nil, arena, nil, apierr.BadRequest.New("A CloudEvent has the header ce-%s, which is not empty.", name)
		}
	}
	return dst, arena, key, nil
}

// AppendContentType appends the header content-type of the record, in the arena.
func AppendContentType(dst []kgo.RecordHeader, arena, contentType []byte) (headers []kgo.RecordHeader, grown []byte) {
	if len(contentType) == 0 {
		return dst, arena
	}
	n := len(arena)
	arena = append(arena, contentType...)
	return append(dst, kgo.RecordHeader{Key: "content-type", Value: arena[n:len(arena):len(arena)]}), arena
}

// flag returns the bit of a required attribute that has a value.
func flag(attribute string, size int) int {
	for i, name := range required {
		if attribute == name && size > 0 {
			return 1 << i
		}
	}
	return 0
}

// attributeOf returns the name of the attribute that an HTTP header has.
func attributeOf(name []byte) ([]byte, bool) {
	if len(name) <= len("ce-") || !strings.EqualFold(pool.String(name[:len("ce-")]), "ce-") {
		return nil, false
	}
	return name[len("ce-"):], true
}

// lower makes a name lower case, and reports whether it is one of an attribute.
func lower(name []byte) bool {
	for i, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			name[i] = c + 'a' - 'A'
		case (c < 'a' || c > 'z') && (c < '0' || c > '9'):
			return false
		}
	}
	return true
}
