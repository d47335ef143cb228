package server

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/consumer"
	"millrace/internal/apierr"
)

const instancePath = "/consumers/{group}/instances/{instance}"

var consumerRoutes = []route{
	{"POST", "/consumers/{group}", anyBody, (*Server).createInstance},
	{"DELETE", instancePath, jsonAnswer, (*Server).deleteInstance},
	{"POST", instancePath + "/subscription", v2Body, (*Server).subscribe},
	{"GET", instancePath + "/subscription", jsonAnswer, (*Server).subscription},
	{"DELETE", instancePath + "/subscription", jsonAnswer, (*Server).unsubscribe},
	{"POST", instancePath + "/assignments", v2Body, (*Server).assign},
	{"GET", instancePath + "/assignments", jsonAnswer, (*Server).assignments},
	{"POST", instancePath + "/positions", v2Body, (*Server).seek},
	{"POST", instancePath + "/positions/beginning", v2Body, (*Server).seekToBeginning},
	{"POST", instancePath + "/positions/end", v2Body, (*Server).seekToEnd},
	{"POST", instancePath + "/offsets", anyBody, (*Server).commit},
	{"GET", instancePath + "/offsets", v2Body, (*Server).committed},
	{"GET", instancePath + "/records", ownAnswer, (*Server).records},
}

// consume is the context of all calls of an instance but reads, which end with
// their client ([waitFor]). They bound themselves, and what a client has asked
// for is done though it may hang up; a shutdown of the consumers ends what waits.
var consume = context.Background()

// POST /consumers/{group}
func (s *Server) createInstance(ctx *fasthttp.RequestCtx) error {
	group, err := pathParam(ctx, "group")
	if err != nil {
		return err
	}
	opts := s.deps.Consumers.Defaults()
	if err := readInstanceOptions(requestBody(ctx), &opts); err != nil {
		return err
	}
	if s.version(ctx) == v1 {
		opts.OffsetReset = resetOfV1(opts.OffsetReset)
	}
	opts.Client = ctx.RemoteIP().String()
	instance, err := s.deps.Consumers.Create(group, opts)
	if err != nil {
		return err
	}
	uri := s.baseURL(ctx) + "/consumers/" + url.PathEscape(group) + "/instances/" + url.PathEscape(instance.Name())
	return respond(ctx, func(dst []byte) ([]byte, error) {
		dst = append(dst, `{"instance_id":`...)
		dst = apierr.AppendJSONString(dst, instance.Name())
		dst = append(dst, `,"base_uri":`...)
		dst = apierr.AppendJSONString(dst, uri)
		return append(dst, '}'), nil
	})
}

// DELETE …/{instance}: 404 when it is gone already. A client that had no answer
// to the first may take that for one; where it was between nodes that the answer
// got lost, the client has asked only once and is answered as if it had not been.
func (s *Server) deleteInstance(ctx *fasthttp.RequestCtx) error {
	group, name, err := instanceParams(ctx)
	if err != nil {
		return err
	}
	err = s.deps.Consumers.Delete(consume, group, name)
	if apierr.InstanceNotFound.Is(err) && isRepeated(ctx) {
		err = nil
	}
	return noContent(ctx, err)
}

// POST …/subscription
func (s *Server) subscribe(ctx *fasthttp.RequestCtx) error {
	return s.change(ctx, func(i *consumer.Instance) error {
		topics, pattern, err := readSubscription(requestBody(ctx))
		switch {
		case err != nil:
			return err
		case topics != nil && pattern != nil:
			return apierr.IllegalState.New("A subscription has either topics or a topic_pattern, not both.")
		case pattern != nil:
			return i.SubscribePattern(consume, *pattern)
		case topics != nil:
			return i.Subscribe(consume, topics)
		}
		return apierr.Unprocessable.New("A subscription needs topics or a topic_pattern.")
	})
}

// GET …/subscription
func (s *Server) subscription(ctx *fasthttp.RequestCtx) error {
	instance, err := s.instance(ctx)
	if err != nil {
		return err
	}
	topics, err := instance.Subscription()
	if err != nil {
		return err
	}
	return respond(ctx, func(dst []byte) ([]byte, error) {
		dst = append(dst, `{"topics":[`...)
		for n, topic := range topics {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = apierr.AppendJSONString(dst, topic)
		}
		return append(dst, `]}`...), nil
	})
}

// DELETE …/subscription
func (s *Server) unsubscribe(ctx *fasthttp.RequestCtx) error {
	return s.change(ctx, func(i *consumer.Instance) error { return i.Unsubscribe(consume) })
}

