package rest

import (
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/server"
)

// The media types of answers without records.
const (
	mediaV2    = "application/vnd.kafka.v2+json"
	mediaV1    = "application/vnd.kafka.v1+json"
	mediaKafka = "application/vnd.kafka+json" // v1, not saying so
)

// The media types of produce requests that most send.
const (
	jsonRecordsV2       = "application/vnd.kafka.json.v2+json"
	binaryRecordsV2     = "application/vnd.kafka.binary.v2+json"
	avroRecordsV2       = "application/vnd.kafka.avro.v2+json"
	jsonSchemaRecordsV2 = "application/vnd.kafka.jsonschema.v2+json"
	protobufRecordsV2   = "application/vnd.kafka.protobuf.v2+json"
)

// Media is what v1 and v2 know of media types. Many goroutines may use it.
type Media struct {
	settings Settings
	// schemas says that there is a schema registry.
	schemas  bool
	contents contents
}

// NewMedia returns the media types of v1 and v2 under the settings; schemas says
// whether there is a schema registry.
func NewMedia(s Settings, schemas bool) *Media { return &Media{settings: s, schemas: schemas} }

// version is a version of the API. v2 is what holds where nothing says.
type version uint8

const (
	v2 version = iota
	v1
)

// String is the version as media types have it.
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

// impliesV1 reports whether the Content-Type of a produce request, which names
// no version, means v1, as in the days when there was no other.
func (m *Media) impliesV1(name string) bool {
	return !m.settings.Strict && (name == mediaKafka || name == server.MediaJSON || name == "application/octet-stream")
}

// version is that of the API that a request speaks: its Content-Type says, or
// else its Accept.
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
		if ctx.IsPost() && m.impliesV1(c.name) { // only produce requests get further with it
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

// untyped is what no Content-Type says.
var untyped = &content{}

// contentType returns what the request's Content-Type says, [untyped] when there is
// no such header. A header that is no media type at all is a bad request.
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

// requireBody refuses a body that does not say it is v2 JSON, or v1 JSON where
// v1 has the route too.
func (m *Media) requireBody(ctx *fasthttp.RequestCtx, inV1 bool) error {
	c, err := m.contentType(ctx)
	if err != nil {
		return err
	}
	if c == untyped && len(server.RequestBody(ctx)) == 0 {
		return nil
	}
	is := c.media
	switch {
	case c.kafka && (!is.hasFormat || is.format == codec.JSON) && (is.version == v2 || inV1):
		return nil
	case inV1:
		return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s or %s.", mediaV2, mediaV1)
	}
	return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s.", mediaV2)
}

// answerTypes are the media types of an answer without records, by version,
// the preferred one first.
var answerTypes = [...][]string{
	v2: {mediaV2, server.MediaJSON},
	v1: {mediaV1, mediaKafka, server.MediaJSON},
}

// v2Body admits a request as negotiate does, whose body, if there is one, must be
// v2 JSON.
func (m *Media) v2Body(ctx *fasthttp.RequestCtx) error {
	if err := m.negotiate(ctx); err != nil {
		return err
	}
	return m.requireBody(ctx, false)
}

// anyBody admits a request as negotiate does, whose body, if there is one, must
// be v2 or v1 JSON.
func (m *Media) anyBody(ctx *fasthttp.RequestCtx) error {
	if err := m.negotiate(ctx); err != nil {
		return err
	}
	return m.requireBody(ctx, true)
}

// negotiate picks the media type of an answer by Accept (RFC 9110 §12.5.1) and
// enters it into the response.
func (m *Media) negotiate(ctx *fasthttp.RequestCtx) error {
	offers := answerTypes[m.version(ctx)]
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if len(accept) == 0 || string(accept) == "*/*" || string(accept) == offers[0] {
		ctx.SetContentType(offers[0])
		return nil
	}
	if m.settings.Strict {
		offers = offers[:1]
	}
	best := server.PickAccepted(string(accept), offers)
	if best == "" {
		return apierr.NotAcceptable.New("This answers with %s, which Accept does not admit.", strings.Join(offers, " or "))
	}
	ctx.SetContentType(best)
	return nil
}

// ErrorType returns the media type of an error: that of the response if it was
// chosen and is one without records, or else that of the request's version. ctx
// is nil where there is no request.
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
