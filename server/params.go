package server

import (
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// pathParam returns a parameter of the route's path, percent-decoding undone. The
// name of a group or an instance that is too long is 422; that of a topic is 400,
// as Kafka's refusal of any other impossible name ([apierr.KafkaInvalid]).
func pathParam(ctx *fasthttp.RequestCtx, name string) (string, error) {
	raw, _ := ctx.UserValue(name).(string)
	text, err := url.PathUnescape(raw)
	if err != nil {
		return "", apierr.BadRequest.Wrap(err, "The path is not percent-encoded correctly.")
	}
	if !utf8.ValidString(text) {
		return "", apierr.BadRequest.New("A name in the path is not UTF-8.")
	}
	switch {
	case !longer(text, maxName):
		return text, nil
	case name == "topic":
		return "", apierr.KafkaInvalid.New("The name of a topic is too long: it may have %d characters.", maxName)
	}
	return "", tooLong("The name of the "+name+" in the path", maxName)
}

// queryTexts returns the values of a query parameter: at most count, of at most max
// characters each.
func queryTexts(ctx *fasthttp.RequestCtx, name string, count, max int) ([][]byte, error) {
	all := ctx.QueryArgs().PeekMulti(name)
	if len(all) > count {
		return nil, apierr.Unprocessable.New("The query parameter %s may be given %d times.", name, count)
	}
	for _, text := range all {
		if longer(text, max) {
			return nil, tooLong("The query parameter "+name, max)
		}
	}
	return all, nil
}

// queryText returns the value of a query parameter, empty where it is not there, of
// at most max characters.
func queryText(ctx *fasthttp.RequestCtx, name string, max int) (string, error) {
	all, err := queryTexts(ctx, name, maxMembers, max)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return string(all[0]), nil
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
