package codec

import (
	"math"
	"strconv"
	"time"

	"millrace/codec/binary"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
)

// data reads the object that is a key or value, and returns the bytes that Kafka stores, or, for
// data with a schema, its JSON text.
func (d *entryDecoder) data(half string) ([]byte, Data) {
	if !d.w.Enter('{') {
		if raw := d.w.Value(); raw != nil && !isNull(raw) {
			d.refuse(apierr.BadRequest, "%s must be an object, such as {\"type\":\"JSON\",\"data\":1}.", half)
		}
		return nil, Data{}
	}
	var raw []byte
	var of Data
	s := &of.Schema
	for d.w.Member() {
		switch name := d.w.Name(); string(name) {
		case "type":
			of.Type = d.dataType(half)
		case "data":
			if raw = d.w.Value(); raw != nil && isNull(raw) {
				raw = nil
			}
		case "schema":
			s.Text = d.text("schema")
		case "schema_id":
			s.ID = d.schemaNumber(half, "schema_id")
		case "schema_version":
			s.Version = d.version(half)
		case "subject":
			s.Subject = d.text("subject")
		case "subject_name_strategy":
			s.Strategy = d.text("subject_name_strategy")
		default:
			d.w.Value()
			d.refuse(apierr.BadRequest, "Unrecognized field %s in %s; it has type, data and the schema fields.", apierr.Quote(name), half)
		}
	}
	d.checkData(half, &of)
	if raw == nil || d.now.Err != nil || d.w.Err() != nil {
		return nil, of
	}
	return d.stored(half, raw, of.Type), of
}

// stored converts the JSON text of data to the bytes that Kafka stores, in place.
func (d *entryDecoder) stored(half string, raw []byte, t DataType) []byte {
	switch {
	case t != BinaryData && t != StringData:
		return raw
	case raw[0] != '"':
		d.refuse(apierr.BadRequest, "Bad Request: the data of the %s is not a string, as the type %s needs.", half, t)
		return nil
	}
	text := json.Unquote(raw)
	if t == StringData {
		return text
	}
	b, ok := binary.Decode(text)
	if !ok {
		d.refuse(apierr.BadRequest, "Bad Request: the data of the %s is not a valid base64 string (standard alphabet).", half)
	}
	return b
}

// dataType reads the member "type".
func (d *entryDecoder) dataType(half string) DataType {
	raw := d.w.Value()
	if raw == nil || isNull(raw) {
		return NoData
	}
	for t := BinaryData; t <= ProtobufData; t++ {
		if len(raw) > 2 && string(raw[1:len(raw)-1]) == dataTypes[t] {
			return t
		}
	}
	d.refuse(apierr.BadRequest, "The type of the %s must be one of BINARY, JSON, STRING, AVRO, JSONSCHEMA and PROTOBUF.", half)
	return NoData
}

// checkData refuses members of data that exclude each other, and makes data without a type that of
// a schema.
func (d *entryDecoder) checkData(half string, of *Data) {
	s := &of.Schema
	number := s.ID != 0 || s.Version != 0
	switch {
	case of.Type == NoData && s.Text != nil:
		d.refuse(apierr.BadRequest, "The %s has a schema and no type: send \"type\" too, AVRO, JSONSCHEMA or PROTOBUF.", half)
	case of.Type == NoData:
		of.Type = SchemaData
	case number:
		d.refuse(apierr.BadRequest, "The %s has a type, and schema_id or schema_version, which say the type: send one of the two.", half)
	case !of.Type.NeedsSchema() && (s.Text != nil || s.Subject != nil || s.Strategy != nil):
		d.refuse(apierr.BadRequest, "The type %s of the %s has no schema: leave the schema fields out.", of.Type, half)
	}
	switch {
	case s.ID != 0 && s.Version != 0, s.Text != nil && number:
		d.refuse(apierr.BadRequest, "The %s names its schema twice: send one of schema, schema_id and schema_version.", half)
	case s.Subject != nil && s.Strategy != nil:
		d.refuse(apierr.BadRequest, "The %s has a subject and a subject_name_strategy: send one of the two.", half)
	}
}

