package server

import (
	"context"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

var metadataRoutes = []route{
	{"GET", "/", jsonAnswer, (*Server).root},
	{"GET", "/topics", jsonAnswer, (*Server).listTopics},
	{"GET", "/topics/{topic}", jsonAnswer, (*Server).describeTopic},
	{"GET", "/topics/{topic}/partitions", jsonAnswer, (*Server).listPartitions},
	{"GET", "/topics/{topic}/partitions/{partition}", jsonAnswer, (*Server).describePartition},
	{"GET", "/topics/{topic}/partitions/{partition}/offsets", jsonAnswer, (*Server).partitionOffsets},
	{"GET", "/brokers", jsonAnswer, (*Server).listBrokers},
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
	return respond(ctx, func(dst []byte) ([]byte, error) {
		return s.deps.Metadata.AppendTopics(lookUp, dst)
	})
}

// GET /topics/{topic}
func (s *Server) describeTopic(ctx *fasthttp.RequestCtx) error {
	topic, err := pathParam(ctx, "topic")
	if err != nil {
		return err
	}
	return s.strictly(respond(ctx, func(dst []byte) ([]byte, error) {
		return s.deps.Metadata.AppendTopic(lookUp, dst, topic)
	}))
}

// GET /topics/{topic}/partitions
func (s *Server) listPartitions(ctx *fasthttp.RequestCtx) error {
	topic, err := pathParam(ctx, "topic")
	if err != nil {
		return err
	}
	return s.strictly(respond(ctx, func(dst []byte) ([]byte, error) {
		return s.deps.Metadata.AppendPartitions(lookUp, dst, topic)
	}))
}

// GET /topics/{topic}/partitions/{partition}
func (s *Server) describePartition(ctx *fasthttp.RequestCtx) error {
	return s.aboutPartition(ctx, s.deps.Metadata.AppendPartition)
}

// GET /topics/{topic}/partitions/{partition}/offsets
func (s *Server) partitionOffsets(ctx *fasthttp.RequestCtx) error {
	return s.aboutPartition(ctx, s.deps.Metadata.AppendOffsets)
}

// aboutPartition answers with what appendTo says about the path's partition.
func (s *Server) aboutPartition(
	ctx *fasthttp.RequestCtx,
	appendTo func(ctx context.Context, dst []byte, topic string, partition int32) ([]byte, error),
) error {
	topic, err := pathParam(ctx, "topic")
	if err != nil {
		return err
	}
	partition, err := pathPartition(ctx)
	if err != nil {
		return err
	}
	return s.strictly(respond(ctx, func(dst []byte) ([]byte, error) {
		return appendTo(lookUp, dst, topic, partition)
	}))
}

// GET /brokers
func (s *Server) listBrokers(ctx *fasthttp.RequestCtx) error {
	return respond(ctx, func(dst []byte) ([]byte, error) {
		return s.deps.Metadata.AppendBrokers(lookUp, dst)
	})
}

// strictly gives a topic that is not there the code of today's Confluent proxy
// if api.compatibility.strict asks for that.
func (s *Server) strictly(err error) error {
	if s.settings.Strict && apierr.TopicNotFound.Is(err) {
		return &apierr.Error{Kind: apierr.TopicNotFoundStrict, Cause: err}
	}
	return err
}
