package rest

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/reader"
	"millrace/server"
)

const instancePath = "/consumers/{group}/instances/{instance}"

// Consumers is the resource of consumer instances, of v1 and v2.
type Consumers struct {
	edge    *server.Server
	media   *Media
	manager *consumer.Manager
	peers   Peers
}

// Peers describes how a read arrived that another node may have forwarded.
type Peers interface {
	// Repeated reports whether the node that forwards the request retries it, because it got no
	// response.
	Repeated(ctx *fasthttp.RequestCtx) bool
	// Passage returns the passage of the response through the node that forwards the request, nil
	// for a client's own request. announce is called when the response is complete.
	Passage(ctx *fasthttp.RequestCtx) (p *consumer.Passage, announce func())
}

// NewConsumers returns the resource. peers is nil for a single node.
func NewConsumers(edge *server.Server, m *Media, manager *consumer.Manager, peers Peers) *Consumers {
	return &Consumers{edge, m, manager, peers}
}

// Routes returns the resource's routes.
func (c *Consumers) Routes() []server.Route {
	route := func(method, path string, admit, h server.Handler) server.Route {
		return server.Route{
			Method: method, Path: instancePath + path, Instance: true, Admit: admit,
			Action: server.Consume, Resource: server.Group, Handle: h,
		}
	}
	withBody := func(method, path string, members server.Fields, admit, h server.Handler) server.Route {
		r := route(method, path, admit, h)
		r.Body = members
		return r
	}
	reads := func(path string, h server.Handler) server.Route {
		r := route("GET", path, nil, h)
		r.Waits, r.Query.Known = true, readQuery
		return r
	}
	asks := func(r server.Route, query ...string) server.Route {
		r.Query.Known = query
		return r
	}
	stream := route("GET", "/stream", nil, c.stream)
	stream.Query = server.Query{Known: []string{"on_decode_error", "headers", "timestamps"}, Only: true}
	m := c.media
	return []server.Route{
		{Method: "POST", Path: "/consumers/{group}", Body: instanceFields, Admit: m.callOfBoth, Action: server.Consume, Resource: server.Group, Handle: c.create},
		route("DELETE", "", m.call, c.delete),
		withBody("POST", "/subscription", subscriptionFields, m.call, c.subscribe),
		route("GET", "/subscription", m.call, c.subscription),
		route("DELETE", "/subscription", m.call, c.unsubscribe),
		withBody("POST", "/assignments", partitionsFields, m.call, c.assign),
		route("GET", "/assignments", m.call, c.assignments),
		withBody("POST", "/positions", positionsFields, m.call, c.seek),
		withBody("POST", "/positions/beginning", partitionsFields, m.call, c.seekToBeginning),
		withBody("POST", "/positions/end", partitionsFields, m.call, c.seekToEnd),
		asks(withBody("POST", "/offsets", offsetsFields, m.callOfBoth, c.commit), "async"),
		asks(withBody("GET", "/offsets", partitionsFields, m.call, c.committed), "topic", "partition"),
		reads("/records", c.records),
		reads("/topics/{topic}", c.readTopic),
		stream,
	}
}

// readQuery are the query parameters of a read of records.
var readQuery = []string{"timeout", "max_bytes", "headers", "timestamps"}

// consume is the context of all calls of an instance but reads, which end with their client
// ([server.Wait]). These calls bound themselves, and complete even if the client hangs up; a
// shutdown of the consumers ends their waits.
var consume = context.Background()

