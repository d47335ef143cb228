package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/codec/avro"
)

// payload is what produce requests of one format carry.
type payload struct {
	format string
	// members stand in each request before its records, each with a comma behind it.
	members string
	sent    [][]byte // values as a request has them; base64 is put around them later
	stored  [][]byte // the same as Kafka then holds them
}

// contentType is that of a request.
func (p *payload) contentType() string {
	if p.format == ndjsonFormat {
		return "application/x-ndjson"
	}
	return fmt.Sprintf("application/vnd.kafka.%s.v2+json", p.format)
}

// bodies are requests of n records each that together have all values.
func (p *payload) bodies(n int) [][]byte {
	if p.format == ndjsonFormat {
		return lineBodies(p.sent, n)
	}
	return requestBodies(p.sent, n, p.format, p.members)
}

// payload returns values of a size in a format, made at the first call.
func (b *bench) payload(ctx context.Context, format string, size int) (*payload, error) {
	key := payloadKey{format, size}
	if p := b.payloads[key]; p != nil {
		return p, nil
	}
	values, err := b.values(size)
	if err != nil {
		return nil, err
	}
	p := &payload{format: format, sent: values, stored: values}
	if format == avroFormat {
		if err := p.encode(ctx, b.registry); err != nil {
			return nil, err
		}
	}
	b.payloads[key] = p
	return p, nil
}

type payloadKey struct {
	format string
	size   int
}

const avroFormat = "avro"

// valueSchema is the Avro schema of [realValues], which are flat objects of
// strings under ever other names.
const valueSchema = `{"type":"map","values":"string"}`

// encode makes p one of Avro, with its schema by id.
func (p *payload) encode(ctx context.Context, registry string) error {
	id, err := register(ctx, registry, "bench-value", valueSchema)
	if err != nil {
		return err
	}
	p.members = fmt.Sprintf(`"value_schema_id":%d,`, id)
	p.stored, err = storedAvro(valueSchema, id, p.sent)
	return err
}

// register gives a schema to the registry and returns its id.
func register(ctx context.Context, registry, subject, schema string) (int, error) {
	client, err := sr.NewClient(sr.URLs(registry))
	if err != nil {
		return 0, fmt.Errorf("cannot build the registry's client: %w", err)
	}
	registered, err := client.CreateSchema(ctx, subject, sr.Schema{Schema: schema})
	if err != nil {
		return 0, fmt.Errorf("cannot register schema %s: %w", subject, err)
	}
	return registered.ID, nil
}

// storedAvro is what Kafka holds of values in Avro's JSON: the frame that names
// their schema, and their bytes.
func storedAvro(schema string, id int, values [][]byte) ([][]byte, error) {
	compiled, err := avro.Compile(schema, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot compile a schema: %w", err)
	}
	stored := make([][]byte, len(values))
	for i, v := range values {
		if stored[i], err = compiled.AppendEncoded(codec.AppendFrame(nil, int32(id)), v, codec.Tagged, nil); err != nil {
			return nil, fmt.Errorf("cannot encode a value: %w", err)
		}
	}
	return stored, nil
}

// registrySettings let millrace take schemas by id.
func (b *bench) registrySettings() []string {
	return []string{"schema.registry.url=" + b.registry, "schema.registry.check.subject=false"}
}

// quoted is a schema's text as a member of a request.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // strings have a JSON
	}
	return string(b)
}
