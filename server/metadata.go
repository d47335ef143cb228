package server

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/metadata"
)

var metadataRoutes = []route{
	{"GET", "/", jsonAnswer, (*Server).root},
	{"GET", "/topics", jsonAnswer, (*Server).listTopics},
	{"GET", "/topics/{topic}", jsonAnswer, (*Server).describeTopic},
	{"GET", "/topics/{topic}/partitions", jsonAnswer, (*Server).listPartitions},
	{"GET", "/topics/{topic}/partitions/{partition}", jsonAnswer, (*Server).describePartition},
	{"GET", "/topics/{topic}/partitions/{partition}/offsets", jsonAnswer, (*Server).partitionOffsets},
	{"GET", "/brokers", jsonAnswer, (*Server).listBrokers},
	{"GET", "/metadata/changes", ownAnswer, (*Server).changes},
}

// lookUp is the context of a look-up in the cluster's metadata. The cache
// bounds each by its own time-out; fasthttp's context would add an end only
// when a drain begins, and a drain answers what is in flight.
var lookUp = context.Background()

// GET /: there is nothing to say about the proxy itself.
func (s *Server) root(ctx *fasthttp.RequestCtx) error {
	ctx.SetBodyString(`{}`)
	return nil
}

// GET /topics
func (s *Server) listTopics(ctx *fasthttp.RequestCtx) error {
	return s.known(ctx, metadata.Query{Of: metadata.AllTopics})
}

// GET /topics/{topic}
func (s *Server) describeTopic(ctx *fasthttp.RequestCtx) error {
	return s.aboutTopic(ctx, metadata.OneTopic)
}

// GET /topics/{topic}/partitions
func (s *Server) listPartitions(ctx *fasthttp.RequestCtx) error {
	return s.aboutTopic(ctx, metadata.TopicPartitions)
}

// GET /topics/{topic}/partitions/{partition}
func (s *Server) describePartition(ctx *fasthttp.RequestCtx) error {
	return s.aboutPartition(ctx, metadata.OnePartition)
}

// GET /topics/{topic}/partitions/{partition}/offsets
func (s *Server) partitionOffsets(ctx *fasthttp.RequestCtx) error {
	return s.aboutPartition(ctx, metadata.PartitionOffsets)
}

// GET /brokers
func (s *Server) listBrokers(ctx *fasthttp.RequestCtx) error {
	return s.known(ctx, metadata.Query{Of: metadata.AllBrokers})
}

func (s *Server) aboutTopic(ctx *fasthttp.RequestCtx, of metadata.Resource) error {
	topic, err := pathParam(ctx, "topic")
	if err != nil {
		return err
	}
	return s.strictly(s.known(ctx, metadata.Query{Of: of, Topic: topic}))
}

func (s *Server) aboutPartition(ctx *fasthttp.RequestCtx, of metadata.Resource) error {
	topic, err := pathParam(ctx, "topic")
	if err != nil {
		return err
	}
	partition, err := pathPartition(ctx)
	if err != nil {
		return err
	}
	return s.strictly(s.known(ctx, metadata.Query{Of: of, Topic: topic, Partition: partition}))
}

// known answers q: in full, or with 304 if the client has that answer already.
func (s *Server) known(ctx *fasthttp.RequestCtx, q metadata.Query) error {
	var r metadata.Reply
	var awaited string
	var err error
	if len(ctx.URI().QueryString()) == 0 { // as most requests
		r, err = s.deps.Metadata.Answer(lookUp, q)
	} else {
		r, awaited, err = s.demanded(ctx, q)
	}
	if err != nil {
		return err
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderETag, r.ETag)
	// Caches may keep the answer if they ask whether it still holds, which is
	// cheap: anything longer would come on top of the age that it has already.
	h.Set(fasthttp.HeaderCacheControl, "no-cache")
	h.Add(fasthttp.HeaderVary, fasthttp.HeaderAccept)
	if r.Stale {
		h.Set(fasthttp.HeaderAge, strconv.Itoa(int(r.Age/time.Second)))
		h.Set("Warning", `110 - "Response is Stale"`)
	}
	tag := held(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch), r.ETag)
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

// demanded answers q as the query demands: ?max_age= bounds the age of the
// answer, ?wait=ETAG,30s waits for another one than ETAG, or, without ETAG,
// than If-None-Match has. awaited is what it was not to be.
func (s *Server) demanded(ctx *fasthttp.RequestCtx, q metadata.Query) (r metadata.Reply, awaited string, err error) {
	args := ctx.QueryArgs()
	if args.Has("max_age") {
		q.Bounded = true
		text, err := queryText(ctx, "max_age", maxWord)
		if err != nil {
			return r, "", err
		}
		if q.Younger, err = queryPeriod("max_age", text); err != nil {
			return r, "", err
		}
	}
	if !args.Has("wait") {
		r, err = s.deps.Metadata.Answer(lookUp, q)
		return r, "", err
	}
	wait, err := queryText(ctx, "wait", maxName)
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
	timeout, err := queryPeriod("wait", text)
	if err != nil {
		return r, "", err
	}
	s.figures.waits(ctx)
	awaited = `"` + plainTag(tag) + `"`
	c := connOf(ctx)
	defer c.unattend()
	life, cancel := context.WithCancel(c.attend())
	defer cancel()
	defer context.AfterFunc(s.streaming, cancel)()
	r, err = s.deps.Metadata.Await(life, q, awaited, timeout)
	return r, awaited, err
}

// queryPeriod reads a time of a query parameter: a number of milliseconds, or
// one with its unit, as in 500ms and 30s.
func queryPeriod(name, text string) (time.Duration, error) {
	if ms, err := strconv.ParseInt(text, 10, 32); err == nil && ms >= 0 {
		return time.Duration(ms) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, apierr.BadRequest.New("The time in the query parameter %s must be a number of milliseconds or one with its unit, such as 500ms or 30s, not %q.", name, text)
	}
	return d, nil
}

// held returns the ETag in an If-None-Match header that stands for the answer
// of that tag, in whatever encoding the client has it, or "" if none does
// (RFC 9110 §13.1.2).
func held(header []byte, tag string) string {
	if len(header) == 0 {
		return ""
	}
	if string(header) == tag {
		return tag
	}
	for one := range strings.SplitSeq(string(header), ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == "*" {
			return tag
		}
		if plainTag(one) != tag[1:len(tag)-1] {
			continue
		}
		for _, encoding := range encodings {
			if one == encodedTag([]byte(tag), encoding) {
				return one
			}
		}
		return tag
	}
	return ""
}

// plainTag takes off an ETag what [encodedTag] and caches may have added, and
// its quotes.
func plainTag(tag string) string {
	tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
	tag, _, _ = strings.Cut(tag, "-")
	return tag
}

// encodedTag is the ETag of an answer in another encoding: its bytes are others.
func encodedTag(tag []byte, encoding string) string {
	return string(tag[:len(tag)-1]) + "-" + encoding + `"`
}

// strictly gives a topic that is not there the code of today's Confluent proxy
// if api.compatibility.strict asks for that.
func (s *Server) strictly(err error) error {
	if s.settings.Strict && apierr.TopicNotFound.Is(err) {
		return &apierr.Error{Kind: apierr.TopicNotFoundStrict, Cause: err}
	}
	return err
}
