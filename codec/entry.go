package codec

import (
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
)

// DataType is how a key or value of a v3 record is written: its member "type".
type DataType uint8

// The types of v3 data.
const (
	NoData         DataType = iota // there is no key, or no value
	BinaryData                     // base64 text
	JSONData                       // any JSON
	StringData                     // a JSON string, stored as its text
	AvroData                       // the next three are as in v2
	JSONSchemaData                 //
	ProtobufData                   //
	SchemaData                     // of the type of the schema that the record names
)

var dataTypes = [...]string{BinaryData: "BINARY", JSONData: "JSON", StringData: "STRING", AvroData: "AVRO", JSONSchemaData: "JSONSCHEMA", ProtobufData: "PROTOBUF"}

// String returns the type's name in requests and responses.
func (t DataType) String() string { return dataTypes[t] }

// NeedsSchema reports whether data of the type is encoded by a schema.
func (t DataType) NeedsSchema() bool { return t >= AvroData }

// Format returns the format of data with a schema; ok is false for [SchemaData], where the schema
// decides.
func (t DataType) Format() (f Format, ok bool) {
	if t < AvroData || t > ProtobufData {
		return Binary, false
	}
	return Avro + Format(t-AvroData), true
}

// DataTypeOf returns the type of data with a schema of format f.
func DataTypeOf(f Format) DataType { return AvroData + DataType(f-Avro) }

// SchemaName names the schema of a key or value of a v3 record: by text, id or version, of a
// subject or of the one that the strategy gives. All zero is the latest version. Texts are views of
// the body.
type SchemaName struct {
	Text, Subject, Strategy []byte
	ID                      int32
	Version                 int32 // 0: the latest
}

// Data is what a v3 record says of its key or value beside its bytes.
type Data struct {
	Type   DataType
	Schema SchemaName
}

// Entry is one record of a v3 request. The entries without Err have, in order, the records of the
// request's slab. Of data with a schema the record has the JSON text, see [EncodeData].
type Entry struct {
	Err        *apierr.Error // why the record is refused, or nil
	ID         string        // within records:batch
	Key, Value Data
}

// DecodeEntries decodes a sequence of v3 records,
//
//	{"key":DATA,"value":DATA,"partition_id":N,"headers":[…],"timestamp":…} {…} …
//	DATA: {"type":"JSON","data":…}
//
// of which the last may be cut off: up to max records, or the end of body, or a fault of syntax. It
// appends an entry for each to entries, and returns how many bytes of body they took. The records
// go into slab, which must be empty. A record that is JSON and no v3 record has its fault in its
// entry, and the records behind it are decoded.
//
// DecodeEntries changes body in place and leaves views of it in the slab, like [DecodeProduce]. It
// may also have changed the bytes behind those that it returns as taken.
func DecodeEntries(body []byte, slab *pool.Slab, entries []Entry, max int) (all []Entry, taken int, err *json.SyntaxError) {
	d := entryDecoder{w: json.NewWalker(body), slab: slab}
	taken = d.w.Offset()
	for begun := len(entries); len(entries)-begun < max && d.w.More(); {
		entries = append(entries, Entry{})
		d.entry(&entries[len(entries)-1])
		if err := d.w.Err(); err != nil {
			return entries[:len(entries)-1], taken, err
		}
		taken = d.w.Offset()
	}
	return entries, d.w.Offset(), nil
}

// DecodeBatch decodes the body of a v3 records:batch request,
//
//	{"entries":[{"id":"1","key":DATA,…},…]}
//
// as [DecodeEntries] does its records. Its errors are of the whole request: BatchRefused for ids
// that are not distinct, or not ids, and for less than one or more than max entries.
func DecodeBatch(body []byte, slab *pool.Slab, max int) ([]Entry, error) {
	d := entryDecoder{w: json.NewWalker(body), slab: slab, ids: true}
	entries, err := d.batch(max)
	if fault := d.w.Err(); fault != nil {
		err = apierr.BadRequest.New("The body is not valid JSON: %s.", fault.Error())
	}
	return entries, err
}

