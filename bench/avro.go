package main

import (
	"context"
	"fmt"

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
	events, err := loadCitations(ctx, b.registry)
	if err != nil {
		return err
	}
	for _, n := range b.opts.citationRecords() {
		if err := b.writeCitations(ctx, n, events); err != nil {
			return err
		}
	}
	return b.readCitations(ctx, events)
}

// loadCitations makes the forms of the citations and registers their schema.
func loadCitations(ctx context.Context, registry string) (*citations, error) {
	lines, err := parkingCitations()
	if err != nil {
		return nil, err
	}
	c := &citations{}
	if c.id, err = register(ctx, registry, "citation-value", testkit.CitationSchema); err != nil {
		return nil, err
	}
	for _, l := range lines {
		plain, err := testkit.AvroCitation(l, false)
		if err != nil {
			return nil, err
		}
		tagged, err := testkit.AvroCitation(l, true)
		if err != nil {
			return nil, err
		}
		c.plain, c.tagged = append(c.plain, plain), append(c.tagged, tagged)
	}
	c.stored, err = storedAvro(testkit.CitationSchema, c.id, c.tagged)
	return c, err
}

// writeCitations compares the formats at n records a request.
func (b *bench) writeCitations(ctx context.Context, n int, events *citations) error {
	at := place{Suite: "avro", Records: n, Connections: connections(n), Compression: "none"}
	way := func(server string, body payload) contender {
		return contender{server: server, at: at, kafka: true, run: func(ctx context.Context, at place, topics []string) (window, error) {
			t, err := startMillrace(ctx, b.binary, append(b.millraceSettings(at.Compression), b.registrySettings()...)...)
			if err != nil {
				return window{}, err
			}
			defer t.stop()
			return b.send(ctx, t, at, topics, &body)
		}}
	}
	id := fmt.Sprintf(`"value_schema_id":%d,`, events.id)
	text := fmt.Sprintf(`"value_schema":%s,`, quoted(testkit.CitationSchema)) // what most clients do
	return b.produceRows(ctx, []contender{
		way(millraceJSON, payload{format: "json", sent: events.plain, stored: events.plain}),
		way(millraceAvro, payload{format: avroFormat, sent: events.tagged, stored: events.stored, members: id}),
		way(millraceText, payload{format: avroFormat, sent: events.tagged, stored: events.stored, members: text}),
	})
}

// readCitations compares reading them.
func (b *bench) readCitations(ctx context.Context, events *citations) error {
	const page = 1 << 20
	specs := []fetchSpec{{Format: "json"}, {Format: avroFormat}}
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
		rows[i] = &row{Server: "millrace " + specs[i].Format, place: place{Suite: "avro", Connections: 1, PageBytes: page, Compression: "none"}}
	}
	return b.measure(ctx, rows, func(i int) (window, error) {
		return b.readMillrace(ctx, childFetchClient, specs[i], b.registrySettings()...)
	})
}
