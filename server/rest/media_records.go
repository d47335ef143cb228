package rest

import (
	"bytes"
	"mime"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/server"
)

// recordsMedia is the media type of the records of a produce request.
type recordsMedia struct {
	format  codec.Format
	version version
	dialect codec.Dialect
	implied bool // the Content-Type does not name the format
}

func (m *Media) records(ctx *fasthttp.RequestCtx) (r recordsMedia, err error) {
	r = recordsMedia{version: v2, dialect: m.settings.Avro}
	switch string(ctx.Request.Header.ContentType()) { // without an allocation
	case jsonRecordsV2:
		r.format = codec.JSON
	case binaryRecordsV2:
		r.format = codec.Binary
	case avroRecordsV2:
		r.format = codec.Avro
	case jsonSchemaRecordsV2:
		r.format = codec.JSONSchema
	case protobufRecordsV2:
		r.format = codec.Protobuf
	default:
		r, err = m.parseRecords(ctx)
	}
	if err == nil && r.format.NeedsSchema() && !m.schemas {
		err = apierr.UnsupportedMedia.New("The format %s needs a schema registry, which this node does not have.", r.format)
	}
	return r, err
}

// parseRecords is records for a Content-Type in an unusual spelling.
func (m *Media) parseRecords(ctx *fasthttp.RequestCtx) (recordsMedia, error) {
	c, err := m.contentType(ctx)
	if err != nil {
		return recordsMedia{}, err
	}
	if m.impliesV1(c.name) || c.name == mediaV1 && !m.settings.Strict {
		return recordsMedia{format: codec.Binary, version: m.version(ctx), implied: true}, nil
	}
	if !c.kafka || !c.media.hasFormat {
		return recordsMedia{}, apierr.UnsupportedMedia.New("The Content-Type of a produce request must be application/vnd.kafka.FORMAT.v2+json (or v1) with FORMAT json, binary, avro, jsonschema or protobuf.")
	}
	r := recordsMedia{format: c.media.format, version: c.media.version}
	var ok bool
	if r.dialect, ok = m.dialect(c.avro); !ok {
		return r, apierr.UnsupportedMedia.New("The parameter avro of the Content-Type must be tagged or plain, not %q.", c.avro)
	}
	return r, nil
}

// dialect returns the dialect that the parameter avro of a media type names, or the default when
// it is missing.
func (m *Media) dialect(name string) (codec.Dialect, bool) {
	if name == "" {
		return m.settings.Avro, true
	}
	return codec.ParseDialect(strings.ToLower(name))
}

// acceptedDialect returns the dialect of the first range in Accept with the parameter avro. An
// unknown dialect is an error.
func (m *Media) acceptedDialect(ctx *fasthttp.RequestCtx) (codec.Dialect, error) {
	accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	if !bytes.Contains(accept, []byte("avro=")) {
		return m.settings.Avro, nil
	}
	for part := range strings.SplitSeq(string(accept), ",") {
		_, params, err := mime.ParseMediaType(part)
		if err != nil || params["avro"] == "" {
			continue
		}
		d, ok := m.dialect(params["avro"])
		if !ok {
			return d, apierr.NotAcceptable.New("The parameter avro in Accept must be tagged or plain, not %q.", params["avro"])
		}
		return d, nil
	}
	return m.settings.Avro, nil
}

// recordType returns the media type of records in format f.
func recordType(v version, f codec.Format) string { return allRecordTypes[v][f] }

// allRecordTypes has them all: a read asks for one.
var allRecordTypes = func() (types [v1 + 1][codec.Protobuf + 1]string) {
	for v := range types {
		for f := range types[v] {
			types[v][f] = "application/vnd.kafka." + codec.Format(f).String() + "." + version(v).String() + "+json"
		}
	}
	return types
}()

// unspecific are the media types that ask for records in the binary format
// without naming it.
var unspecific = [...][]string{v2: {mediaV2}, v1: {mediaV1, mediaKafka, server.MediaJSON}}

// negotiateRecords checks that a read of records asks for the consumer's own format. Only a
// binary consumer may be read without naming the format.
func negotiateRecords(ctx *fasthttp.RequestCtx, v version, own codec.Format) error {
	header := ctx.Request.Header.Peek(fasthttp.HeaderAccept)
	wanted := recordType(v, own)
	if string(header) == wanted || len(header) == 0 && own == codec.Binary {
		ctx.SetContentType(wanted)
		return nil
	}
	accept := string(header)
	offers := []string{wanted}
	if own == codec.Binary {
		offers = append(offers, unspecific[v]...)
	}
	named := accept != "" && !onlyWildcards(accept)
	if best := server.PickAccepted(accept, offers); best != "" && (named || own == codec.Binary) {
		ctx.SetContentType(wanted)
		return nil
	}
	if accept != "" && server.PickAccepted(accept, recordTypes(v)) == "" {
		return apierr.NotAcceptable.New("This answers with %s, which Accept does not admit.", wanted)
	}
	return apierr.FormatMismatch.New("The consumer instance has the format %s; ask for it with Accept: %s.", own, wanted)
}

// recordTypes returns the types for which an Accept is a mismatch of formats rather than an
// unknown type.
func recordTypes(v version) []string {
	known := slices.Clone(unspecific[v])
	for f := codec.Binary; f <= codec.Protobuf; f++ {
		known = append(known, recordType(v, f))
	}
	return known
}

// negotiateFormat picks, by Accept, the format of records that belong to no
// consumer instance: binary where none is named.
func (m *Media) negotiateFormat(ctx *fasthttp.RequestCtx, v version) (codec.Format, error) {
	accept := string(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	if accept == "" {
		accept = "*/*"
	}
	offers := append([]string{recordType(v, codec.Binary)}, unspecific[v]...)
	for f := codec.JSON; f <= codec.Protobuf && (!f.NeedsSchema() || m.schemas); f++ {
		offers = append(offers, recordType(v, f))
	}
	best := server.PickAccepted(accept, offers)
	if best == "" {
		return 0, apierr.NotAcceptable.New("This answers with application/vnd.kafka.FORMAT.%s+json, which Accept does not admit.", v)
	}
	format := codec.Binary
	if chosen, _ := parseKafka(best); chosen.hasFormat {
		format = chosen.format
	}
	ctx.SetContentType(recordType(v, format))
	return format, nil
}
