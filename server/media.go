package server

import (
	"mime"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/apierr"
)

// The media types of answers.
const (
	mediaV2   = "application/vnd.kafka.v2+json"
	mediaJSON = "application/json"
)

// mediaType is a parsed media type of the API,
// application/vnd.kafka[.FORMAT].v2+json, without its parameters.
type mediaType struct {
	format    codec.Format
	hasFormat bool
}

// parseKafkaV2 reads the name of a media type, lower case and without
// parameters; ok is false when it is not one of the v2 API.
func parseKafkaV2(name string) (m mediaType, ok bool) {
	rest, ok := strings.CutPrefix(name, "application/vnd.kafka.")
	if !ok {
		return m, false
	}
	if rest == "v2+json" {
		return m, true
	}
	format, ok := strings.CutSuffix(rest, ".v2+json")
	if !ok {
		return m, false
	}
	m.format, m.hasFormat = codec.ParseFormat(format)
	return m, m.hasFormat
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

// requireV2Body refuses a body that does not say it is v2 JSON.
func requireV2Body(ctx *fasthttp.RequestCtx) error {
	name, none, err := contentType(ctx)
	if err != nil {
		return err
	}
	if none && len(ctx.Request.Body()) == 0 {
		return nil
	}
	m, ok := parseKafkaV2(name)
	if none || !ok || m.hasFormat && m.format != codec.JSON {
		return apierr.UnsupportedMedia.New("The Content-Type of this request must be %s.", mediaV2)
	}
	return nil
}

// recordsFormat is the format that the Content-Type of a produce request names.
func recordsFormat(ctx *fasthttp.RequestCtx) (codec.Format, error) {
	switch string(ctx.Request.Header.ContentType()) { // without an allocation
	case "application/vnd.kafka.json.v2+json":
		return codec.JSON, nil
	case "application/vnd.kafka.binary.v2+json":
		return codec.Binary, nil
	}
	name, none, err := contentType(ctx)
	if err != nil {
		return 0, err
	}
	m, ok := parseKafkaV2(name)
	if none || !ok || !m.hasFormat {
		return 0, apierr.UnsupportedMedia.New("The Content-Type of a produce request must be application/vnd.kafka.FORMAT.v2+json with FORMAT json or binary.")
	}
	if m.format.NeedsSchema() {
		return 0, apierr.UnsupportedMedia.New("The format %s needs a schema registry, which this server does not have.", m.format)
	}
	return m.format, nil
}

// negotiate picks the media type of a v2 answer by Accept (RFC 9110 §12.5.1)
// and enters it into the response.
func (s *Server) negotiate(ctx *fasthttp.RequestCtx) error {
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if len(accept) == 0 || string(accept) == "*/*" || string(accept) == mediaV2 {
		ctx.SetContentType(mediaV2)
		return nil
	}
	offers := []string{mediaV2, mediaJSON}
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

// negotiateRecords checks that a read of records asks for the consumer's own
// format. Only a binary consumer may be read without naming it.
func negotiateRecords(ctx *fasthttp.RequestCtx, own codec.Format) error {
	accept := string(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	wanted := "application/vnd.kafka." + own.String() + ".v2+json"
	offers := []string{wanted}
	if own == codec.Binary {
		offers = append(offers, mediaV2)
	}
	if accept == wanted || accept == "" && own == codec.Binary {
		ctx.SetContentType(wanted)
		return nil
	}
	named := accept != "" && !onlyWildcards(accept)
	if best := pickAccepted(accept, offers); best != "" && (named || own == codec.Binary) {
		ctx.SetContentType(wanted)
		return nil
	}
	if accept != "" && pickAccepted(accept, knownRecordTypes) == "" {
		return apierr.NotAcceptable.New("This answers with %s, which Accept does not admit.", wanted)
	}
	return apierr.FormatMismatch.New("The consumer instance has the format %s; ask for it with Accept: %s.", own, wanted)
}

// knownRecordTypes are the types for which an Accept is a mismatch of formats
// rather than something unheard of.
var knownRecordTypes = []string{
	mediaV2,
	"application/vnd.kafka.binary.v2+json", "application/vnd.kafka.json.v2+json", "application/vnd.kafka.avro.v2+json",
	"application/vnd.kafka.jsonschema.v2+json", "application/vnd.kafka.protobuf.v2+json",
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
