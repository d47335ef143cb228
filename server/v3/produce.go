package v3

import (
	"context"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/metrics"
	"millrace/schema"
	"millrace/server"
)

// ProduceSettings are the settings of [Produce].
type ProduceSettings struct {
	// MaxRecordBytes bounds the JSON text of one record (request.max.bytes).
	MaxRecordBytes int
	// MaxEntries bounds the entries of a batch (produce.batch.maximum.entries).
	MaxEntries int
	// Dialect is how values of Avro are written.
	Dialect codec.Dialect
	// NullsAreTombstones stores null data as a null of Kafka although it has a schema.
	NullsAreTombstones bool
}

// Produce is the resource that writes records.
type Produce struct {
	edge     *server.Server
	cache    *metadata.Cache
	producer *batch.Producer
	schemas  *schema.Registry
	settings ProduceSettings
	counts   [codec.SchemaData + 1]*metrics.Format // of records, by the type of their values
}

// NewProduce returns the resource. schemas is nil without a registry.
func NewProduce(edge *server.Server, cache *metadata.Cache, p *batch.Producer, schemas *schema.Registry, s ProduceSettings) *Produce {
	r := &Produce{edge: edge, cache: cache, producer: p, schemas: schemas, settings: s}
	for t := range r.counts {
		name := codec.JSON.String()
		if t := codec.DataType(t); t > codec.NoData && t < codec.SchemaData {
			name = strings.ToLower(t.String())
		}
		r.counts[t] = edge.Metrics().Format(name)
	}
	return r
}

// Routes returns the resource's routes.
func (p *Produce) Routes() []server.Route {
	const records = clusterPath + "/topics/{topic}/records"
	return []server.Route{
		{Method: "POST", Path: records, Name: "api.v3.produce.produce-to-topic", Admit: admit, Content: typedJSON, Streamed: true, Waits: true, Action: server.Produce, Resource: server.Topic, Handle: p.records},
		{Method: "POST", Path: records + ":batch", Name: "api.v3.batch-produce.produce-to-topic", Admit: admit, Content: typedJSON, Ready: p.ready, Action: server.Produce, Resource: server.Topic, Handle: p.batch},
	}
}

// typedJSON is the content of a request that produces, which must name its type.
var typedJSON = []string{server.MediaJSON}

// ready returns why the body of a batch need not be read: the producer could not take it.
func (p *Produce) ready(ctx *fasthttp.RequestCtx, size int) error {
	return p.producer.Ready(p.edge.HolderOf(ctx), max(size, 0))
}

// records handles POST …/records.
func (p *Produce) records(ctx *fasthttp.RequestCtx) error {
	topic, err := p.target(ctx)
	if err != nil {
		return err
	}
	s := &stream{
		of: p, topic: topic, client: p.edge.SenderOf(ctx), trace: server.TraceOf(ctx), holder: p.edge.HolderOf(ctx),
		minimal: server.PrefersMinimal(ctx), head: p.head(ctx, topic), quota: p.edge.RecordQuotaOf(ctx), anySubject: mayNameSubjects(ctx, topic),
	}
	return p.edge.Exchange(ctx, server.MediaJSON, s.run)
}

// target checks what all produce requests have in common, and returns their topic.
func (p *Produce) target(ctx *fasthttp.RequestCtx) (topic string, err error) {
	id, err := server.PathParam(ctx, "cluster_id")
	if err != nil {
		return "", err
	}
	known, err := p.clusterID()
	if err != nil {
		return "", err
	}
	if id != known {
		return "", apierr.NotFound.New("There is no cluster %q here; this node serves %q.", id, known)
	}
	return server.PathParam(ctx, "topic")
}

// clusterID returns the id of the Kafka cluster, which never changes.
func (p *Produce) clusterID() (string, error) {
	if id := p.cache.Known().ClusterID; id != "" {
		return id, nil
	}
	if err := p.cache.Healthy(); err != nil {
		return "", err
	}
	view, err := p.cache.Snapshot(context.Background()) // bounded by the cache's own timeout
	if err != nil {
		return "", err
	}
	return view.ClusterID, nil
}

// head returns how each result begins: with what all of a request have in common.
func (p *Produce) head(ctx *fasthttp.RequestCtx, topic string) []byte {
	id, _ := server.PathParam(ctx, "cluster_id")
	dst := json.AppendString([]byte(`"cluster_id":`), id)
	dst = json.AppendString(append(dst, `,"topic_name":`...), topic)
	return append(dst, `,"partition_id":`...)
}
