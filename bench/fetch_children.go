package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/kafka"
	"millrace/internal/lab"
)

// fetchSpec is what a reader is told to do: read partition 0 of a topic from
// its first record to its last, once to warm up, then again and again until the
// time is over. A window ends with a pass, so that it holds whole passes only.
type fetchSpec struct {
	Brokers []string // of the bare consumer
	URL     string   // of the proxy
	PID     int      // of the proxy
	Metrics string   // where the proxy counts its allocations
	Topic   string
	Format  string // of the proxy's consumer
	// Records is what the topic holds.
	Records int
	// PageBytes is how much of keys and values an answer has; 0 for the bare
	// consumer, which then does not encode.
	PageBytes int
	// Events asks for a stream of server-sent events rather than lines.
	Events bool
	Timing timing
}

// passes runs whole passes over the topic until the time is over, and measures
// all but the first. pass returns how many requests it took and must have read
// every record once.
func (spec fetchSpec) passes(pid int, pass func(*lab.Histogram) (requests int, err error)) (window, error) {
	var w window
	if _, err := pass(&lab.Histogram{}); err != nil {
		return w, err
	}
	end, err := spec.meter(pid).begin(pid)
	if err != nil {
		return w, err
	}
	for began := time.Now(); time.Since(began) < spec.Timing.Measured; {
		n, err := pass(&w.Latency)
		if err != nil {
			return w, err
		}
		w.Requests += uint64(n)
		w.Records += uint64(spec.Records)
	}
	return w, end(&w)
}

// meter counts the allocations of the measured process, this one or the proxy.
func (spec fetchSpec) meter(pid int) *meter {
	if pid == os.Getpid() {
		return &meter{mallocs: ownMallocs}
	}
	return &meter{mallocs: func() (uint64, error) { return scrapeMallocs(spec.Metrics) }}
}

// runFetchFloor is the bare consumer, with or without the encoding of records
// into pages of JSON that nobody reads.
func runFetchFloor(spec fetchSpec) (window, error) {
	opts, err := kafka.ConsumerOpts(kafka.Settings{Brokers: spec.Brokers}, kafka.DefaultConsumer())
	if err != nil {
		return window{}, err
	}
	client, err := kgo.NewClient(append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		spec.Topic: {0: kgo.NewOffset().AtStart()},
	}))...)
	if err != nil {
		return window{}, fmt.Errorf("cannot build the consumer: %w", err)
	}
	defer client.Close()
	r := reader{client: client, spec: spec, page: make([]byte, 0, 2*spec.PageBytes)}
	first := true
	return spec.passes(os.Getpid(), func(h *lab.Histogram) (int, error) {
		if !first {
			client.SetOffsets(map[string]map[int32]kgo.EpochOffset{spec.Topic: {0: {Epoch: -1, Offset: 0}}})
		}
		first = false
		return r.pass(h)
	})
}

// reader is the bare consumer. Its pages have as many records as a proxy's of
// the same size: as the keys and values of page bytes need.
type reader struct {
	client *kgo.Client
	spec   fetchSpec
	page   []byte
	held   int // bytes of keys and values in the page
	began  time.Time
}

