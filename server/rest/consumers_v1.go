package rest

import (
	"context"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/server"
)

// readTopic handles GET …/{instance}/topics/{topic}: the first call subscribes.
func (c *Consumers) readTopic(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaV1) // for errors
	instance, err := c.instance(ctx)
	if err != nil {
		return err
	}
	topic, err := server.PathParam(ctx, "topic")
	if err != nil {
		return err
	}
	if err := negotiateRecords(ctx, v1, instance.Options().Format); err != nil {
		return err
	}
	o, err := c.media.readOptions(ctx)
	if err != nil {
		return err
	}
	tellCap(ctx, o.Timeout, instance.Options().RequestTimeout)
	if ctx.IsHead() {
		return nil // as for the records of v2
	}
	o.Layout = codec.TopicLast
	return c.readBy(ctx, instance, func(life context.Context, dst []byte, d consumer.Delivery) ([]byte, error) {
		return instance.AppendTopic(life, dst, topic, o, d)
	})
}

// commitAll commits all returned records and responds with their offsets.
func commitAll(ctx *fasthttp.RequestCtx, instance *consumer.Instance) error {
	if len(server.RequestBody(ctx)) > 0 {
		return apierr.Unprocessable.New("In v1 a commit has no body: it commits all records that were answered.")
	}
	if err := instance.Commit(consume, nil); err != nil {
		return err
	}
	return server.RespondJSON(ctx, each(instance.Progress(), func(p consumer.Progress) progressAnswer {
		return progressAnswer{partitionOf(p.TopicPartition), p.Consumed, p.Committed}
	}))
}

// resetOfV1 returns the v2 value for an auto.offset.reset of v1.
func resetOfV1(word string) string {
	switch strings.ToLower(word) {
	case "smallest":
		return "earliest"
	case "largest":
		return "latest"
	}
	return word
}
