package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
)

// Names of the readers of the fetch suite.
const (
	bareConsumer   = "bare consumer"
	appendConsumer = "bare consumer + AppendRecord"
	millraceReads  = "millrace /records"
	millraceLines  = "millrace /stream, lines"
	millraceEvents = "millrace /stream, events"
	millraceLive   = "millrace /stream, one record every 5 ms"
)

// pageSizes are the max_bytes that /records is asked for.
var pageSizes = []int{streamPage, 1 << 20}

// streamPage is about what a stream's chunk holds; reads of pages of that size
// are what streams are compared with.
const streamPage = 64 << 10

// fetchSuite measures reading a topic back.
func (b *bench) fetchSuite(ctx context.Context) error {
	size := b.opts.valueSize()
	values, err := b.values(size)
	if err != nil {
		return err
	}
	topic, err := b.filledTopic(ctx, values)
	if err != nil {
		return err
	}
	defer b.cluster.deleteTopic(ctx, topic)
	at := place{Suite: "fetch", ValueBytes: size, Connections: 1, Compression: "none"}
	spec := fetchSpec{Brokers: b.cluster.brokers, Topic: topic, Format: "json", Records: b.opts.fetchRecords, Timing: b.opts.timing}

	var rows []*row
	var runs []func() (window, error)
	add := func(server string, page int, run func(fetchSpec) (window, error)) {
		r, s := &row{place: at, Server: server}, spec
		r.PageBytes, s.PageBytes = page, page
		rows = append(rows, r)
		runs = append(runs, func() (window, error) { return run(s) })
	}
	floor := func(s fetchSpec) (window, error) { return callChild(ctx, childFetchFloor, s) }
	add(bareConsumer, 0, floor)
	for _, page := range pageSizes {
		add(appendConsumer, page, floor)
		answer, records, err := readAnswer(values, topic, page)
		if err != nil {
			return err
		}
		add(httpFloor, page, func(s fetchSpec) (window, error) { return b.readFloor(ctx, s, answer, records) })
		add(millraceReads, page, func(s fetchSpec) (window, error) { return b.readMillrace(ctx, childFetchClient, s) })
	}
	add(millraceLines, 0, func(s fetchSpec) (window, error) { return b.readMillrace(ctx, childStream, s) })
	add(millraceEvents, 0, func(s fetchSpec) (window, error) {
		s.Events = true
		return b.readMillrace(ctx, childStream, s)
	})
	add(millraceLive, 0, func(s fetchSpec) (window, error) {
		if s.Topic, err = b.cluster.newTopic(ctx); err != nil {
			return window{}, err
		}
		defer b.cluster.deleteTopic(ctx, s.Topic)
		return b.readMillrace(ctx, childStreamLive, s)
	})
	return b.measure(ctx, rows, func(i int) (window, error) { return runs[i]() })
}

// readAnswer is a response of millrace to a read of that many bytes, and how many records it has.
func readAnswer(values [][]byte, topic string, page int) (answer floorAnswer, records int, err error) {
	body := []byte{'['}
	for held := 0; err == nil && held < page; records++ {
		if records > 0 {
			body = append(body, ',')
		}
		r := &kgo.Record{Topic: topic, Value: values[records%len(values)], Offset: int64(records)}
		held += len(r.Value)
		body, err = codec.AppendRecord(body, r, codec.JSON, codec.Extras{})
	}
	return floorAnswer{ContentType: v2JSONRecords, Body: append(body, ']'), Headers: [][2]string{
		{"Vary", "Accept-Encoding"}, {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"},
	}}, records, err
}

// readFloor is the HTTP of reads alone: each is answered with the same response.
func (b *bench) readFloor(ctx context.Context, spec fetchSpec, answer floorAnswer, records int) (window, error) {
	t, err := startHTTPFloor(ctx, answer)
	if err != nil {
		return window{}, err
	}
	defer t.stop()
	url := fmt.Sprintf("%s/consumers/bench-%s/instances/%s/records?max_bytes=%d", t.url, spec.Topic, strings.Repeat("i", 50), spec.PageBytes)
	w, err := callChild(ctx, childLoad, loadSpec{
		URLs: []string{url}, Method: http.MethodGet, Accept: v2JSONRecords,
		Connections: 1, PID: t.pid, Timing: spec.Timing,
	})
	w.Records = w.Requests * uint64(records)
	return w, err
}

func (b *bench) readMillrace(ctx context.Context, child string, spec fetchSpec, set ...string) (window, error) {
	t, err := startMillrace(ctx, b.binary, append(b.millraceSettings(""), set...)...)
	if err != nil {
		return window{}, err
	}
	defer t.stop()
	spec.URL, spec.PID, spec.Metrics = t.url, t.pid, t.metrics
	return callChild(ctx, child, spec)
}

// fillGroup is how many records filledTopic has on their way at a time. They
// fill record batches of up to a megabyte, as a busy producer's are.
const fillGroup = 5000

// filledTopic writes the records that are to be read, and checks that they are there.
func (b *bench) filledTopic(ctx context.Context, values [][]byte) (string, error) {
	topic, err := b.cluster.newTopic(ctx)
	if err != nil {
		return "", err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.brokers...), kgo.ProducerLinger(0))
	if err != nil {
		return "", err
	}
	defer client.Close()
	for sent := 0; sent < b.opts.fetchRecords; {
		var group sync.WaitGroup
		var mu sync.Mutex
		var failure error
		for range min(fillGroup, b.opts.fetchRecords-sent) {
			group.Add(1)
			r := &kgo.Record{Topic: topic, Value: values[sent%len(values)]}
			client.Produce(ctx, r, func(_ *kgo.Record, err error) {
				if err != nil {
					mu.Lock()
					failure = errors.Join(failure, err)
					mu.Unlock()
				}
				group.Done()
			})
			sent++
		}
		if group.Wait(); failure != nil {
			return "", fmt.Errorf("cannot fill topic %s: %w", topic, failure)
		}
	}
	held, err := b.cluster.held(ctx, false, topic)
	if err == nil && held.Records != uint64(b.opts.fetchRecords) {
		err = fmt.Errorf("cannot fill topic %s: it holds %d records, not %d", topic, held.Records, b.opts.fetchRecords)
	}
	return topic, err
}
