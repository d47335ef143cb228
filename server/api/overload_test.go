package api_test

import (
	"bufio"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// A node that is overloaded refuses a request that produces before its body has come, keeps the
// connection, and serves all other requests. Afterwards it refuses nothing. In this test any delay
// is too long, and the requests that wait for Kafka are those at work.
func TestOverloadedNodeRefusesProduceUnread(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	s := start(t, b.Broker, func(o *stackOptions) { o.server.OverloadDelay = time.Nanosecond })
	const records = `{"records":[{"value":1}]}`
	held := make(chan struct{})
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.SleepControl(func() { <-held })
		return nil, nil, false
	})
	var waiting sync.WaitGroup
	for range 4 * 64 * runtime.GOMAXPROCS(0) {
		waiting.Go(func() {
			if r, err := s.try("POST", "/topics/"+topic, records, jsonV2); err != nil || r.status != 200 && r.status != 503 {
				t.Errorf("%d %s, %v", r.status, r.body, err)
			}
		})
	}
	conn := s.raw(t)
	answers := bufio.NewReader(conn)
	body := `{"records":[{"value":"` + strings.Repeat("x", 30_000) + `"}]}`
	var refused string
	testkit.Eventually(t, 20*time.Second, "that a request is refused unread", func() bool {
		s.do(t, "GET", "/topics/"+topic, "").want(t, 200, topic)
		r, err := s.try("POST", "/topics/"+topic, "{", jsonV2) // which is 422 when it is read
		refused = r.body
		return err == nil && r.status == 503
	})
	if !strings.Contains(refused, `"error_code":50313`) {
		t.Errorf("refused with %s", refused)
	}
	// The answer comes after a byte of the body; the others are dropped, and the next request is
	// read.
	fmt.Fprintf(conn, "POST /topics/%s HTTP/1.1\r\nHost: h\r\n%s\r\nContent-Length: %d\r\n\r\n%s", topic, jsonV2, len(body), body[:1])
	resp, text := answerOn(t, answers, "POST")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || resp.Close {
		t.Errorf("%v %s", resp, text)
	}
	fmt.Fprintf(conn, "%sGET /topics/%s HTTP/1.1\r\nHost: h\r\n\r\n", body[1:], topic)
	if resp, text := answerOn(t, answers, "GET"); resp.StatusCode != 200 {
		t.Errorf("the next request: %d %s", resp.StatusCode, text)
	}
	for _, path := range []string{"/healthz", "/metrics"} {
		s.do(t, "GET", path, "").want(t, 200, "")
	}
	close(held)
	waiting.Wait()
	testkit.Eventually(t, 20*time.Second, "that nothing is refused", func() bool {
		r, err := s.try("POST", "/topics/"+topic, records, jsonV2)
		return err == nil && r.status == 200
	})
}
