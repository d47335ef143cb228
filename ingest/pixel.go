package ingest

import (
	"slices"

	"github.com/valyala/fasthttp"

	"millrace/codec/json"
	"millrace/internal/apierr"
	"millrace/pool"
	"millrace/server"
)

// pixel is a transparent GIF of one pixel.
var pixel = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

// maxParams bounds the query parameters of an event.
const maxParams = 100

// getPixel handles GET /ingest/{topic}/pixel.gif: the query is the event, as a JSON object, for
// pages without a script. Only routes of the file have it that ask for it, since any page
// anywhere may name the picture. HEAD writes nothing: it is what previews and crawlers send.
func (in *Ingest) getPixel(ctx *fasthttp.RequestCtx) error {
	name, err := server.PathParam(ctx, "topic")
	if err != nil {
		return err
	}
	route := in.table.Load().routes[name]
	if route == nil || !route.pixel {
		return apierr.NotFound.New("The ingest route %s has no pixel.gif.", name)
	}
	if !ctx.IsHead() {
		topic, err := route.topicOf(ctx)
		if err == nil {
			err = in.pixelEvent(ctx, route, topic)
		}
		if err != nil {
			return err
		}
	}
	ctx.SetStatusCode(fasthttp.StatusOK)
	ctx.SetContentType("image/gif")
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.SetBodyRaw(pixel)
	return nil
}

// pixelEvent writes the event of a query.
func (in *Ingest) pixelEvent(ctx *fasthttp.RequestCtx, route *Route, topic string) error {
	if n := ctx.QueryArgs().Len(); n == 0 || n > maxParams {
		return apierr.Unprocessable.New("The query of pixel.gif is the event: it must have 1 to %d parameters.", maxParams)
	}
	b := pool.GetBuffer(2 * len(ctx.URI().QueryString()))
	b.B = appendQuery(b.B, ctx.QueryArgs())
	job := in.producer.Acquire()
	job.Body, b.B = b.B, job.Body
	b.Release()
	return in.deliver(ctx, job, request{route: route, topic: topic, form: values, minimal: true})
}

// appendQuery appends a query as a JSON object of texts. Of parameters with the same name the
// last counts.
func appendQuery(dst []byte, query *fasthttp.Args) []byte {
	var names []string
	for name := range query.All() {
		names = append(names, string(name))
	}
	dst = append(dst, '{')
	i := 0
	for _, value := range query.All() {
		name := names[i]
		i++
		if slices.Contains(names[i:], name) {
			continue
		}
		dst = json.AppendString(dst, name)
		dst = append(dst, ':')
		dst = json.AppendString(dst, string(value))
		dst = append(dst, ',')
	}
	dst[len(dst)-1] = '}'
	return dst
}
