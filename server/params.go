package server

import (
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// pathParam returns a parameter of the route's path, percent-decoding undone.
func pathParam(ctx *fasthttp.RequestCtx, name string) (string, error) {
	raw, _ := ctx.UserValue(name).(string)
	text, err := url.PathUnescape(raw)
	if err != nil {
		return "", apierr.BadRequest.Wrap(err, "The path is not percent-encoded correctly.")
	}
	if !utf8.ValidString(text) {
		return "", apierr.BadRequest.New("A name in the path is not UTF-8.")
	}
	return text, nil
}

// pathPartition returns the partition that the path names. What is no number
// names nothing, and a negative one no partition.
func pathPartition(ctx *fasthttp.RequestCtx) (int32, error) {
	text, err := pathParam(ctx, "partition")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, apierr.NotFound.New("%q is not a partition number.", text)
	}
	if n < 0 {
		return 0, apierr.PartitionNotFound.New("There is no partition %d; partitions count from 0.", n)
	}
	return int32(n), nil
}
