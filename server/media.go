package server

import (
	"mime"
	"slices"
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
	jsonRecordsV2   = "application/vnd.kafka.json.v2+json"
	binaryRecordsV2 = "application/vnd.kafka.binary.v2+json"
)

// version is a version of the API. v2 is what holds where nothing says.
type version uint8

const (
	v2 version = iota
	v1
)

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
	case mediaV2, jsonRecordsV2, binaryRecordsV2: // without an allocation
		return v2
	case "":
	default:
		name, _, _ := contentType(ctx)
		if m, ok := parseKafka(name); ok {
			return m.version
		}
		if ctx.IsPost() && s.impliesV1(name) { // only produce requests get further with it
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

// contentType parses the request's Content-Type. none is true when there is no
// such header. A header that is no media type at all is a bad request.
func contentType(ctx *fasthttp.RequestCtx) (name string, none bool, err error) {
	header := ctx.Request.Header.ContentType()
	if len(header) == 0 {
		return "", true, nil
	}
	if string(header) == mediaV2 { // what most requests say, without an allocation
		return mediaV2, false, nil
	}
	name, _, err = mime.ParseMediaType(string(header))
	if err != nil {
		return "", false, apierr.BadRequest.Wrap(err, "The Content-Type is not a media type.")
	}
	return name, false, nil
}

// requireBody refuses a body that does not say it is v2 JSON, or v1 JSON where
// v1 has the route too.
func (s *Server) requireBody(ctx *fasthttp.RequestCtx, inV1 bool) error {
	name, none, err := contentType(ctx)
	if err != nil {
		return err
	}
	if none && len(ctx.Request.Body()) == 0 {
		return nil
	}
	m, ok := parseKafka(name)
	switch {
	case ok && (!m.hasFormat || m.format == codec.JSON) && (m.version == v2 || inV1):
		return nil
	case inV1:
		return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s or %s.", mediaV2, mediaV1)
	}
	return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s.", mediaV2)
}

// recordsFormat is what the Content-Type of a produce request says.
func (s *Server) recordsFormat(ctx *fasthttp.RequestCtx) (codec.Format, version, error) {
	switch string(ctx.Request.Header.ContentType()) { // without an allocation
	case jsonRecordsV2:
		return codec.JSON, v2, nil
	case binaryRecordsV2:
		return codec.Binary, v2, nil
	}
	name, none, err := contentType(ctx)
	if err != nil {
		return 0, 0, err
	}
	m, ok := parseKafka(name)
	if !none && (s.impliesV1(name) || name == mediaV1 && !s.settings.Strict) {
		return codec.Binary, v1, nil
	}
	if none || !ok || !m.hasFormat {
		return 0, 0, apierr.UnsupportedMedia.New("The Content-Type of a produce request must be application/vnd.kafka.FORMAT.v2+json (or v1) with FORMAT json or binary.")
	}
	if m.format.NeedsSchema() {
		return 0, 0, apierr.UnsupportedMedia.New("The format %s needs a schema registry, which this server does not have.", m.format)
	}
	return m.format, m.version, nil
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

// recordType is the media type of records in format f.
func recordType(v version, f codec.Format) string {
	if v == v1 {
		return "application/vnd.kafka." + f.String() + ".v1+json"
	}
	return "application/vnd.kafka." + f.String() + ".v2+json"
}

// unspecific are the media types that ask for records in the binary format
// without naming it.
var unspecific = [...][]string{v2: {mediaV2}, v1: {mediaV1, mediaKafka, mediaJSON}}

// negotiateRecords checks that a read of records asks for the consumer's own
// format. Only a binary consumer may be read without naming it.
func negotiateRecords(ctx *fasthttp.RequestCtx, v version, own codec.Format) error {
	accept := string(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	wanted := recordType(v, own)
	if accept == wanted || accept == "" && own == codec.Binary {
		ctx.SetContentType(wanted)
		return nil
	}
	offers := []string{wanted}
	if own == codec.Binary {
		offers = append(offers, unspecific[v]...)
	}
	named := accept != "" && !onlyWildcards(accept)
	if best := pickAccepted(accept, offers); best != "" && (named || own == codec.Binary) {
		ctx.SetContentType(wanted)
		return nil
	}
	if accept != "" && pickAccepted(accept, recordTypes(v)) == "" {
		return apierr.NotAcceptable.New("This answers with %s, which Accept does not admit.", wanted)
	}
	return apierr.FormatMismatch.New("The consumer instance has the format %s; ask for it with Accept: %s.", own, wanted)
}

// recordTypes are the types for which an Accept is a mismatch of formats
// rather than something unheard of.
func recordTypes(v version) []string {
	known := slices.Clone(unspecific[v])
	for f := codec.Binary; f <= codec.Protobuf; f++ {
		known = append(known, recordType(v, f))
	}
	return known
}

// negotiateFormat picks, by Accept, the format of records that belong to no
// consumer instance: binary where none is named.
func negotiateFormat(ctx *fasthttp.RequestCtx, v version) (codec.Format, error) {
	accept := string(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	if accept == "" {
		accept = "*/*"
	}
	format := codec.Binary
	offers := append([]string{recordType(v, codec.Binary), recordType(v, codec.JSON)}, unspecific[v]...)
	switch pickAccepted(accept, offers) {
	case "":
		return 0, apierr.NotAcceptable.New("This answers with %s or %s, which Accept does not admit.", offers[0], offers[1])
	case offers[1]:
		format = codec.JSON
	}
	ctx.SetContentType(recordType(v, format))
	return format, nil
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
