package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// follower reads a stream.
type follower struct {
	t      testing.TB
	resp   *http.Response
	in     *bufio.Scanner
	cancel context.CancelFunc
	id     string // of the last event
}

// event is a message of a stream.
type event struct {
	name      string // of a server-sent event; "" for a record
	text      string
	Topic     string
	Key       json.RawMessage
	Value     json.RawMessage
	Partition int32
	Offset    int64
	ErrorCode int `json:"error_code"`
}

// follow opens a stream, which must begin, and ends it with t.
func (s *stack) follow(t testing.TB, path string, headers ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	req, err := http.NewRequestWithContext(ctx, "GET", s.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := client.Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, resp: resp, in: bufio.NewScanner(resp.Body), cancel: cancel}
	f.in.Buffer(nil, 64<<20)
	t.Cleanup(f.close)
	if resp.StatusCode != 200 {
		f.in.Scan()
		t.Fatalf("%s: %d %s", path, resp.StatusCode, f.in.Text())
	}
	return f
}

func (f *follower) close() {
	f.cancel()
	f.resp.Body.Close()
}

// next returns the next message; ok is false at the end of the stream.
func (f *follower) next() (e event, ok bool) {
	f.t.Helper()
	events := f.resp.Header.Get("Content-Type") == "text/event-stream"
	for f.in.Scan() {
		line := f.in.Text()
		if id, is := strings.CutPrefix(line, "id: "); is {
			f.id = id
		}
		if name, is := strings.CutPrefix(line, "event: "); is {
			e.name = name
		}
		if events {
			if line, ok = strings.CutPrefix(line, "data: "); !ok {
				continue
			}
		}
		if line == "" {
			continue
		}
		e.text = line
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			f.t.Fatalf("%q is not JSON: %v", line, err)
		}
		return e, true
	}
	if err := f.in.Err(); err != nil {
		f.t.Fatalf("the stream broke: %v", err)
	}
	return e, false
}

// want fails unless the next messages are records of these values.
func (f *follower) want(values ...any) {
	f.t.Helper()
	for n, v := range values {
		e, ok := f.next()
		if got := string(e.Value); !ok || got != fmt.Sprint(v) {
			f.t.Fatalf("record %d is %q, want the value %v", n, e.text, v)
		}
	}
}

const sse = "Accept: text/event-stream"

func (s *stack) put(t testing.TB, topic string, values ...any) {
	t.Helper()
	var records []string
	for _, v := range values {
		records = append(records, fmt.Sprintf(`{"value":%v}`, v))
	}
	s.do(t, "POST", "/topics/"+topic, `{"records":[`+strings.Join(records, ",")+`]}`, jsonV2).want(t, 200, "")
}

func TestStream(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		s.put(t, topic, 0, 1, 2)
		for _, accept := range []string{sse, "Accept: */*"} {
			all := s.follow(t, "/topics/"+topic+"/stream?from=beginning", accept)
			all.want(0, 1, 2)
			later := s.follow(t, "/topics/"+topic+"/stream", accept)
			one := s.follow(t, "/topics/"+topic+"/partitions/0/stream?from=2", accept)
			one.want(2)
			s.put(t, topic, 3)
			all.want(3)
			later.want(3)
			one.want(3)
			for n := 4; n < 50; n++ {
				s.put(t, topic, n)
				all.want(n)
				later.want(n)
			}
			topic = testkit.CreateTopic(t, b, 1)
			s.put(t, topic, 0, 1, 2)
		}
	})
}
