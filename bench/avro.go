package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"millrace/codec"
	"millrace/codec/avro"
	"millrace/internal/testkit"
)

// citations are real records in the forms that the avro suite compares: the
// same event as JSON, as Avro's JSON, and as the bytes that Kafka holds of it.
type citations struct {
	plain, tagged, stored [][]byte
	id                    int // of their schema
}

// avroSuite measures what a record with a schema costs beside the same event
// as JSON: written, and read in pages of 1 MiB.
func (b *bench) avroSuite(ctx context.Context) error {
	// One in memory: only the first request asks it.
	registry := srfake.New()
	defer registry.Close()
	events, err := loadCitations(ctx, registry.URL())
	if err != nil {
		return err
	}
	set := []string{"schema.registry.url=" + registry.URL(), "schema.registry.check.subject=false"}
	for _, n := range b.opts.records {
		if err := b.writeCitations(ctx, n, events, set); err != nil {
			return err
		}
	}
	return b.readCitations(ctx, events, set)
}

// loadCitations makes the forms of the citations and registers their schema.
func loadCitations(ctx context.Context, registry string) (*citations, error) {
	lines, err := parkingCitations()
	if err != nil {
		return nil, err
	}
	schema, err := avro.Compile(testkit.CitationSchema, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot compile the schema of a citation: %w", err)
	}
	client, err := sr.NewClient(sr.URLs(registry))
	if err != nil {
		return nil, fmt.Errorf("cannot build the registry's client: %w", err)
	}
	registered, err := client.CreateSchema(ctx, "citation-value", sr.Schema{Schema: testkit.CitationSchema})
	if err != nil {
		return nil, fmt.Errorf("cannot register the schema of a citation: %w", err)
	}
	c := &citations{id: registered.ID}
	for _, l := range lines {
		plain, err := testkit.AvroCitation(l, false)
		if err != nil {
			return nil, err
		}
		tagged, err := testkit.AvroCitation(l, true)
		if err != nil {
			return nil, err
		}
		stored, err := schema.AppendEncoded(codec.AppendFrame(nil, int32(c.id)), tagged, codec.Tagged, nil)
		if err != nil {
			return nil, fmt.Errorf("cannot encode a citation: %w", err)
		}
		c.plain, c.tagged, c.stored = append(c.plain, plain), append(c.tagged, tagged), append(c.stored, stored)
	}
	return c, nil
}

// quoted is a schema's text as a member of a request.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // strings have a JSON
	}
	return string(b)
}

// writeCitations compares the formats at n records a request.
func (b *bench) writeCitations(ctx context.Context, n int, events *citations, set []string) error {
	send := func(contentType string, bodies [][]byte) func(context.Context, point, []string) (window, error) {
		return func(ctx context.Context, p point, topics []string) (window, error) {
			t, err := startMillrace(ctx, b.binary, append(b.millraceSettings(p.Compression), set...)...)
			if err != nil {
				return window{}, err
			}
			defer t.stop()
			return callChild(ctx, childLoad, loadSpec{
				URLs: []string{t.url + "/topics/" + topics[0]}, Method: "POST", ContentType: contentType, Accept: v2JSON,
				Bodies: bodies, Connections: p.Connections, Records: p.Records, PID: t.pid, Timing: b.opts.timing,
			})
		}
	}
	id := fmt.Sprintf(`"value_schema_id":%d,`, events.id)
	text := fmt.Sprintf(`"value_schema":%s,`, quoted(testkit.CitationSchema)) // what most clients do
	all := []contender{
		{server: millraceJSON, kafka: true, run: send(v2JSONRecords, requestBodies(events.plain, n, "json"))},
		{server: millraceAvro, kafka: true, run: send(v2AvroRecords, requestBodiesWith(events.tagged, n, "avro", id))},
		{server: millraceText, kafka: true, run: send(v2AvroRecords, requestBodiesWith(events.tagged, n, "avro", text))},
	}
	p := point{Records: n, Connections: connections(n), Compression: "none"}
	return b.producePoint(ctx, "avro", p, all)
}

// readCitations compares reading them.
func (b *bench) readCitations(ctx context.Context, events *citations, set []string) error {
	const page = 1 << 20
	specs := []fetchSpec{{Format: "json"}, {Format: "avro"}}
	rows := make([]*row, len(specs))
	for i, values := range [][][]byte{events.plain, events.stored} {
		topic, err := b.filledTopic(ctx, values)
		if err != nil {
			return err
		}
		defer b.cluster.deleteTopic(ctx, topic)
		specs[i] = fetchSpec{
			Brokers: b.cluster.brokers, Topic: topic, Format: specs[i].Format, PageBytes: page,
			Records: b.opts.fetchRecords, Timing: b.opts.timing,
		}
		rows[i] = &row{Suite: "avro", Server: "millrace " + specs[i].Format, Connections: 1, PageBytes: page, Compression: "none"}
	}
	return b.measure(ctx, rows, func(i int) (window, error) {
		return b.readMillrace(ctx, childFetchClient, specs[i], set...)
	})
}
