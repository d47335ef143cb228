package server

import (
	"mime"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/apierr"
)

// The media types of answers without records.
const (
	mediaV2    = "application/vnd.kafka.v2+json"
	mediaV1    = "application/vnd.kafka.v1+json"
	mediaKafka = "application/vnd.kafka+json" // v1, not saying so
	mediaJSON  = "application/json"
)

// The media types of produce requests that most send.
const (
	jsonRecordsV2       = "application/vnd.kafka.json.v2+json"
	binaryRecordsV2     = "application/vnd.kafka.binary.v2+json"
	avroRecordsV2       = "application/vnd.kafka.avro.v2+json"
	jsonSchemaRecordsV2 = "application/vnd.kafka.jsonschema.v2+json"
	protobufRecordsV2   = "application/vnd.kafka.protobuf.v2+json"
)

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
func (s *Server) impliesV1(name string) bool {
	return !s.settings.Strict && (name == mediaKafka || name == mediaJSON || name == "application/octet-stream")
}

// version is that of the API that a request speaks: its Content-Type says, or
// else its Accept.
func (s *Server) version(ctx *fasthttp.RequestCtx) version {
	switch string(ctx.Request.Header.ContentType()) {
	case mediaV2, jsonRecordsV2, binaryRecordsV2, avroRecordsV2, jsonSchemaRecordsV2, protobufRecordsV2: // without an allocation
		return v2
	case "":
	default:
		c, _ := s.contentType(ctx)
		if c.kafka {
			return c.media.version
		}
		if ctx.IsPost() && s.impliesV1(c.name) { // only produce requests get further with it
			return v1
		}
	}
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if len(accept) == 0 || string(accept) == "*/*" || string(accept) == mediaV2 {
		return v2
	}
	switch pickAccepted(string(accept), []string{mediaV2, mediaV1, mediaKafka}) {
	case mediaV1, mediaKafka:
		return v1
	}
	return v2
}

// untyped is what no Content-Type says.
var untyped = &content{}

// contentType returns what the request's Content-Type says, [untyped] when there is
// no such header. A header that is no media type at all is a bad request.
func (s *Server) contentType(ctx *fasthttp.RequestCtx) (*content, error) {
	header := ctx.Request.Header.ContentType()
	if len(header) == 0 {
		return untyped, nil
	}
	c, err := s.contents.parse(header)
	if err != nil {
		return untyped, err
	}
	return c, nil
}

// requireBody refuses a body that does not say it is v2 JSON, or v1 JSON where
// v1 has the route too.
func (s *Server) requireBody(ctx *fasthttp.RequestCtx, inV1 bool) error {
	c, err := s.contentType(ctx)
	if err != nil {
		return err
	}
	if c == untyped && len(requestBody(ctx)) == 0 {
		return nil
	}
	m := c.media
	switch {
	case c.kafka && (!m.hasFormat || m.format == codec.JSON) && (m.version == v2 || inV1):
		return nil
	case inV1:
		return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s or %s.", mediaV2, mediaV1)
	}
	return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s.", mediaV2)
}

// answerTypes are the media types of an answer without records, by version,
// the preferred one first.
var answerTypes = [...][]string{
	v2: {mediaV2, mediaJSON},
	v1: {mediaV1, mediaKafka, mediaJSON},
}

// negotiate picks the media type of an answer by Accept (RFC 9110 §12.5.1) and
// enters it into the response.
func (s *Server) negotiate(ctx *fasthttp.RequestCtx) error {
	offers := answerTypes[s.version(ctx)]
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if len(accept) == 0 || string(accept) == "*/*" || string(accept) == offers[0] {
		ctx.SetContentType(offers[0])
		return nil
	}
	if s.settings.Strict {
		offers = offers[:1]
	}
	best := pickAccepted(string(accept), offers)
	if best == "" {
		return apierr.NotAcceptable.New("This answers with %s, which Accept does not admit.", strings.Join(offers, " or "))
	}
	ctx.SetContentType(best)
	return nil
}

// errorType is the media type of an error: that of the answer if it was chosen
// and is one without records, or else that of the request's version.
func (s *Server) errorType(ctx *fasthttp.RequestCtx) string {
	switch chosen := string(ctx.Response.Header.ContentType()); {
	case chosen == mediaJSON:
		return mediaJSON
	case chosen == mediaKafka:
		return mediaKafka
	case strings.HasSuffix(chosen, "v1+json"):
		return mediaV1
	case strings.HasSuffix(chosen, "v2+json"):
		return mediaV2
	}
	return answerTypes[s.version(ctx)][0]
}

func onlyWildcards(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		if name, _, _ := strings.Cut(part, ";"); !strings.HasSuffix(strings.TrimSpace(name), "*") {
			return false
		}
	}
	return true
}

// pickAccepted returns the first of the offers with the highest quality that
// accept gives it, or "" when it admits none. For each offer the most specific
// range that matches decides. A range that cannot be parsed admits nothing.
func pickAccepted(accept string, offers []string) string {
	best, bestQ := "", 0.0
	for _, offer := range offers {
		q, specific := 0.0, -1
		for part := range strings.SplitSeq(accept, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			if s := matchRange(name, offer); s > specific {
				q, specific = quality(params), s
			}
		}
		if q > bestQ {
			best, bestQ = offer, q
		}
	}
	return best
}

// matchRange says how specifically a media range names a type: 2 exactly, 1 by
// type/*, 0 by */*, -1 not at all.
func matchRange(name, offer string) int {
	switch {
	case name == offer:
		return 2
	case name == "*/*" || name == "*":
		return 0
	case strings.HasSuffix(name, "/*") && strings.HasPrefix(offer, name[:len(name)-1]):
		return 1
	}
	return -1
}

func quality(params map[string]string) float64 {
	text, ok := params["q"]
	if !ok {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}
