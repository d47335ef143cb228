package api_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// When brokers go away in the middle of a stream, each record is told in its slot that it was not
// written, or that this is not known; the stream goes on when they are back.
func TestV3StreamThroughAnOutage(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.producer.DeliveryTimeout = 2 * time.Second // the record before the outage has it too
		o.batch.Timeout = 5 * time.Second
	})
	topic := testkit.CreateTopic(t, b.Broker, 1)
	d := s.stream(t, s.v3(topic)+"/records")
	d.send(value(1))
	d.want(ok200)
	away := true
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if !away {
			return nil, nil, false
		}
		return nil, errors.New("gone"), true // the connection is closed
	})
	d.send(value(2) + value(3) + `{"value":{"type":"BINARY","data":5}}` + value(4))
	for i := range 4 {
		got := d.result()
		if i == 2 {
			if !strings.HasPrefix(got, `{"error_code":400,`) {
				t.Errorf("the bad record: %s", got)
			}
		} else if !strings.HasPrefix(got, `{"error_code":503`) && !strings.HasPrefix(got, `{"error_code":504`) {
			t.Errorf("record %d of an outage: %s", i, got)
		}
	}
	b.Control(func(kmsg.Request) (kmsg.Response, error, bool) { away = false; return nil, nil, false })
	testkit.Eventually(t, 20*time.Second, "a record to be written again", func() bool {
		d.send(value(5))
		return strings.HasPrefix(d.result(), ok200)
	})
	d.end()
	d.wantEnd()
}