// pass reads the topic once. Its pages count as reads, or its polls where it makes no pages.
func (r *reader) pass(h *lab.Histogram) (reads int, err error) {
	end := func() {
		reads++
		h.Add(time.Since(r.began))
		r.page, r.held, r.began = r.page[:0], 0, time.Now()
	}
	r.began = time.Now()
	for next := int64(0); next < int64(r.spec.Records); {
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		fetches := r.client.PollFetches(ctx)
		cancel()
		if err := fetches.Err(); err != nil {
			return 0, fmt.Errorf("cannot fetch: %w", err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			rec := it.Next()
			if rec.Offset != next {
				return 0, fmt.Errorf("cannot count what was fetched: offset %d came after %d", rec.Offset, next-1)
			}
			next++
			if r.spec.PageBytes > 0 {
				if err := r.encode(rec); err != nil {
					return 0, err
				}
				if r.held >= r.spec.PageBytes {
					end()
				}
			}
			rec.Recycle()
		}
		if r.spec.PageBytes == 0 {
			end()
		}
	}
	if r.held > 0 {
		end()
	}
	return reads, nil
}

func (r *reader) encode(rec *kgo.Record) (err error) {
	r.held += len(rec.Key) + len(rec.Value)
	r.page, err = codec.AppendRecord(r.page, rec, codec.JSON, codec.Extras{})
	return err
}

// fetchClient reads a topic through a proxy's v2 API with one instance.
type fetchClient struct {
	http     *fasthttp.HostClient
	req      *fasthttp.Request
	resp     *fasthttp.Response
	instance string // its base URI
	spec     fetchSpec
}

const (
	v2JSON        = "application/vnd.kafka.v2+json"
	v2JSONRecords = "application/vnd.kafka.json.v2+json"
	v2AvroRecords = "application/vnd.kafka.avro.v2+json"
)

// runFetchClient is the load generator of the fetch side.
func runFetchClient(spec fetchSpec) (window, error) {
	target, err := url.Parse(spec.URL)
	if err != nil {
		return window{}, fmt.Errorf("cannot use the address of the server: %w", err)
	}
	c := &fetchClient{http: newConnection(target.Host), req: &fasthttp.Request{}, resp: &fasthttp.Response{}, spec: spec}
	defer c.http.CloseIdleConnections()
	if err := c.open(); err != nil {
		return window{}, err
	}
	w, err := spec.passes(spec.PID, c.pass)
	return w, errors.Join(err, c.call("DELETE", c.instance, ""))
}

// open makes the instance and gives it the partition.
func (c *fetchClient) open() error {
	err := c.call("POST", c.spec.URL+"/consumers/bench-"+c.spec.Topic, `{"format":"`+c.spec.Format+`","auto.offset.reset":"earliest","auto.commit.enable":"false"}`)
	if err != nil {
		return err
	}
	var made struct {
		BaseURI string `json:"base_uri"`
	}
	if err := json.Unmarshal(c.resp.Body(), &made); err != nil {
		return fmt.Errorf("cannot make a consumer: %w: %.200s", err, c.resp.Body())
	}
	c.instance = made.BaseURI
	return c.call("POST", c.instance+"/assignments", c.partition())
}

func (c *fetchClient) partition() string {
	return `{"partitions":[{"topic":"` + c.spec.Topic + `","partition":0}]}`
}

// call sends a request; the answer is in c.resp until the next one.
func (c *fetchClient) call(method, url, body string) error {
	prepare(c.req, method, url, "")
	if body != "" {
		c.req.Header.SetContentType(v2JSON)
		c.req.SetBodyString(body)
	}
	if err := c.http.DoTimeout(c.req, c.resp, requestTimeout); err != nil {
		return fmt.Errorf("cannot %s %s: %w", method, url, err)
	}
	if c.resp.StatusCode()/100 != 2 {
		return fmt.Errorf("cannot %s %s: status %d: %.200s", method, url, c.resp.StatusCode(), c.resp.Body())
	}
	return nil
}

var recordStart = []byte(`{"topic":"`)

// pass reads the topic once. An answer's records are counted, and the offset of
// the first one must follow the last answer's: nothing lost, nothing twice.
func (c *fetchClient) pass(h *lab.Histogram) (reads int, err error) {
	if err := c.call("POST", c.instance+"/positions/beginning", c.partition()); err != nil {
		return 0, err
	}
	prepare(c.req, "GET", fmt.Sprintf("%s/records?max_bytes=%d", c.instance, c.spec.PageBytes), "application/vnd.kafka."+c.spec.Format+".v2+json")
	empty := 0
	for next := 0; next < c.spec.Records; reads++ {
		began := time.Now()
		if err := c.http.DoTimeout(c.req, c.resp, requestTimeout); err != nil {
			return 0, fmt.Errorf("cannot read records: %w", err)
		}
		h.Add(time.Since(began))
		body := c.resp.Body()
		if c.resp.StatusCode() != fasthttp.StatusOK {
			return 0, fmt.Errorf("cannot read records: status %d: %.200s", c.resp.StatusCode(), body)
		}
		n := bytes.Count(body, recordStart)
		if n == 0 {
			if empty++; empty > 10 {
				return 0, fmt.Errorf("cannot read on at record %d of %d: nothing came %d times", next, c.spec.Records, empty)
			}
			continue
		}
		next += n
		if last := fmt.Appendf(nil, `"offset":%d}]`, next-1); !bytes.HasSuffix(body, last) {
			return 0, fmt.Errorf("cannot count what was read: after %d records the answer ends in %s", next, body[max(0, len(body)-60):])
		}
	}
	return reads, nil
}
