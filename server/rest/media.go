package rest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/server"
)

// The media types of responses without records.
const (
	mediaV2    = "application/vnd.kafka.v2+json"
	mediaV1    = "application/vnd.kafka.v1+json"
	mediaKafka = "application/vnd.kafka+json" // v1, without its number
)

// The media types of most produce requests.
const (
	jsonRecordsV2       = "application/vnd.kafka.json.v2+json"
	binaryRecordsV2     = "application/vnd.kafka.binary.v2+json"
	avroRecordsV2       = "application/vnd.kafka.avro.v2+json"
	jsonSchemaRecordsV2 = "application/vnd.kafka.jsonschema.v2+json"
	protobufRecordsV2   = "application/vnd.kafka.protobuf.v2+json"
)

// Media negotiates the media types of v1 and v2. Many goroutines may use it.
type Media struct {
	settings Settings
	// schemas reports that a schema registry is configured.
	schemas  bool
	contents contents
}

// NewMedia returns the media types of v1 and v2 under the settings; schemas reports whether a
// schema registry is configured.
func NewMedia(s Settings, schemas bool) *Media { return &Media{settings: s, schemas: schemas} }

// version is a version of the API. v2 is the default.
type version uint8

const (
	v2 version = iota
	v1
)

// String returns the version as media types have it.
func (v version) String() string { return [...]string{v2: "v2", v1: "v1"}[v] }

// mediaType is a parsed media type of the API,
// application/vnd.kafka[.FORMAT].VERSION+json, without its parameters.
type mediaType struct {
	version   version
	format    codec.Format
	hasFormat bool
}

// parseKafka reads the name of a media type, lower case and without
// parameters; ok is false when it is not one that names a version of the API.
func parseKafka(name string) (m mediaType, ok bool) {
	rest, ok := strings.CutPrefix(name, "application/vnd.kafka.")
	if !ok {
		return m, false
	}
	if rest, ok = strings.CutSuffix(rest, "v2+json"); !ok {
		if rest, ok = strings.CutSuffix(rest, "v1+json"); !ok {
			return m, false
		}
		m.version = v1
	}
	if rest == "" {
		return m, true
	}
	format, ok := strings.CutSuffix(rest, ".")
	if !ok {
		return m, false
	}
	m.format, m.hasFormat = codec.ParseFormat(format)
	return m, m.hasFormat
}

// impliesV1 reports whether the Content-Type of a produce request, which names no version, means
// v1, as it did before v2 existed.
func (m *Media) impliesV1(name string) bool {
	return !m.settings.Strict && (name == mediaKafka || name == server.MediaJSON || name == "application/octet-stream")
}

// version returns the API version of a request: that of its Content-Type, or else of its Accept.
func (m *Media) version(ctx *fasthttp.RequestCtx) version {
	switch string(ctx.Request.Header.ContentType()) {
	case mediaV2, jsonRecordsV2, binaryRecordsV2, avroRecordsV2, jsonSchemaRecordsV2, protobufRecordsV2: // without an allocation
		return v2
	case "":
	default:
		c, _ := m.contentType(ctx)
		if c.kafka {
			return c.media.version
		}
		if ctx.IsPost() && m.impliesV1(c.name) && !asksForV2(ctx) {
			return v1
		}
	}
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if len(accept) == 0 || string(accept) == "*/*" || string(accept) == mediaV2 {
		return v2
	}
	switch server.PickAccepted(string(accept), []string{mediaV2, mediaV1, mediaKafka}) {
	case mediaV1, mediaKafka:
		return v1
	}
	return v2
}

// asksForV2 reports whether Accept prefers a media type of v2 to those of v1.
func asksForV2(ctx *fasthttp.RequestCtx) bool {
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	return bytes.Contains(accept, []byte("v2+json")) && strings.HasSuffix(server.PickAccepted(string(accept), callTypesV1V2), "v2+json")
}

// untyped is the content of a missing Content-Type.
var untyped = &content{}

// contentType returns the parsed Content-Type of the request, [untyped] when the header is
// missing. A header that is no media type at all is a bad request.
func (m *Media) contentType(ctx *fasthttp.RequestCtx) (*content, error) {
	header := ctx.Request.Header.ContentType()
	if len(header) == 0 {
		return untyped, nil
	}
	c, err := m.contents.parse(header)
	if err != nil {
		return untyped, err
	}
	return c, nil
}

