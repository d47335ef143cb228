package codec

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"millrace/codec/binary"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
)

// Schemas are the schema members of a produce envelope. Texts are views into
// the body; nil means absent or null. IDs are 0 when absent or null.
type Schemas struct {
	Key, Value     []byte
	KeyID, ValueID int32
}

// DecodeProduce decodes the body of a v2 produce request,
//
//	{"records":[{"key":…,"value":…,"partition":N,"headers":[…],"timestamp":ms}…], …}
//
// into slab, which must be empty, and converts keys and values from format f, one without a
// schema, to the bytes that Kafka stores. It changes body in place and leaves views of it in the
// slab: body belongs to the records from then on. More than maxRecords records are refused.
// Errors are [apierr.Error] values; the slab is undefined after one.
func DecodeProduce(body []byte, f Format, slab *pool.Slab, maxRecords int) (Schemas, error) {
	d := decoder{w: json.NewWalker(body), format: f, slab: slab, max: maxRecords}
	return d.decode()
}

func (d *decoder) decode() (Schemas, error) {
	d.envelope()
	if d.err == nil && d.w.Err() != nil {
		d.err = apierr.BadRequest.New("The body is not valid JSON: %s.", d.where(d.w.Err().Error()))
	}
	if d.err != nil {
		return Schemas{}, d.err
	}
	if len(d.slab.Records) == 0 {
		return Schemas{}, apierr.Unprocessable.New("The member \"records\" must be a list with at least one record.")
	}
	if d.format == Binary {
		return d.schemas, undoBase64(d.slab)
	}
	return d.schemas, nil
}

// DecodeTopics is DecodeProduce for records that name their topics, by a member "topic". It appends
// these to topics; they are views of body.
func DecodeTopics(body []byte, f Format, slab *pool.Slab, maxRecords int, topics []string) (Schemas, []string, error) {
	d := decoder{w: json.NewWalker(body), format: f, slab: slab, max: maxRecords, topics: topics[:0], mixed: true}
	s, err := d.decode()
	return s, d.topics, err
}

// decoder reads one envelope. After the walker has met a syntax error, the methods of decoder
// have no effect, and the error is reported at the end. A fault of meaning goes into err and ends
// the walk at once.
type decoder struct {
	w       json.Walker
	format  Format
	slab    *pool.Slab
	max     int
	schemas Schemas
	mixed   bool     // each record names its topic
	topics  []string // of the records, if mixed
	err     error
}

// where adds the record that was being read to the text of a syntax error.
func (d *decoder) where(text string) string {
	if n := len(d.slab.Records); n > 0 {
		return text + ", in or after records[" + strconv.Itoa(n-1) + "]"
	}
	return text
}

// refuse ends the walk with an error about a member of the record being read.
func (d *decoder) refuse(k *apierr.Kind, member, problem string) {
	if d.err == nil && d.w.Err() == nil {
		d.err = k.New("records[%d]%s: %s", len(d.slab.Records)-1, member, problem)
	}
}

func (d *decoder) envelope() {
	if !d.w.Enter('{') {
		switch raw := d.w.Value(); {
		case raw == nil:
		case isNull(raw):
			d.err = apierr.Unprocessable.New("The request needs a body: {\"records\":[…]}.")
		default:
			d.err = apierr.BadRequest.New("The body must be a JSON object with a member \"records\".")
		}
		return
	}
	for d.w.Member() {
		switch name := d.w.Name(); string(name) {
		case "records":
			d.records()
		case "key_schema":
			d.schemas.Key = d.text("key_schema")
		case "value_schema":
			d.schemas.Value = d.text("value_schema")
		case "key_schema_id":
			d.schemas.KeyID = d.id("key_schema_id")
		case "value_schema_id":
			d.schemas.ValueID = d.id("value_schema_id")
		default:
			if d.w.Value(); d.w.Err() == nil {
				d.err = apierr.Unprocessable.New("Unrecognized field %q; a produce request has \"records\" and, optionally, the schema fields.", name)
			}
		}
		if d.err != nil {
			return
		}
	}
	d.w.End()
}

// text reads a string or null of the envelope.
func (d *decoder) text(member string) []byte {
	raw := d.w.Value()
	switch {
	case raw == nil || isNull(raw):
		return nil
	case raw[0] != '"':
		d.err = apierr.BadRequest.New("%s must be a string.", member)
		return nil
	}
	return json.Unquote(raw)
}