// entryDecoder reads v3 records. A fault of meaning goes into the entry; what remains of the record
// is stepped over.
type entryDecoder struct {
	w    json.Walker
	slab *pool.Slab
	ids  bool // an entry may have an id
	now  *Entry
}

func (d *entryDecoder) batch(max int) (entries []Entry, err error) {
	if !d.w.Enter('{') {
		if raw := d.w.Value(); raw != nil && !isNull(raw) {
			return nil, apierr.BadRequest.New("The body must be a JSON object with a member \"entries\".")
		}
		return nil, apierr.BatchRefused.New("The batch has no body: send {\"entries\":[…]}.")
	}
	for d.w.Member() {
		if name := d.w.Name(); string(name) != "entries" {
			return nil, apierr.Unprocessable.New("Unrecognized field %q; a batch has \"entries\".", name)
		}
		d.slab.Truncate()
		entries = entries[:0]
		if !d.w.Enter('[') {
			if raw := d.w.Value(); raw != nil && !isNull(raw) {
				return nil, apierr.BadRequest.New("The member \"entries\" must be a list.")
			}
			continue
		}
		for d.w.Element() {
			if len(entries) == max {
				return nil, apierr.BatchRefused.New("Too many entries in batch: it may have %d.", max)
			}
			entries = append(entries, Entry{})
			d.entry(&entries[len(entries)-1])
		}
	}
	d.w.End()
	if d.w.Err() != nil {
		return nil, nil
	}
	return entries, checkIDs(entries)
}

// maxEntryID is the longest id of an entry of a batch.
const maxEntryID = 80

func checkIDs(entries []Entry) error {
	if len(entries) == 0 {
		return apierr.BatchRefused.New("Empty batch.")
	}
	for i := range entries {
		id := entries[i].ID
		if !validID(id) {
			return apierr.BatchRefused.New("entries[%d].id: %q is not a valid id: it must have 1 to %d letters, digits, '-' and '_'.", i, id, maxEntryID)
		}
		for k := range i {
			if entries[k].ID == id {
				return apierr.BatchRefused.New("Batch entry IDs are not distinct: %q.", id)
			}
		}
	}
	return nil
}

func validID(id string) bool {
	for _, c := range []byte(id) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return id != "" && len(id) <= maxEntryID
}

// refuse notes a fault of the record that is being read, unless it has one already.
func (d *entryDecoder) refuse(k *apierr.Kind, format string, args ...any) {
	if d.now.Err == nil && d.w.Err() == nil {
		d.now.Err = k.New(format, args...)
	}
}

// entry reads one record. It leaves none in the slab if the entry has a fault, or the text has.
func (d *entryDecoder) entry(e *Entry) {
	d.now = e
	d.slab.Add()
	if d.w.Enter('{') {
		for d.w.Member() {
			d.member()
		}
	} else {
		d.w.Value()
		d.refuse(apierr.BadRequest, "A record must be a JSON object, such as {\"value\":{\"type\":\"JSON\",\"data\":1}}.")
	}
	if e.Err != nil || d.w.Err() != nil {
		d.slab.Drop()
	}
}

func (d *entryDecoder) member() {
	r := &d.slab.Records[len(d.slab.Records)-1]
	switch name := d.w.Name(); string(name) {
	case "value":
		r.Value, d.now.Value = d.data("value")
	case "key":
		r.Key, d.now.Key = d.data("key")
	case "partition_id":
		r.Partition = d.partition()
	case "timestamp":
		r.Timestamp = d.timestamp()
	case "headers":
		d.headers()
	case "id":
		if d.ids {
			d.now.ID = string(d.text("id"))
			return
		}
		fallthrough
	default:
		d.w.Value()
		d.refuse(apierr.BadRequest, "Unrecognized field %s; a record has key, value, partition_id, headers and timestamp.", apierr.Quote(name))
	}
}

// text reads a string, nil for null.
func (d *entryDecoder) text(member string) []byte {
	raw := d.w.Value()
	switch {
	case raw == nil || isNull(raw):
		return nil
	case raw[0] != '"':
		d.refuse(apierr.BadRequest, "%s must be a string.", member)
		return nil
	}
	return json.Unquote(raw)
}
