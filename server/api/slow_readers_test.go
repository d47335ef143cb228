package api_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// disconnects counts the connections to brokers that have ended.
type disconnects struct{ atomic.Int32 }

func (d *disconnects) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { d.Add(1) }

// TestReadersThatGiveUp has many clients of a slow broker that hang up before it comes
// to their reads, and come again. Honest reads beside them, and readiness, stay well: were
// the connection that all reads share ended with each, the others in flight on it would
// fail as if Kafka were away.
func TestReadersThatGiveUp(t *testing.T) {
	t.Parallel()
	const readers, times, honest = 40, 25, 4
	f, ended := testkit.Fake(t), &disconnects{}
	s := start(t, f.Broker, func(o *stackOptions) { o.hooks = []kgo.Hook{ended} })
	topic := testkit.CreateTopic(t, f.Broker, 1)
	path := "/topics/" + topic + "/partitions/0/records?offset=0"
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2).want(t, 200, "")
	s.do(t, "GET", path, "").want(t, 200, `"offset":0`)
	pace := time.NewTicker(20 * time.Millisecond) // of the broker
	f.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		f.SleepControl(func() { <-pace.C })
		return nil, nil, false
	})
	var hasty, patient sync.WaitGroup
	for range readers {
		hasty.Go(func() {
			for range times {
				s.giveUp(t, path, 100*time.Millisecond)
			}
		})
	}
	gone := make(chan struct{})
	for range honest {
		patient.Go(func() {
			for n := 0; ; n++ {
				for _, path := range []string{path + "&timeout=0", "/readyz"} {
					if r, err := s.try("GET", path, ""); err != nil || r.status != 200 {
						t.Errorf("GET %s: %d %s %v", path, r.status, r.body, err)
						return
					}
				}
				select {
				case <-gone:
					if n < 1 {
						t.Errorf("%d reads, which are too few to mean something", n+1)
					}
					return
				default:
				}
			}
		})
	}
	hasty.Wait()
	close(gone)
	patient.Wait()
	if n := ended.Load(); n != 0 {
		t.Errorf("%d connections to brokers have ended", n)
	}
	if text := s.log.String(); strings.Contains(text, "level=WARN") {
		t.Error("the log has warnings")
	}
}

// giveUp sends a read and hangs up when it has waited for the response that long.
func (s *stack) giveUp(t *testing.T, path string, patience time.Duration) {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, conn) // most often there is nothing yet
}