// id reads a schema id or null.
func (d *decoder) id(member string) int32 {
	raw := d.w.Value()
	if raw == nil || isNull(raw) {
		return 0
	}
	n, ok := integer(bare(raw), math.MaxInt32)
	if !ok {
		d.err = apierr.BadRequest.New("%s must be a number between 0 and %d.", member, math.MaxInt32)
	} else if n == 0 && d.format.NeedsSchema() {
		d.err = apierr.RegistryRefused.New("%s is 0, and no schema has the id 0. Leave it out, or send null, if there is none.", member)
	}
	return int32(n)
}

func (d *decoder) records() {
	d.slab.Truncate() // of two members of this name the last one wins
	d.topics = d.topics[:0]
	if !d.w.Enter('[') {
		if raw := d.w.Value(); raw != nil && !isNull(raw) {
			d.err = apierr.BadRequest.New("The member \"records\" must be a list.")
		}
		return
	}
	for d.w.Element() {
		if len(d.slab.Records) == d.max {
			d.err = apierr.BodyTooLarge.New("The request has more than %d records (request.max.records). Send several requests.", d.max)
			return
		}
		d.slab.Add()
		if d.mixed {
			d.topics = append(d.topics, "")
		}
		d.record()
		if d.mixed && d.topics[len(d.topics)-1] == "" {
			d.refuse(apierr.Unprocessable, ".topic", "each record must name its topic")
		}
		if d.err != nil {
			return
		}
	}
}

// record reads the record that the slab added last, and those behind it that have nothing but a
// value, as most have: what lies between two of them is then the same text.
func (d *decoder) record() {
	r := &d.slab.Records[len(d.slab.Records)-1]
	switch {
	case d.w.Skip(`{"value":`):
		r.Value = d.datum()
		for !d.mixed && len(d.slab.Records) < d.max && d.w.Skip(`},{"value":`) {
			r = d.slab.Add()
			r.Value = d.datum()
		}
		if d.w.Skip("}") {
			return
		}
	case !d.w.Enter('{'):
		d.w.Value()
		d.refuse(apierr.BadRequest, "", "a record must be a JSON object")
		return
	}
	for d.w.Member() {
		switch name := d.w.Name(); string(name) {
		case "value":
			r.Value = d.datum()
		case "key":
			r.Key = d.datum()
		case "partition":
			r.Partition = d.partition()
		case "timestamp":
			r.Timestamp = d.timestamp()
		case "headers":
			d.headers()
		case "topic":
			if d.mixed {
				d.topics[len(d.topics)-1] = pool.String(d.topic())
				break
			}
			fallthrough
		default:
			d.w.Value()
			d.refuse(apierr.Unprocessable, "", "unrecognized field "+apierr.Quote(name)+"; a record has key, value, partition, headers and timestamp")
		}
		if d.err != nil {
			return
		}
	}
}

// topic reads the name of a topic.
func (d *decoder) topic() []byte {
	raw := d.w.Value()
	if raw == nil || raw[0] != '"' {
		d.refuse(apierr.BadRequest, ".topic", "must be a string")
		return nil
	}
	return json.Unquote(raw)
}

// datum reads a key or value: compact JSON text, nil for null.
func (d *decoder) datum() []byte {
	raw := d.w.Value()
	if raw == nil || isNull(raw) {
		return nil
	}
	return raw
}

// partition reads a partition number, which may stand in quotes; -1 is "none". A negative number
// becomes [NegativePartition], so that the record fails in its own slot of the response.
func (d *decoder) partition() int32 {
	raw := d.w.Value()
	if raw == nil || isNull(raw) {
		return -1
	}
	n, ok := partitionNumber(raw)
	if !ok {
		d.refuse(apierr.BadRequest, ".partition", "must be a partition number")
	}
	return n
}

// partitionNumber reads a partition's number, which is not null. It may stand in quotes.
func partitionNumber(raw []byte) (n int32, ok bool) {
	raw = bare(raw)
	if len(raw) > 1 && raw[0] == '-' {
		if _, ok := integer(raw[1:], math.MaxInt32); ok {
			return NegativePartition, true
		}
	}
	whole, ok := integer(raw, math.MaxInt32)
	return int32(whole), ok
}