// create handles POST /consumers/{group}.
func (c *Consumers) create(ctx *fasthttp.RequestCtx) error {
	group, err := server.PathParam(ctx, "group")
	if err != nil {
		return err
	}
	opts := c.manager.Defaults()
	if err := readInstanceOptions(server.RequestBody(ctx), &opts); err != nil {
		return err
	}
	if c.media.version(ctx) == v1 {
		opts.OffsetReset = resetOfV1(opts.OffsetReset)
	}
	opts.Client = ctx.RemoteIP().String()
	caller := server.CallerOf(ctx)
	opts.Owner = caller.Principal()
	opts.MaxOfOwner, opts.Quota = caller.MaxConsumers()
	if opts.Login, _, err = c.edge.Login(ctx); err != nil {
		return err
	}
	instance, err := c.manager.Create(group, opts)
	if err != nil {
		if apierr.QuotaExceeded.Is(err) {
			caller.RefusedConsumer()
		}
		return err
	}
	uri := c.edge.BaseURL(ctx) + "/consumers/" + url.PathEscape(group) + "/instances/" + url.PathEscape(instance.Name())
	return server.RespondJSON(ctx, createdAnswer{InstanceID: instance.Name(), BaseURI: uri})
}

// delete handles DELETE …/{instance}: 404 when the instance is gone already. A client that
// retries after a lost response may take the 404 for success. Where the response was lost between
// nodes, the client has sent one request only, and gets the response of the first attempt.
func (c *Consumers) delete(ctx *fasthttp.RequestCtx) error {
	group, name, err := server.InstanceParams(ctx)
	if err != nil {
		return err
	}
	if _, err = c.owned(ctx, group, name); err == nil {
		err = c.manager.Delete(consume, group, name)
	}
	if apierr.InstanceNotFound.Is(err) && c.repeated(ctx) {
		err = nil
	}
	return noContent(ctx, err)
}

// subscribe handles POST …/subscription.
func (c *Consumers) subscribe(ctx *fasthttp.RequestCtx) error {
	return c.change(ctx, func(i *consumer.Instance) error {
		topics, pattern, err := readSubscription(server.RequestBody(ctx))
		switch {
		case err != nil:
			return err
		case topics != nil && pattern != nil:
			return apierr.IllegalState.New("A subscription has either topics or a topic_pattern, not both.")
		case c.media.settings.Strict && i.IsSubscribed(topics != nil):
			return apierr.IllegalState.New("Subscriptions to topics and to a topic_pattern exclude each other; delete the former first (api.compatibility.strict).")
		case pattern != nil && !server.CallerOf(ctx).MayAll(server.Consume, server.Topic):
			return apierr.Unauthorized.New("A topic_pattern is for callers that may consume from every topic. Name the topics.")
		case pattern != nil:
			return i.SubscribePattern(consume, *pattern)
		case topics != nil:
			for _, topic := range topics {
				if err := server.Allow(ctx, server.Consume, server.Topic, topic); err != nil {
					return err
				}
			}
			return i.Subscribe(consume, topics)
		}
		return apierr.Unprocessable.New("A subscription needs topics or a topic_pattern.")
	})
}

// subscription handles GET …/subscription.
func (c *Consumers) subscription(ctx *fasthttp.RequestCtx) error {
	instance, err := c.instance(ctx)
	if err != nil {
		return err
	}
	topics, err := instance.Subscription()
	if err != nil {
		return err
	}
	return server.RespondJSON(ctx, topicsAnswer{names(topics)})
}

// unsubscribe handles DELETE …/subscription.
func (c *Consumers) unsubscribe(ctx *fasthttp.RequestCtx) error {
	return c.change(ctx, func(i *consumer.Instance) error { return i.Unsubscribe(consume) })
}

// assign handles POST …/assignments.
func (c *Consumers) assign(ctx *fasthttp.RequestCtx) error {
	return c.change(ctx, func(i *consumer.Instance) error {
		tps, err := readPartitions(server.RequestBody(ctx))
		if err == nil {
			err = allowPartitions(ctx, tps)
		}
		if err != nil {
			return err
		}
		return i.Assign(consume, tps)
	})
}

// assignments handles GET …/assignments.
func (c *Consumers) assignments(ctx *fasthttp.RequestCtx) error {
	instance, err := c.instance(ctx)
	if err != nil {
		return err
	}
	tps, err := instance.Assignment()
	if err != nil {
		return err
	}
	return server.RespondJSON(ctx, partitionsAnswer{each(tps, partitionOf)})
}

