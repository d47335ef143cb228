package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// streamed creates an instance that is subscribed to the topic.
func (s *stack) streamed(t *testing.T, topic string) (path string) {
	t.Helper()
	path = createConsumer(t, s, "")
	s.do(t, "POST", path+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
	return path
}

// beat waits for a heartbeat.
func (f *follower) beat() {
	f.t.Helper()
	for f.in.Text() != ":" {
		if !f.in.Scan() {
			f.t.Fatalf("the stream ended: %v", f.in.Err())
		}
	}
}

// Heartbeats keep the instance alive, and confirm the records written before them. A new stream
// continues after those.
func TestInstanceStreamGoesOn(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		const idle = 3 * time.Second
		topic := testkit.CreateTopic(t, b, 1)
		s := start(t, b, func(o *stackOptions) {
			o.rest.StreamHeartbeat = 50 * time.Millisecond
			o.consumer.InstanceTimeout = idle
		})
		s.put(t, topic, 0, 1, 2)
		i := s.streamed(t, topic)
		next := 0
		for round := range 3 {
			f := s.follow(t, i+"/stream", sse)
			for range 3 {
				f.want(next)
				next++
			}
			f.in.Scan()
			for began := time.Now(); round == 0 && time.Since(began) < 2*idle; f.in.Scan() { // an idle one would expire
			}
			f.beat()
			f.close()
			testkit.Eventually(t, 20*time.Second, "the end of the stream", func() bool { return s.streams(t) == 0 })
			s.put(t, topic, next, next+1, next+2)
		}
		s.do(t, "GET", i+"/records", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, fmt.Sprintf(`"value":%d,`, next))
	})
}

// The stream of a client that does not read ends, and the records that did not reach the client
// are read again.
func TestInstanceStreamToASlowClient(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	const records, each = 300, 100 << 10
	writer := testkit.Client(t, b)
	for range records {
		if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(`"` + strings.Repeat("x", each) + `"`)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, b, func(o *stackOptions) { o.server.WriteTimeout = time.Second })
	i := s.streamed(t, topic)
	c := s.raw(t)
	if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET %s/stream HTTP/1.1\r\nHost: h\r\n\r\n", i)
	testkit.Eventually(t, 20*time.Second, "the stream", func() bool { return s.streams(t) == 1 })
	testkit.Eventually(t, 20*time.Second, "its end", func() bool { return s.streams(t) == 0 })
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got, e event
	for lines := json.NewDecoder(resp.Body); lines.Decode(&e) == nil; {
		got = e
	}
	if got.Topic == "" || got.Offset > records-10 {
		t.Fatalf("the client that does not read got up to offset %d", got.Offset)
	}
	r := s.do(t, "GET", i+"/records?max_bytes=1", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, `"offset":`)
	var again []event
	if err := json.Unmarshal([]byte(r.body), &again); err != nil || len(again) != 1 || again[0].Offset > got.Offset+1 {
		t.Errorf("after offset %d comes %.200s", got.Offset, r.body[max(0, len(r.body)-100):])
	}
}

// A drain ends streams of instances in order, and does not wait for a client that does not read.
func TestDrainWithInstanceStreams(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	const records = 20 // more than the buffers of a connection hold
	writer := testkit.Client(t, b)
	for range records {
		if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(`"` + strings.Repeat("x", 900<<10) + `"`)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	// The client that does not read has its stream for as long as the other one needs.
	s := start(t, b, func(o *stackOptions) { o.server.WriteTimeout = 10 * time.Minute })
	fmt.Fprintf(s.raw(t), "GET %s/stream HTTP/1.1\r\nHost: h\r\n\r\n", s.streamed(t, topic))
	f := s.follow(t, s.streamed(t, topic)+"/stream")
	for range records {
		f.next()
	}
	testkit.Eventually(t, 20*time.Second, "both streams", func() bool { return s.streams(t) == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.server.Shutdown(ctx) }()
	s.consumers.Drain()
	if e, ok := f.next(); ok { // fails if the connection just breaks
		t.Errorf("at the end of the stream there is %.200s", e.text)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
