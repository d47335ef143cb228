package loadtest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"

	"millrace/codec/json"
)

// avroSchema is that of the generated events of flows whose format is avro. As
// in every schema for a load test, the first field takes the record's id.
const avroSchema = `{"type":"record","name":"Event","namespace":"millrace.loadtest","fields":[` +
	`{"name":"_lt","type":"string"},{"name":"event","type":"string"},{"name":"device","type":"string"},` +
	`{"name":"ts","type":"long"},{"name":"lat","type":"double"},{"name":"lon","type":"double"},` +
	`{"name":"battery","type":["null","int"]},{"name":"ok","type":"boolean"},{"name":"p","type":"string"}]}`

// schema returns the Avro schema of the values: that of the file, or of
// generated events.
func (p Payload) schema() (string, error) {
	if p.Schema == "" {
		return avroSchema, nil
	}
	text, err := os.ReadFile(p.Schema)
	if err != nil {
		return "", fmt.Errorf("cannot read the schema: %w", err)
	}
	var record struct {
		Fields []struct {
			Name string `json:"name"`
			Type any    `json:"type"`
		} `json:"fields"`
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return "", fmt.Errorf("cannot use schema %s: it is not JSON: %w", p.Schema, err)
	}
	if len(record.Fields) == 0 || record.Fields[0].Name != "_lt" || record.Fields[0].Type != "string" {
		return "", fmt.Errorf(`cannot use schema %s: its first field must be {"name":"_lt","type":"string"}, which takes each record's id`, p.Schema)
	}
	return string(text), nil
}

// avroEvent makes one event of avroSchema, in Avro's JSON, of about size bytes.
func avroEvent(rnd *rand.Rand, size int) []byte {
	b := fmt.Appendf(nil, `"event":%q,"device":"d-%06x","ts":%d,"lat":%.5f,"lon":%.5f,"battery":{"int":%d},"ok":%t,"p":"`,
		pick(rnd, "page_view", "tap", "scroll", "purchase", "heartbeat", "crash"), rnd.IntN(1<<24),
		1700000000000+rnd.Int64N(1e10), rnd.Float64()*180-90, rnd.Float64()*360-180, rnd.IntN(101), rnd.IntN(20) > 0)
	for len(b) < size-len(`{"_lt":"12345678.0.123456","}`) {
		b = append(b, 'a'+byte(rnd.IntN(26)))
	}
	return append(b, `"}`...)
}

// envelope begins a request of the flow, up to the first record.
func (f *Flow) envelope() ([]byte, error) {
	if f.Format != "avro" {
		return []byte(`{"records":[`), nil
	}
	schema, err := f.Payload.schema()
	if err != nil {
		return nil, err
	}
	quoted, err := json.Marshal(schema)
	if err != nil {
		return nil, fmt.Errorf("cannot send the schema: %w", err)
	}
	b := []byte{'{'}
	if f.Keys > 0 {
		b = append(b, `"key_schema":"\"string\"",`...)
	}
	return append(append(append(b, `"value_schema":`...), quoted...), `,"records":[`...), nil
}

// avroID finds the text of the id in a value that was stored with a schema, in
// front of which there are a zero byte and the schema's id.
func avroID(value []byte) ([]byte, bool) {
	const frame = 5
	if len(value) <= frame || value[0] != 0 {
		return nil, false
	}
	size, n := binary.Varint(value[frame:])
	text := value[frame:]
	if n <= 0 || size < 0 || size > int64(len(text)-n) {
		return nil, false
	}
	return text[n : n+int(size)], true
}