// seek handles POST …/positions.
func (c *Consumers) seek(ctx *fasthttp.RequestCtx) error {
	return c.change(ctx, func(i *consumer.Instance) error {
		offsets, times, err := readPositions(server.RequestBody(ctx))
		if err != nil {
			return err
		}
		return i.Seek(consume, offsets, times)
	})
}

// seekToBeginning handles POST …/positions/beginning.
func (c *Consumers) seekToBeginning(ctx *fasthttp.RequestCtx) error {
	return c.change(ctx, func(i *consumer.Instance) error {
		tps, err := readPartitions(server.RequestBody(ctx))
		if err != nil {
			return err
		}
		return i.SeekToBeginning(consume, tps)
	})
}

// seekToEnd handles POST …/positions/end.
func (c *Consumers) seekToEnd(ctx *fasthttp.RequestCtx) error {
	return c.change(ctx, func(i *consumer.Instance) error {
		tps, err := readPartitions(server.RequestBody(ctx))
		if err != nil {
			return err
		}
		return i.SeekToEnd(consume, tps)
	})
}

// commit handles POST …/offsets: all returned records, or the offsets in the body.
func (c *Consumers) commit(ctx *fasthttp.RequestCtx) error {
	instance, err := c.instance(ctx)
	if err != nil {
		return err
	}
	if c.media.version(ctx) == v1 {
		return commitAll(ctx, instance)
	}
	async, err := server.QueryBool(ctx, "async")
	if err != nil {
		return err
	}
	var offsets []consumer.Offset
	if body := server.RequestBody(ctx); !server.IsAbsent(body) {
		if offsets, err = readOffsets(body); err != nil {
			return err
		}
		for _, o := range offsets {
			if err := server.Allow(ctx, server.Consume, server.Topic, o.Topic); err != nil {
				return err
			}
		}
	}
	if async {
		err = instance.CommitAsync(offsets)
	} else {
		err = instance.Commit(consume, offsets)
	}
	if err != nil {
		return err
	}
	ctx.SetBodyString(`[]`)
	return nil
}

// committed handles GET …/offsets: of the partitions in the body, or of those in the query.
func (c *Consumers) committed(ctx *fasthttp.RequestCtx) error {
	instance, err := c.instance(ctx)
	if err != nil {
		return err
	}
	var tps []consumer.TopicPartition
	if ctx.QueryArgs().Has("topic") {
		tps, err = queryPartitions(ctx)
	} else {
		tps, err = readPartitions(server.RequestBody(ctx))
	}
	if err == nil {
		err = allowPartitions(ctx, tps)
	}
	if err != nil {
		return err
	}
	offsets, err := instance.Committed(consume, tps)
	if err != nil {
		return err
	}
	return server.RespondJSON(ctx, offsetsAnswer{each(offsets, func(o consumer.Offset) offsetAnswer {
		return offsetAnswer{partitionOf(o.TopicPartition), o.Offset, o.Metadata}
	})})
}

// records handles GET …/records.
func (c *Consumers) records(ctx *fasthttp.RequestCtx) error {
	instance, err := c.instance(ctx)
	if err != nil {
		return err
	}
	if err := negotiateRecords(ctx, v2, instance.Options().Format); err != nil {
		return err
	}
	o, err := c.media.readOptions(ctx)
	if err != nil {
		return err
	}
	if err := mayRead(ctx, instance); err != nil {
		return err
	}
	tellCap(ctx, o.Timeout, instance.Options().RequestTimeout)
	if ctx.IsHead() {
		return nil // a HEAD request must not consume records that its client cannot see
	}
	return c.readBy(ctx, instance, func(life context.Context, dst []byte, d consumer.Delivery) ([]byte, error) {
		return instance.AppendRecords(life, dst, o, d)
	})
}

// readBy reads from an instance for a client, or for the node that forwarded the request.
func (c *Consumers) readBy(ctx *fasthttp.RequestCtx, i *consumer.Instance, read func(life context.Context, dst []byte, d consumer.Delivery) ([]byte, error)) error {
	if c.repeated(ctx) {
		if err := i.TakeBack(consume); err != nil {
			return err
		}
	}
	var d consumer.Delivery
	announce := func() {}
	if c.peers != nil {
		d.Passage, announce = c.peers.Passage(ctx)
	}
	if d.Passage == nil {
		d.Lost = server.ConnOf(ctx).Deliver()
	}
	err := server.Wait(ctx, func(life context.Context, dst []byte) ([]byte, error) { return read(life, dst, d) })
	if err != nil {
		return err
	}
	announce()
	return nil
}