// POST …/assignments
func (s *Server) assign(ctx *fasthttp.RequestCtx) error {
	return s.change(ctx, func(i *consumer.Instance) error {
		tps, err := readPartitions(requestBody(ctx))
		if err != nil {
			return err
		}
		return i.Assign(consume, tps)
	})
}

// GET …/assignments
func (s *Server) assignments(ctx *fasthttp.RequestCtx) error {
	instance, err := s.instance(ctx)
	if err != nil {
		return err
	}
	tps, err := instance.Assignment()
	if err != nil {
		return err
	}
	return respond(ctx, func(dst []byte) ([]byte, error) {
		dst = append(dst, `{"partitions":[`...)
		for n, tp := range tps {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendTopicPartition(dst, tp), '}')
		}
		return append(dst, `]}`...), nil
	})
}

// POST …/positions
func (s *Server) seek(ctx *fasthttp.RequestCtx) error {
	return s.change(ctx, func(i *consumer.Instance) error {
		offsets, times, err := readPositions(requestBody(ctx))
		if err != nil {
			return err
		}
		return i.Seek(consume, offsets, times)
	})
}

// POST …/positions/beginning
func (s *Server) seekToBeginning(ctx *fasthttp.RequestCtx) error {
	return s.change(ctx, func(i *consumer.Instance) error {
		tps, err := readPartitions(requestBody(ctx))
		if err != nil {
			return err
		}
		return i.SeekToBeginning(consume, tps)
	})
}

// POST …/positions/end
func (s *Server) seekToEnd(ctx *fasthttp.RequestCtx) error {
	return s.change(ctx, func(i *consumer.Instance) error {
		tps, err := readPartitions(requestBody(ctx))
		if err != nil {
			return err
		}
		return i.SeekToEnd(consume, tps)
	})
}

// POST …/offsets: all that was answered, or what the body says.
func (s *Server) commit(ctx *fasthttp.RequestCtx) error {
	instance, err := s.instance(ctx)
	if err != nil {
		return err
	}
	if s.version(ctx) == v1 {
		return commitAll(ctx, instance)
	}
	async, err := queryBool(ctx, "async")
	if err != nil {
		return err
	}
	var offsets []consumer.Offset
	if len(requestBody(ctx)) > 0 {
		if offsets, err = readOffsets(requestBody(ctx)); err != nil {
			return err
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

// GET …/offsets: of the partitions in the body, or of those in the query.
func (s *Server) committed(ctx *fasthttp.RequestCtx) error {
	instance, err := s.instance(ctx)
	if err != nil {
		return err
	}
	var tps []consumer.TopicPartition
	if ctx.QueryArgs().Has("topic") {
		tps, err = queryPartitions(ctx)
	} else {
		tps, err = readPartitions(requestBody(ctx))
	}
	if err != nil {
		return err
	}
	offsets, err := instance.Committed(consume, tps)
	if err != nil {
		return err
	}
	return respond(ctx, func(dst []byte) ([]byte, error) {
		dst = append(dst, `{"offsets":[`...)
		for n, o := range offsets {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = appendTopicPartition(dst, o.TopicPartition)
			dst = append(dst, `,"offset":`...)
			dst = strconv.AppendInt(dst, o.Offset, 10)
			dst = append(dst, `,"metadata":`...)
			dst = append(apierr.AppendJSONString(dst, o.Metadata), '}')
		}
		return append(dst, `]}`...), nil
	})
}

// GET …/records
func (s *Server) records(ctx *fasthttp.RequestCtx) error {
	instance, err := s.instance(ctx)
	if err != nil {
		return err
	}
	if err := negotiateRecords(ctx, v2, instance.Options().Format); err != nil {
		return err
	}
	o, err := s.readOptions(ctx)
	if err != nil {
		return err
	}
	if ctx.IsHead() {
		return nil // who asks for the header only must not take records that nobody sees
	}
	return s.readBy(ctx, instance, o, func(life context.Context, dst []byte, o consumer.ReadOptions) ([]byte, error) {
		return instance.AppendRecords(life, dst, o)
	})
}

// readOptions reads what the query, and Accept, say about a read.
func (s *Server) readOptions(ctx *fasthttp.RequestCtx) (o consumer.ReadOptions, err error) {
	timeout, err := queryInt(ctx, "timeout", -1)
	if err != nil {
		return o, err
	}
	o.Timeout, o.NoWait = time.Duration(timeout)*time.Millisecond, timeout == 0
	if o.MaxBytes, err = queryInt(ctx, "max_bytes", 0); err != nil {
		return o, err
	}
	err = s.shownAs(ctx, &o)
	return o, err
}

// shownAs reads what the query, and Accept, say about how records are shown.
func (s *Server) shownAs(ctx *fasthttp.RequestCtx, o *consumer.ReadOptions) (err error) {
	if o.Dialect, err = s.acceptedDialect(ctx); err != nil {
		return err
	}
	if o.Headers, err = queryBool(ctx, "headers"); err != nil {
		return err
	}
	o.Timestamps, err = queryBool(ctx, "timestamps")
	return err
}

// change runs f on the path's instance and answers 204.
func (s *Server) change(ctx *fasthttp.RequestCtx, f func(*consumer.Instance) error) error {
	instance, err := s.instance(ctx)
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

// instance returns the instance that the path names.
func (s *Server) instance(ctx *fasthttp.RequestCtx) (*consumer.Instance, error) {
	group, name, err := instanceParams(ctx)
	if err != nil {
		return nil, err
	}
	return s.deps.Consumers.Get(group, name)
}

func instanceParams(ctx *fasthttp.RequestCtx) (group, name string, err error) {
	if group, err = pathParam(ctx, "group"); err != nil {
		return "", "", err
	}
	name, err = pathParam(ctx, "instance")
	return group, name, err
}

// baseURL is where clients reach this server, without a slash at the end: as
// configured, or as the request says that its client has reached it.
func (s *Server) baseURL(ctx *fasthttp.RequestCtx) string {
	if s.settings.Advertised != "" {
		return strings.TrimRight(s.settings.Advertised, "/")
	}
	scheme := "http"
	if ctx.IsTLS() {
		scheme = "https"
	}
	if s.settings.HostName != "" {
		return scheme + "://" + withPort(s.settings.HostName, ctx.LocalAddr().String())
	}
	if proto := strings.ToLower(forwarded(ctx, "X-Forwarded-Proto")); proto == "http" || proto == "https" {
		scheme = proto
	}
	for _, host := range []string{forwarded(ctx, "X-Forwarded-Host"), string(ctx.Host())} {
		if isHost(host) {
			return scheme + "://" + host
		}
	}
	return scheme + "://" + ctx.LocalAddr().String() // HTTP/1.0
}

// isHost reports whether text has only what a host, with or without a port, is
// written with: nothing that would begin another part of a URL.
func isHost(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~:[]", r)
	})
}

// withPort adds to a host name the port that addr ends with.
func withPort(host, addr string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]" // IPv6
	}
	return host + addr[strings.LastIndexByte(addr, ':'):]
}

