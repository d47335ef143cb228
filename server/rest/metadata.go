package rest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/server"
)

// Metadata is the resource that describes the Kafka cluster.
type Metadata struct {
	edge  *server.Server
	media *Media
	cache *metadata.Cache
}

// NewMetadata returns the resource, which responds from the cache.
func NewMetadata(edge *server.Server, m *Media, cache *metadata.Cache) *Metadata {
	return &Metadata{edge, m, cache}
}

// Routes returns the resource's routes.
func (m *Metadata) Routes() []server.Route {
	route := func(path string, of server.Resource, h server.Handler) server.Route {
		return server.Route{Method: "GET", Path: path, Admit: m.media.negotiate, Action: server.Describe, Resource: of, Handle: h, Query: server.Query{Known: []string{"max_age", "wait"}}}
	}
	return []server.Route{
		{Method: "GET", Path: "/", Admit: m.media.negotiate, Action: server.Describe, Resource: server.Node, Handle: m.root},
		route("/topics", server.Topics, m.listTopics),
		route("/topics/{topic}", server.Topic, m.describeTopic),
		route("/topics/{topic}/partitions", server.Topic, m.listPartitions),
		route(partitionPath, server.Topic, m.describePartition),
		route(partitionPath+"/offsets", server.Topic, m.partitionOffsets),
		route(brokersPath, server.Cluster, m.listBrokers),
		{Method: "GET", Path: "/metadata/changes", Query: server.Query{Only: true}, Action: server.Describe, Resource: server.Topics, Handle: m.changes},
	}
}

const brokersPath = "/brokers"

// lookUp is the context of a look-up in the cluster's metadata. The cache bounds each look-up by
// its own time-out; fasthttp's context would end only with a drain, and a drain completes the
// requests in flight.
var lookUp = context.Background()

// root handles GET /: an empty object, because there is nothing to report about the node itself.
func (m *Metadata) root(ctx *fasthttp.RequestCtx) error {
	ctx.SetBodyString(`{}`)
	return nil
}

// listTopics handles GET /topics.
func (m *Metadata) listTopics(ctx *fasthttp.RequestCtx) error {
	return m.known(ctx, metadata.Query{Of: metadata.AllTopics, Visible: visibleTo(server.CallerOf(ctx))})
}

// describeTopic handles GET /topics/{topic}.
func (m *Metadata) describeTopic(ctx *fasthttp.RequestCtx) error {
	return m.aboutTopic(ctx, metadata.OneTopic)
}

// listPartitions handles GET /topics/{topic}/partitions.
func (m *Metadata) listPartitions(ctx *fasthttp.RequestCtx) error {
	return m.aboutTopic(ctx, metadata.TopicPartitions)
}

// describePartition handles GET /topics/{topic}/partitions/{partition}.
func (m *Metadata) describePartition(ctx *fasthttp.RequestCtx) error {
	return m.aboutPartition(ctx, metadata.OnePartition)
}

// partitionOffsets handles GET /topics/{topic}/partitions/{partition}/offsets.
func (m *Metadata) partitionOffsets(ctx *fasthttp.RequestCtx) error {
	return m.aboutPartition(ctx, metadata.PartitionOffsets)
}

// listBrokers handles GET /brokers.
func (m *Metadata) listBrokers(ctx *fasthttp.RequestCtx) error {
	return m.known(ctx, metadata.Query{Of: metadata.AllBrokers})
}

func (m *Metadata) aboutTopic(ctx *fasthttp.RequestCtx, of metadata.Resource) error {
	topic, err := server.PathParam(ctx, "topic")
	if err != nil {
		return err
	}
	return m.strictly(m.known(ctx, metadata.Query{Of: of, Topic: topic}))
}

func (m *Metadata) aboutPartition(ctx *fasthttp.RequestCtx, of metadata.Resource) error {
	topic, err := server.PathParam(ctx, "topic")
	if err != nil {
		return err
	}
	partition, err := pathPartition(ctx)
	if err != nil {
		return err
	}
	return m.strictly(m.known(ctx, metadata.Query{Of: of, Topic: topic, Partition: partition}))
}

// known responds to q: in full, or with 304 if the client has the current ETag.
func (m *Metadata) known(ctx *fasthttp.RequestCtx, q metadata.Query) error {
	var r metadata.Reply
	var awaited string
	var err error
	if len(ctx.URI().QueryString()) == 0 { // true of most requests
		r, err = m.cache.Answer(lookUp, q)
	} else {
		r, awaited, err = m.demanded(ctx, q)
	}
	if err != nil {
		return err
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderETag, r.ETag)
	// A cache may store the response if it revalidates, which is cheap: a lifetime in a cache
	// would add to the age that the answer has already.
	h.Set(fasthttp.HeaderCacheControl, "no-cache")
	h.Add(fasthttp.HeaderVary, fasthttp.HeaderAccept)
	if r.Stale {
		h.Set(fasthttp.HeaderAge, strconv.Itoa(int(r.Age/time.Second)))
		h.Set("Warning", `110 - "Response is Stale"`)
	}
	tag := server.HeldTag(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch), r.ETag)
	if tag == "" && awaited == r.ETag {
		tag = awaited
	}
	if tag != "" {
		h.Set(fasthttp.HeaderETag, tag)
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		h.SetContentType("")
		return nil
	}
	ctx.Response.SetBodyRaw(r.Body)
	return nil
}

// demanded answers q under the demands of the query: ?max_age= bounds the age of the answer,
// ?wait=ETAG,30s waits until the answer differs from ETAG, or, without ETAG, from If-None-Match.
// awaited is the ETag that it must differ from.
func (m *Metadata) demanded(ctx *fasthttp.RequestCtx, q metadata.Query) (r metadata.Reply, awaited string, err error) {
	args := ctx.QueryArgs()
	if args.Has("max_age") {
		q.Bounded = true
		text, err := server.QueryText(ctx, "max_age", server.MaxWord)
		if err != nil {
			return r, "", err
		}
		if q.Younger, err = server.QueryPeriod("max_age", text); err != nil {
			return r, "", err
		}
	}
	if !args.Has("wait") {
		r, err = m.cache.Answer(lookUp, q)
		return r, "", err
	}
	wait, err := server.QueryText(ctx, "wait", server.MaxName)
	if err != nil {
		return r, "", err
	}
	tag, text, both := strings.Cut(wait, ",")
	if !both {
		text, tag = tag, string(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch))
	}
	if tag == "" {
		return r, "", apierr.BadRequest.New("The query parameter wait needs the ETag of the answer that the client has: wait=ETAG,30s, or If-None-Match and wait=30s.")
	}
	timeout, err := server.QueryPeriod("wait", text)
	if err != nil {
		return r, "", err
	}
	m.edge.Waits(ctx)
	awaited = `"` + server.PlainTag(tag) + `"`
	c := server.ConnOf(ctx)
	defer c.Unattend()
	life, cancel := context.WithCancel(c.Attend())
	defer cancel()
	defer context.AfterFunc(m.edge.Streaming(), cancel)()
	r, err = m.cache.Await(life, q, awaited, timeout)
	return r, awaited, err
}

// strictly gives a topic that does not exist the code of today's Confluent proxy if
// api.compatibility.strict is on.
func (m *Metadata) strictly(err error) error {
	if m.media.settings.Strict && apierr.TopicNotFound.Is(err) {
		return &apierr.Error{Kind: apierr.TopicNotFoundStrict, Cause: err}
	}
	return err
}