// requireBody refuses a body whose Content-Type is not JSON of v2, or of v1 where v1 has the route
// too. Clients name the format of their records in each call, so any format may stand there.
func (m *Media) requireBody(ctx *fasthttp.RequestCtx, inV1 bool) error {
	c, err := m.contentType(ctx)
	switch {
	case !server.HasBody(ctx): // which has no type
		return nil
	case err != nil:
		return err
	case c.kafka && (c.media.version == v2 || inV1), m.impliesV1(c.name) && (inV1 || asksForV2(ctx)):
		return nil
	case inV1:
		return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s or %s.", mediaV2, mediaV1)
	}
	return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s.", mediaV2)
}

// answerTypes are the media types of a response without records, by version, the preferred one
// first.
var answerTypes = [...][]string{
	v2: {mediaV2, server.MediaJSON},
	v1: {mediaV1, mediaKafka, server.MediaJSON},
}

// callTypes are the media types of a response to a call on consumers other than a read. Clients ask
// for the format of their records in each call; what has no records is the same in all of them.
var callTypes = [...][]string{v2: withFormats(v2), v1: withFormats(v1)}

var callTypesV1V2 = slices.Concat(callTypes[v1], callTypes[v2])

func withFormats(v version) []string {
	types := slices.Clone(answerTypes[v])
	for f := codec.Binary; f <= codec.Protobuf; f++ {
		types = append(types, recordType(v, f))
	}
	return types
}

// call negotiates the response to a call on consumers, and refuses a body that is not JSON of v2.
func (m *Media) call(ctx *fasthttp.RequestCtx) error {
	if err := m.pick(ctx, callTypes[m.version(ctx)]); err != nil {
		return err
	}
	return m.requireBody(ctx, false)
}

// callOfBoth is call where v1 has the route too.
func (m *Media) callOfBoth(ctx *fasthttp.RequestCtx) error {
	if err := m.pick(ctx, callTypes[m.version(ctx)]); err != nil {
		return err
	}
	return m.requireBody(ctx, true)
}

// negotiate picks the media type of a response by Accept (RFC 9110 §12.5.1) and sets it.
func (m *Media) negotiate(ctx *fasthttp.RequestCtx) error {
	return m.pick(ctx, answerTypes[m.version(ctx)])
}

// pick is negotiate among the offers, of which the first is preferred. [Settings.Strict] withdraws
// plain JSON.
func (m *Media) pick(ctx *fasthttp.RequestCtx, offers []string) error {
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if len(accept) == 0 || string(accept) == "*/*" || string(accept) == offers[0] {
		ctx.SetContentType(offers[0])
		return nil
	}
	best := server.PickAccepted(string(accept), offers)
	if best == server.MediaJSON && m.settings.Strict {
		best = server.PickAccepted(string(accept), slices.DeleteFunc(slices.Clone(offers), func(t string) bool { return t == server.MediaJSON }))
	}
	if best == "" {
		or := " or " + server.MediaJSON
		if m.settings.Strict {
			or = ""
		}
		return apierr.NotAcceptable.New("This answers with %s%s, which Accept does not admit.", offers[0], or)
	}
	ctx.SetContentType(best)
	return nil
}

// ErrorType returns the media type of an error: that of the response if it was chosen and is one
// without records, or else that of the request's version. ctx is nil for a connection without a
// request.
func (m *Media) ErrorType(ctx *fasthttp.RequestCtx) string {
	if ctx == nil {
		return mediaV2
	}
	switch chosen := string(ctx.Response.Header.ContentType()); {
	case chosen == server.MediaJSON:
		return server.MediaJSON
	case chosen == mediaKafka:
		return mediaKafka
	case strings.HasSuffix(chosen, "v1+json"):
		return mediaV1
	case strings.HasSuffix(chosen, "v2+json"):
		return mediaV2
	}
	return answerTypes[m.version(ctx)][0]
}

func onlyWildcards(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		if name, _, _ := strings.Cut(part, ";"); !strings.HasSuffix(strings.TrimSpace(name), "*") {
			return false
		}
	}
	return true
}
