package api_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
	"millrace/server"
)

// waitingRead sends a GET on a connection of its own and returns that when the
// request waits: n requests of s are then in flight.
func (s *stack) waitingRead(t *testing.T, conn net.Conn, path, accept string) {
	t.Helper()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nAccept: %s\r\n\r\n", path, accept)
	testkit.Eventually(t, 10*time.Second, "the request to wait", func() bool { return s.inFlight(t) == 1 })
}

func (s *stack) inFlight(t *testing.T) (n int) {
	t.Helper()
	for line := range strings.SplitSeq(s.do(t, "GET", "/metrics", "").body, "\n") {
		if text, ok := strings.CutPrefix(line, "millrace_http_requests_in_flight "); ok {
			fmt.Sscan(text, &n)
			return n
		}
	}
	t.Fatal("the metrics do not say how many requests are in flight")
	return 0
}

// soon bounds the rest of a request after its client is gone; the requests could wait four times
// as long.
const soon = 5 * time.Second

// hungUp waits for the request to be over.
func (s *stack) hungUp(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, soon, "the end of a request whose client is gone", func() bool { return s.inFlight(t) == 0 })
}

// A client that hangs up gets no further records, so none is consumed for it: neither while its
// read waits, nor when a record arrives before the node has detected the hang-up.
func TestClientThatHangsUpLosesNothing(t *testing.T) {
	t.Parallel()
	const v2Accept, v1Accept = "application/vnd.kafka.json.v2+json", "application/vnd.kafka.json.v1+json"
	certificates := httptest.NewTLSServer(nil)
	defer certificates.Close()
	for _, way := range []struct {
		name, accept string
		secure, late bool
	}{
		{name: "v2, noticed", accept: v2Accept},
		{name: "v2, not noticed yet", accept: v2Accept, late: true},
		{name: "v1, noticed", accept: v1Accept},
		{name: "v1, not noticed yet", accept: v1Accept, late: true},
		{name: "TLS, noticed", accept: v2Accept, secure: true},
		{name: "TLS, not noticed yet", accept: v2Accept, secure: true, late: true},
	} {
		t.Run(way.name, func(t *testing.T) {
			b := testkit.Fake(t).Broker
			topic := testkit.CreateTopic(t, b, 2)
			s := start(t, b, func(o *stackOptions) {
				o.consumer.RequestTimeout = 4 * soon
				o.server.Listeners = append(o.server.Listeners, server.Listener{Addr: "127.0.0.1:0", TLS: &tls.Config{Certificates: certificates.TLS.Certificates}})
			})
			path := createConsumer(t, s, "")
			records := path + "/records?timeout=20000"
			if way.accept == v1Accept {
				records = path + "/topics/" + topic
			} else {
				s.do(t, "POST", path+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
			}
			conn := s.raw(t)
			if way.secure {
				tcp, err := net.Dial("tcp", s.addrs[1].String())
				if err != nil {
					t.Fatal(err)
				}
				conn = tls.Client(tcp, &tls.Config{InsecureSkipVerify: true})
			}
			s.waitingRead(t, conn, records, way.accept)
			conn.Close()
			if !way.late {
				s.hungUp(t)
			}
			produceNumbers(t, b, topic, 0, 10)
			s.hungUp(t)
			got := map[string]bool{}
			for end := time.Now().Add(soon); len(got) < 10 && time.Now().Before(end); {
				query := "?timeout=200"
				if way.accept == v1Accept {
					query = "" // it waits as long as there is nothing
				}
				base, _, _ := strings.Cut(records, "?")
				body := s.do(t, "GET", base+query, "", "Accept: "+way.accept).want(t, 200, "").body
				for v := range 10 {
					if strings.Contains(body, fmt.Sprintf(`"value":%d,`, v)) {
						got[fmt.Sprint(v)] = true
					}
				}
			}
			if len(got) != 10 {
				t.Errorf("%d of 10 records came after a client had hung up", len(got))
			}
		})
	}
}

// The same where the client hangs up at one node, and another has the instance.
func TestReadEndsWithItsClientAtAnotherNode(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late=%v", late), func(t *testing.T) {
			t.Parallel()
			b := testkit.Fake(t).Broker
			topic := testkit.CreateTopic(t, b, 2)
			var all []*stack
			for _, id := range []string{"node-a", "node-b"} {
				all = append(all, start(t, b, asNode(id), func(o *stackOptions) { o.consumer.RequestTimeout = 4 * soon }))
			}
			path := createConsumer(t, all[0], "")
			all[0].do(t, "POST", path+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
			conn := all[1].raw(t)
			all[1].waitingRead(t, conn, path+"/records?timeout=20000", "application/vnd.kafka.json.v2+json")
			testkit.Eventually(t, 10*time.Second, "the request to wait at the other node", func() bool { return all[0].inFlight(t) == 1 })
			conn.Close()
			if !late {
				all[1].hungUp(t)
				all[0].hungUp(t)
			}
			produceNumbers(t, b, topic, 0, 10)
			got := tally{}
			got.readAll(t, all, path, 10)
			if n := got.repeated(); n > 0 {
				t.Errorf("%d records came twice", n)
			}
		})
	}
}

// Other waits end as well when their client has hung up.
func TestWaitingEndsWithItsClient(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, func(o *stackOptions) {
		o.consumer.RequestTimeout = 4 * soon
		o.rest.StreamHeartbeat = time.Minute
	})
	tag := strings.Trim(s.do(t, "GET", "/topics", "").header.Get("ETag"), `"`)
	for _, path := range []string{
		"/topics/" + topic + "/partitions/0/records?offset=0",
		"/topics/" + topic + "/partitions/0/messages?offset=0",
		"/topics?wait=" + tag + ",20s",
	} {
		conn := s.raw(t)
		s.waitingRead(t, conn, path, "*/*")
		conn.Close()
		s.hungUp(t)
	}
	// A stream without a reader must not block its instance for others.
	path := createConsumer(t, s, "")
	s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	for _, stream := range []string{path + "/stream", "/topics/" + topic + "/stream", "/metadata/changes"} {
		conn := s.raw(t)
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n", stream)
		head := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(head, nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %v %v", stream, resp, err)
		}
		if _, err := io.ReadFull(head, make([]byte, 4)); err != nil { // it has begun
			t.Fatal(err)
		}
		conn.Close()
		testkit.Eventually(t, soon, "the end of a stream whose client is gone", func() bool { return s.streams(t) == 0 })
	}
	s.do(t, "GET", path+"/records?timeout=100", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, "[]")
}

// A client that has its response may end the connection as it likes.
func TestClientThatHangsUpAfterItsAnswer(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	s := start(t, b)
	path := createConsumer(t, s, "")
	s.do(t, "POST", path+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
	for round := range 20 {
		produceNumbers(t, b, topic, 2*round, 2)
		for n := 0; n < 2; {
			body := s.do(t, "GET", path+"/records", "", "Accept: application/vnd.kafka.json.v2+json", "Connection: close").want(t, 200, "").body
			n += strings.Count(body, `"value"`)
			for v := range 2 * round {
				if strings.Contains(body, fmt.Sprintf(`"value":%d,`, v)) {
					t.Fatalf("%d came again: %s", v, body)
				}
			}
		}
	}
}