// NegativePartition stands in a record's Partition when the client named a negative one. It is
// distinct from "none": no such partition can exist.
const NegativePartition = -2

// maxTimestamp is the last millisecond of the year 9999.
const maxTimestamp = 253402300799999

func (d *decoder) timestamp() time.Time {
	raw := d.w.Value()
	if raw == nil || isNull(raw) {
		return time.Time{}
	}
	ms, ok := integer(raw, maxTimestamp) // in quotes it could be ISO-8601: "2020" is not 2.02 s
	if !ok {
		d.refuse(apierr.BadRequest, ".timestamp", "must be a number of milliseconds since 1970-01-01 UTC")
	}
	return time.UnixMilli(ms)
}

func (d *decoder) headers() {
	r := &d.slab.Records[len(d.slab.Records)-1]
	r.Headers = nil
	if !d.w.Enter('[') {
		if raw := d.w.Value(); raw != nil && !isNull(raw) {
			d.refuse(apierr.BadRequest, ".headers", "must be a list")
		}
		return
	}
	for n := 0; d.err == nil && d.w.Element(); n++ {
		if n == MaxHeaders {
			d.refuse(apierr.Unprocessable, ".headers", "is too long: a record may have "+strconv.Itoa(MaxHeaders)+" headers")
			return
		}
		d.header()
	}
}

// MaxHeaders bounds the headers of a record, MaxHeaderKey the bytes of the key of
// one. Their values count as the record's size does.
const MaxHeaders, MaxHeaderKey = 1000, 4 << 10

// header reads one {"key":"h","value":"base64"} of the record being read.
func (d *decoder) header() {
	const shape = `a header must be an object such as {"key":"h","value":"aGk="} with a base64 value or null`
	if !d.w.Enter('{') {
		d.w.Value()
		d.refuse(apierr.BadRequest, ".headers", shape)
		return
	}
	var key, value []byte
	for d.w.Member() {
		name := d.w.Name()
		raw := d.w.Value()
		ok := raw != nil
		switch string(name) {
		case "key":
			if ok = ok && raw[0] == '"'; ok {
				key = json.Unquote(raw)
			}
		case "value":
			if value = nil; ok && !isNull(raw) {
				if ok = raw[0] == '"'; ok {
					value, ok = binary.Decode(json.Unquote(raw))
				}
			}
		default:
			d.refuse(apierr.Unprocessable, ".headers", "unrecognized field "+apierr.Quote(name))
		}
		if !ok {
			d.refuse(apierr.BadRequest, ".headers", shape)
		}
		if d.err != nil {
			return
		}
	}
	switch {
	case key == nil:
		d.refuse(apierr.BadRequest, ".headers", shape)
		return
	case len(key) > MaxHeaderKey:
		d.refuse(apierr.Unprocessable, ".headers", "the key of a header is too long: it may have "+strconv.Itoa(MaxHeaderKey)+" bytes")
		return
	}
	d.slab.AddHeader(&d.slab.Records[len(d.slab.Records)-1], pool.String(key), value)
}

// undoBase64 decodes the values of a binary request, in place.
func undoBase64(slab *pool.Slab) error {
	for i := range slab.Records {
		r := &slab.Records[i]
		for _, datum := range [...]struct {
			name string
			b    *[]byte
		}{{"key", &r.Key}, {"value", &r.Value}} {
			if *datum.b == nil {
				continue
			}
			ok := (*datum.b)[0] == '"'
			if ok {
				*datum.b, ok = binary.Decode(json.Unquote(*datum.b))
			}
			if !ok {
				return apierr.BadRequest.New("records[%d].%s: must be a base64 string (standard alphabet) or null", i, datum.name)
			}
		}
	}
	return nil
}

func isNull(raw []byte) bool { return raw[0] == 'n' }

// bare returns the text of a number, which may stand in quotes, with blanks around it, in each
// member that the Confluent proxy has.
func bare(raw []byte) []byte {
	if raw[0] == '"' {
		return bytes.TrimSpace(json.Unquote(raw))
	}
	return raw
}

// integer reads decimal digits that do not exceed limit. Fractions, exponents
// and signs are not integers.
func integer(raw []byte, limit int64) (n int64, ok bool) {
	if len(raw) == 0 || len(raw) > 18 {
		return 0, false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n <= limit
}