// forwarded is what the proxy nearest to the client has put into a header that
// each proxy on the way may append to.
func forwarded(ctx *fasthttp.RequestCtx, header string) string {
	first, _, _ := strings.Cut(string(ctx.Request.Header.Peek(header)), ",")
	return strings.TrimSpace(first)
}

func appendTopicPartition(dst []byte, tp consumer.TopicPartition) []byte {
	dst = append(dst, `{"topic":`...)
	dst = apierr.AppendJSONString(dst, tp.Topic)
	dst = append(dst, `,"partition":`...)
	return strconv.AppendInt(dst, int64(tp.Partition), 10)
}

// queryInt is a number in the query, absent when it is not there.
func queryInt(ctx *fasthttp.RequestCtx, name string, absent int) (int, error) {
	if !ctx.QueryArgs().Has(name) {
		return absent, nil
	}
	text := string(ctx.QueryArgs().Peek(name))
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxQueryInt || n < -maxQueryInt {
		return 0, apierr.BadRequest.New("The query parameter %s must be a whole number, not %q.", name, text)
	}
	return int(n), nil
}

// maxQueryInt keeps a number of milliseconds within a time.Duration.
const maxQueryInt = 1 << 40

// queryBool is a truth value in the query, false when it is not there.
func queryBool(ctx *fasthttp.RequestCtx, name string) (bool, error) {
	switch text := string(ctx.QueryArgs().Peek(name)); text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		if !ctx.QueryArgs().Has(name) {
			return false, nil
		}
		return false, apierr.BadRequest.New("The query parameter %s must be true or false, not %q.", name, text)
	}
}

// queryPartitions are ?topic=t&partition=0&partition=1….
func queryPartitions(ctx *fasthttp.RequestCtx) ([]consumer.TopicPartition, error) {
	topic := string(ctx.QueryArgs().Peek("topic"))
	var tps []consumer.TopicPartition
	for _, text := range ctx.QueryArgs().PeekMulti("partition") {
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
