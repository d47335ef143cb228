package api_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// A stream that skips many records sends each match at once, and meanwhile shows that it is alive
// and its position: a stream that is cut off resumes from that position, and not from its
// beginning.
func TestStreamPassesOverMuch(t *testing.T) {
	t.Parallel()
	const records, each = 100, 100 << 10 // some 50 fetches of a stream
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, 1)
	writer := testkit.Client(t, f.Broker, kgo.ProducerBatchCompression(kgo.NoCompression()))
	all := []*kgo.Record{{Topic: topic, Key: []byte(`"a"`), Value: []byte("0")}}
	for range records {
		all = append(all, &kgo.Record{Topic: topic, Key: []byte(`"b"`), Value: []byte(`"` + strings.Repeat("x", each) + `"`)})
	}
	for _, r := range all {
		if err := writer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, f.Broker, func(o *stackOptions) { o.rest.StreamHeartbeat = 50 * time.Millisecond })
	fetches := make(chan struct{}, 10_000)
	pace := time.NewTicker(20 * time.Millisecond) // of the broker
	f.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		f.SleepControl(func() { <-pace.C })
		fetches <- struct{}{}
		return nil, nil, false
	})
	const path = "/stream?from=beginning&key=a"
	at := s.follow(t, "/topics/"+topic+path, sse)
	at.want(0)
	if n := len(fetches); n > 25 {
		t.Errorf("the first record came after %d fetches", n)
	}
	end := strconv.FormatInt(records+1, 36)
	next := func(f *follower) string {
		for was := f.id; f.id == was; {
			if !f.in.Scan() {
				t.Fatalf("the stream ended at %s: %v", f.id, f.in.Err())
			}
			if id, is := strings.CutPrefix(f.in.Text(), "id: "); is {
				f.id = id
			}
		}
		return f.id
	}
	var ids []string
	for range 3 {
		ids = append(ids, next(at))
	}
	for _, id := range ids {
		if strings.HasSuffix(id, end) {
			t.Fatalf("the ids %q are not on the way", ids)
		}
	}
	at.close()
	again := s.follow(t, "/topics/"+topic+path, sse, "Last-Event-ID: "+ids[2])
	if id := next(again); id != ids[2] {
		t.Errorf("the stream goes on at %s, not at %s", id, ids[2])
	}
	for !strings.HasSuffix(next(again), end) {
	}
}

// A topic that was deleted and created again is another one: a client that resumes with positions
// in the first gets a notice, and all records of the second.
func TestStreamOfARecreatedTopic(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 2)
		s.put(t, topic, 0, 1, 2, 3, 4, 5, 6, 7)
		path := "/topics/" + topic + "/stream?from=beginning"
		first := s.follow(t, path, sse)
		for range 8 {
			first.next()
		}
		first.close()
		testkit.RecreateTopic(t, b, topic, 2)
		writer := testkit.Client(t, b, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		put := func(values ...string) {
			for _, v := range values {
				if err := writer.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
		put("10", "11")

		for _, accept := range []string{sse, "Accept: application/x-ndjson"} {
			again := s.follow(t, path, accept, "Last-Event-ID: "+first.id)
			if e, _ := again.next(); e.ErrorCode != 40404 || e.Final || !strings.Contains(e.text, "created again") {
				t.Errorf("the stream goes on with %s", e.text)
			}
			again.want(10, 11)
			if accept == sse {
				again.wantID(topic, "2.0")
				again.close()
				put("12")
				s.follow(t, path, sse, "Last-Event-ID: "+again.id).want(12)
				continue
			}
			again.want(12)
		}
	})
}

// Partitions without a leader do not block the others.
func TestStreamBesideDeadPartitions(t *testing.T) {
	t.Parallel()
	const dead = 33
	f := testkit.Fake(t)
	topic := testkit.CreateTopic(t, f.Broker, dead+1)
	var which []int32
	for p := range int32(dead) {
		which = append(which, p)
	}
	f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Partitions: which, Err: kerr.LeaderNotAvailable, Count: -1})
	s := start(t, f.Broker, func(o *stackOptions) { o.rest.StreamHeartbeat = 100 * time.Millisecond })
	at := s.follow(t, "/topics/"+topic+"/stream", sse) // for up to a minute
	for n := range 3 {
		s.do(t, "POST", fmt.Sprintf("/topics/%s/partitions/%d", topic, dead), fmt.Sprintf(`{"records":[{"value":%d}]}`, n), jsonV2).want(t, 200, "")
		at.want(n)
	}
}
