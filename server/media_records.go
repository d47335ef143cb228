package server

import (
	"bytes"
	"mime"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/apierr"
)

// recordsMedia is what the Content-Type of a produce request says.
type recordsMedia struct {
	format  codec.Format
	version version
	dialect codec.Dialect
}

func (s *Server) recordsMedia(ctx *fasthttp.RequestCtx) (m recordsMedia, err error) {
	m = recordsMedia{version: v2, dialect: s.settings.Avro}
	switch string(ctx.Request.Header.ContentType()) { // without an allocation
	case jsonRecordsV2:
		m.format = codec.JSON
	case binaryRecordsV2:
		m.format = codec.Binary
	case avroRecordsV2:
		m.format = codec.Avro
	case jsonSchemaRecordsV2:
		m.format = codec.JSONSchema
	case protobufRecordsV2:
		m.format = codec.Protobuf
	default:
		m, err = s.parseRecordsMedia(ctx)
	}
	if err == nil && m.format.NeedsSchema() && s.deps.Schemas == nil {
		err = apierr.UnsupportedMedia.New("The format %s needs a schema registry, which this server does not have.", m.format)
	}
	return m, err
}

// parseRecordsMedia is recordsMedia for what is written in another way.
func (s *Server) parseRecordsMedia(ctx *fasthttp.RequestCtx) (recordsMedia, error) {
	c, err := s.contentType(ctx)
	if err != nil {
		return recordsMedia{}, err
	}
	if s.impliesV1(c.name) || c.name == mediaV1 && !s.settings.Strict {
		return recordsMedia{format: codec.Binary, version: v1}, nil
	}
	if !c.kafka || !c.media.hasFormat {
		return recordsMedia{}, apierr.UnsupportedMedia.New("The Content-Type of a produce request must be application/vnd.kafka.FORMAT.v2+json (or v1) with FORMAT json, binary, avro, jsonschema or protobuf.")
	}
	m := recordsMedia{format: c.media.format, version: c.media.version}
	var ok bool
	if m.dialect, ok = s.dialect(c.avro); !ok {
		return m, apierr.UnsupportedMedia.New("The parameter avro of the Content-Type must be tagged or plain, not %q.", c.avro)
	}
	return m, nil
}

// dialect is what the parameter avro of a media type says, which may be missing.
func (s *Server) dialect(name string) (codec.Dialect, bool) {
	if name == "" {
		return s.settings.Avro, true
	}
	return codec.ParseDialect(strings.ToLower(name))
}

// acceptedDialect is what the first range in Accept says that has the
// parameter avro. One that says nonsense is an error.
func (s *Server) acceptedDialect(ctx *fasthttp.RequestCtx) (codec.Dialect, error) {
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if !bytes.Contains(accept, []byte("avro=")) {
		return s.settings.Avro, nil
	}
	for part := range strings.SplitSeq(string(accept), ",") {
		_, params, err := mime.ParseMediaType(part)
		if err != nil || params["avro"] == "" {
			continue
		}
		d, ok := s.dialect(params["avro"])
		if !ok {
			return d, apierr.NotAcceptable.New("The parameter avro in Accept must be tagged or plain, not %q.", params["avro"])
		}
		return d, nil
	}
	return s.settings.Avro, nil
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
func (s *Server) negotiateFormat(ctx *fasthttp.RequestCtx, v version) (codec.Format, error) {
	accept := string(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	if accept == "" {
		accept = "*/*"
	}
	offers := append([]string{recordType(v, codec.Binary)}, unspecific[v]...)
	for f := codec.JSON; f <= codec.Protobuf && (!f.NeedsSchema() || s.deps.Schemas != nil); f++ {
		offers = append(offers, recordType(v, f))
	}
	best := pickAccepted(accept, offers)
	if best == "" {
		return 0, apierr.NotAcceptable.New("This answers with application/vnd.kafka.FORMAT.%s+json, which Accept does not admit.", v)
	}
	format := codec.Binary
	if m, _ := parseKafka(best); m.hasFormat {
		format = m.format
	}
	ctx.SetContentType(recordType(v, format))
	return format, nil
}
