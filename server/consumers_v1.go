package server

import (
	"context"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/consumer"
	"millrace/internal/apierr"
)

// v1Routes are what v1 has beside v2 of consumer instances. The rest of a v1
// instance's life goes by the routes of v2, where the media types tell.
var v1Routes = []route{
	{"GET", instancePath + "/topics/{topic}", ownAnswer, (*Server).readTopic},
}

// GET …/{instance}/topics/{topic}: the first call subscribes.
func (s *Server) readTopic(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaV1) // for errors
	instance, err := s.instance(ctx)
	if err != nil {
		return err
	}
	topic, err := pathParam(ctx, "topic")
	if err != nil {
		return err
	}
	if err := negotiateRecords(ctx, v1, instance.Options().Format); err != nil {
		return err
	}
	o, err := s.readOptions(ctx)
	if err != nil {
		return err
	}
	if ctx.IsHead() {
		return nil // as for the records of v2
	}
	o.Layout = codec.TopicLast
	return s.readBy(ctx, instance, o, func(life context.Context, dst []byte, o consumer.ReadOptions) ([]byte, error) {
		return instance.AppendTopic(life, dst, topic, o)
	})
}

// commitAll commits what was answered and says where that is.
func commitAll(ctx *fasthttp.RequestCtx, instance *consumer.Instance) error {
	if len(requestBody(ctx)) > 0 {
		return apierr.Unprocessable.New("In v1 a commit has no body: it commits all records that were answered.")
	}
	if err := instance.Commit(consume, nil); err != nil {
		return err
	}
	return respond(ctx, func(dst []byte) ([]byte, error) {
		dst = append(dst, '[')
		for n, p := range instance.Progress() {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = appendTopicPartition(dst, p.TopicPartition)
			dst = append(dst, `,"consumed":`...)
			dst = strconv.AppendInt(dst, p.Consumed, 10)
			dst = append(dst, `,"committed":`...)
			dst = append(strconv.AppendInt(dst, p.Committed, 10), '}')
		}
		return append(dst, ']'), nil
	})
}

// resetOfV1 is the present word for an auto.offset.reset of v1.
func resetOfV1(word string) string {
	switch strings.ToLower(word) {
	case "smallest":
		return "earliest"
	case "largest":
		return "latest"
	}
	return word
}