func (c *Consumers) repeated(ctx *fasthttp.RequestCtx) bool {
	return c.peers != nil && c.peers.Repeated(ctx)
}

// stream handles GET …/{instance}/stream: the records of the instance, in its format.
func (c *Consumers) stream(ctx *fasthttp.RequestCtx) error {
	instance, err := c.instance(ctx)
	if err != nil {
		return err
	}
	contentType, frames, err := negotiateStream(ctx)
	if err != nil {
		return err
	}
	if err := mayRead(ctx, instance); err != nil {
		return err
	}
	q := consumer.StreamOptions{Frames: frames, Heartbeat: c.media.settings.StreamHeartbeat, Undecodable: instance.Options().Undecodable}
	if err := c.media.queryRecords(ctx, &q.Show, &q.Undecodable); err != nil {
		return err
	}
	if ctx.IsHead() {
		ctx.SetContentType(contentType)
		return nil
	}
	st, err := instance.OpenStream(consume, q)
	if err != nil {
		return err
	}
	server.KeepWhile(ctx, func(caller *auth.Identity) error { return mayReadAs(caller, instance) })
	return c.edge.Stream(ctx, contentType, func(to *server.Stream) error { return st.Run(to.Context(), to.Send) })
}

// readOptions reads the options of a read from the query and Accept.
func (m *Media) readOptions(ctx *fasthttp.RequestCtx) (o consumer.ReadOptions, err error) {
	timeout, err := server.QueryInt(ctx, "timeout", -1)
	if err != nil {
		return o, err
	}
	o.Timeout, o.NoWait = time.Duration(timeout)*time.Millisecond, timeout == 0
	if o.MaxBytes, err = server.QueryInt(ctx, "max_bytes", 0); err != nil {
		return o, err
	}
	err = m.shownAs(ctx, &o.Show)
	return o, err
}

// shownAs reads the form of records from the query and Accept.
func (m *Media) shownAs(ctx *fasthttp.RequestCtx, show *reader.Show) (err error) {
	if show.Dialect, err = m.acceptedDialect(ctx); err != nil {
		return err
	}
	if show.Headers, err = server.QueryBool(ctx, "headers"); err != nil {
		return err
	}
	show.Timestamps, err = server.QueryBool(ctx, "timestamps")
	return err
}

// change runs f on the path's instance and responds with 204.
func (c *Consumers) change(ctx *fasthttp.RequestCtx, f func(*consumer.Instance) error) error {
	instance, err := c.instance(ctx)
	if err != nil {
		return err
	}
	return noContent(ctx, f(instance))
}

func noContent(ctx *fasthttp.RequestCtx, err error) error {
	if err == nil {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
	}
	return err
}

// queryPartitions returns ?topic=t&partition=0&partition=1….
func queryPartitions(ctx *fasthttp.RequestCtx) ([]consumer.TopicPartition, error) {
	topic, err := server.QueryText(ctx, "topic", server.MaxName)
	if err != nil {
		return nil, err
	}
	numbers, err := server.QueryTexts(ctx, "partition", maxPartitions, server.MaxWord)
	if err != nil {
		return nil, err
	}
	var tps []consumer.TopicPartition
	for _, text := range numbers {
		n, err := strconv.ParseInt(string(text), 10, 32)
		if err != nil {
			return nil, apierr.BadRequest.New("The query parameter partition must be a partition number, not %q.", text)
		}
		tps = append(tps, consumer.TopicPartition{Topic: topic, Partition: int32(n)})
	}
	if len(tps) == 0 {
		return nil, apierr.Unprocessable.New("The query parameter topic needs at least one partition beside it.")
	}
	return tps, nil
}