// version reads a schema's version: a number, or "latest".
func (d *entryDecoder) version(half string) int32 {
	if d.w.Peek() != '"' {
		return d.schemaNumber(half, "schema_version")
	}
	raw := d.w.Value()
	if raw == nil || string(raw) == `"latest"` {
		return 0
	}
	return d.number(half, "schema_version", json.Unquote(raw))
}

// schemaNumber reads an id or a version, which are not 0.
func (d *entryDecoder) schemaNumber(half, member string) int32 {
	raw := d.w.Value()
	if raw == nil || isNull(raw) {
		return 0
	}
	if raw[0] == '"' {
		raw = json.Unquote(raw)
	}
	return d.number(half, member, raw)
}

func (d *entryDecoder) number(half, member string, raw []byte) int32 {
	n, ok := integer(raw, math.MaxInt32)
	if !ok || n == 0 {
		d.refuse(apierr.BadRequest, "%s.%s must be a number between 1 and %d.", half, member, math.MaxInt32)
	}
	return int32(n)
}

// partition reads a partition's number as [decoder.partition] does.
func (d *entryDecoder) partition() int32 {
	raw := d.w.Value()
	if raw == nil || isNull(raw) {
		return -1
	}
	n, ok := partitionNumber(raw)
	if !ok {
		d.refuse(apierr.BadRequest, "partition_id must be a partition number.")
	}
	return n
}

// timestamp reads a time: ISO-8601, or a number of seconds, with a fraction or without.
func (d *entryDecoder) timestamp() time.Time {
	raw := d.w.Value()
	switch {
	case raw == nil || isNull(raw):
		return time.Time{}
	case raw[0] == '"':
		if at, err := time.Parse(time.RFC3339, pool.String(json.Unquote(raw))); err == nil && validMillis(float64(at.UnixMilli())) {
			return time.UnixMilli(at.UnixMilli())
		}
	default:
		if seconds, err := strconv.ParseFloat(pool.String(raw), 64); err == nil && validMillis(math.Round(seconds*1000)) {
			return time.UnixMilli(int64(math.Round(seconds * 1000)))
		}
	}
	d.refuse(apierr.BadRequest, "timestamp must be an ISO-8601 time with its offset, such as \"2026-01-31T12:00:00.250Z\", or a number of seconds since 1970.")
	return time.Time{}
}

func validMillis(ms float64) bool { return ms >= 0 && ms <= maxTimestamp }

// headers reads the list of headers.
func (d *entryDecoder) headers() {
	r := &d.slab.Records[len(d.slab.Records)-1]
	r.Headers = nil
	if !d.w.Enter('[') {
		if raw := d.w.Value(); raw != nil && !isNull(raw) {
			d.refuse(apierr.BadRequest, "headers must be a list.")
		}
		return
	}
	for n := 0; d.w.Element(); n++ {
		if n >= MaxHeaders || d.now.Err != nil {
			d.w.Value()
			d.refuse(apierr.BadRequest, "headers is too long: a record may have %d headers.", MaxHeaders)
			continue
		}
		d.header()
	}
}

// header reads one {"name":"h","value":"base64"}.
func (d *entryDecoder) header() {
	const shape = `a header must be an object such as {"name":"h","value":"aGk="}, with a base64 value or null.`
	ok := d.w.Enter('{')
	var name, value []byte
	if !ok {
		d.w.Value()
	}
	for ok && d.w.Member() {
		switch string(d.w.Name()) {
		case "name":
			name = d.text("the name of a header")
		case "value":
			value = nil
			if raw := d.w.Value(); raw != nil && !isNull(raw) {
				if ok = raw[0] == '"'; ok {
					value, ok = binary.Decode(json.Unquote(raw))
				}
				if !ok {
					d.refuse(apierr.BadRequest, shape)
					ok = true
				}
			}
		default:
			d.w.Value()
			d.refuse(apierr.BadRequest, "Unrecognized field in headers: "+shape)
		}
	}
	switch {
	case name == nil:
		d.refuse(apierr.BadRequest, shape)
	case len(name) > MaxHeaderKey:
		d.refuse(apierr.BadRequest, "The name of a header is too long: it may have %d bytes.", MaxHeaderKey)
	}
	if d.now.Err == nil && d.w.Err() == nil {
		d.slab.AddHeader(&d.slab.Records[len(d.slab.Records)-1], pool.String(name), value)
	}
}
