package api_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// twoKeys is a node with two keys that may produce, and two brokers, of which the first, the leader
// of the topic "noisy", answers no Produce request while it is held. "honest" is the other's.
type twoKeys struct {
	*stack
	noisy, honest string // header lines
	release       func()
}

const honestConns = 4

func startTwoKeys(t *testing.T, change func(*stackOptions)) *twoKeys {
	t.Helper()
	d := newDoors(t, testRules+"\n  - {who: [key:edge, key:dash], allow: [produce], topics: [noisy, honest]}\n")
	b := testkit.Fake(t, kfake.NumBrokers(2), kfake.SeedTopics(1, "noisy", "honest"))
	for node, topic := range []string{"noisy", "honest"} {
		if err := b.MoveTopicPartition(topic, 0, int32(node)); err != nil {
			t.Fatal(err)
		}
	}
	held := make(chan struct{})
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if b.CurrentNode() == 0 {
			b.SleepControl(func() { <-held })
		}
		return nil, nil, false
	})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	s := start(t, b.Broker, func(o *stackOptions) {
		o.access = d.settings
		change(o)
	})
	return &twoKeys{s, d.writeKey, d.dashKey, release}
}

// fill has the noisy key send requests until each of n goroutines is told that the node is full or
// waits for an answer.
func (k *twoKeys) fill(n int, body, refusal string) (refused func() bool, wait func()) {
	var all sync.WaitGroup
	var mu sync.Mutex
	full := false
	for range n {
		all.Go(func() {
			r, err := k.try("POST", "/topics/noisy", body, jsonV2, k.noisy)
			mu.Lock()
			defer mu.Unlock()
			full = full || err == nil && strings.Contains(r.body, refusal)
		})
	}
	return func() bool { mu.Lock(); defer mu.Unlock(); return full }, all.Wait
}

// honestIsServed has the honest key send requests on a few connections, all of which must be
// served, and none late.
func (k *twoKeys) honestIsServed(t *testing.T, body string) {
	t.Helper()
	var all sync.WaitGroup
	for range honestConns {
		all.Go(func() {
			for range 50 {
				began := time.Now()
				r, err := k.try("POST", "/topics/honest", body, jsonV2, k.honest)
				if took := time.Since(began); err != nil || r.status != 200 || took > 10*time.Second {
					t.Errorf("after %v: %d %s %v", took, r.status, r.body, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// A key whose bodies take all the memory of bodies, on many connections, leaves room for another
// key at the same address.
func TestBodiesOfOneKeyLeaveRoom(t *testing.T) {
	t.Parallel()
	k := startTwoKeys(t, func(o *stackOptions) {
		o.server.MaxBodyBytes = 1 << 20
		o.server.Bodies.Memory, o.server.Bodies.Grace = 4<<20, time.Minute
	})
	const size = 60_000
	conns := make([]net.Conn, 0, 20*honestConns)
	for range cap(conns) { // each sends all of a body but the end
		conn := k.raw(t)
		conns = append(conns, conn)
		fmt.Fprintf(conn, "POST /topics/noisy HTTP/1.1\r\nHost: h\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n%s",
			jsonV2, k.noisy, size, strings.Repeat(" ", size-1))
	}
	testkit.Eventually(t, 20*time.Second, "that the bodies of the noisy key find no room", func() bool {
		return k.server.Stats().Bodies.Refused > 0
	})
	k.honestIsServed(t, `{"records":[{"value":"`+strings.Repeat("x", 30_000)+`"}]}`)
	if used := k.server.Stats().Bodies.Used; used < 3<<20 {
		t.Errorf("only %d bytes of bodies were held meanwhile", used)
	}
	for _, conn := range conns {
		conn.Close()
	}
	testkit.Eventually(t, 20*time.Second, "that all memory is given back", func() bool { return k.server.Stats().Bodies.Used == 0 })
}

// A key whose records a lost broker does not take fills the memory of records, and leaves room for
// another key at the same address.
func TestRecordsOfOneKeyLeaveRoom(t *testing.T) {
	t.Parallel()
	k := startTwoKeys(t, func(o *stackOptions) { o.batch.BufferBytes = 4 << 20 })
	body := `{"records":[{"value":"` + strings.Repeat("x", 100_000) + `"}]}`
	refused, wait := k.fill(20*honestConns, body, `"error_code":50301`)
	testkit.Eventually(t, 20*time.Second, "that records of the noisy key find no room", refused)
	k.honestIsServed(t, `{"records":[{"value":"`+strings.Repeat("x", 10_000)+`"}]}`)
	if held := k.producer.Held(); held < 2<<20 {
		t.Errorf("only %d bytes of records were held meanwhile", held)
	}
	k.release()
	wait()
	testkit.Eventually(t, 20*time.Second, "that all memory is given back", func() bool { return k.producer.Held() == 0 })
}

// While a node sheds load, the requests of a key with few are not refused for another key at the
// same address with many. In this test any delay is too long, and those that wait for Kafka are
// those at work.
func TestShedRequestsAreThoseOfTheNoisyKey(t *testing.T) {
	t.Parallel()
	k := startTwoKeys(t, func(o *stackOptions) { o.server.OverloadDelay = time.Nanosecond })
	_, wait := k.fill(4*64*runtime.GOMAXPROCS(0), `{"records":[{"value":1}]}`, `"error_code":50313`)
	testkit.Eventually(t, 20*time.Second, "that the noisy key is refused", func() bool {
		r, err := k.try("POST", "/topics/noisy", "{", jsonV2, k.noisy) // 422 when it is read
		return err == nil && strings.Contains(r.body, `"error_code":50313`)
	})
	k.honestIsServed(t, `{"records":[{"value":1}]}`)
	k.release()
	wait()
}
