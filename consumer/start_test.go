package consumer

import (
	"context"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// apart returns a Kafka with a topic t, whose leader is not the coordinator of the group, and the
// address of the coordinator.
func apart(t *testing.T, group string) (k *testkit.FakeKafka, coordinator string) {
	t.Helper()
	k = testkit.Fake(t, kfake.NumBrokers(2), kfake.SeedTopics(1, "t"))
	found := kadm.NewClient(testkit.Client(t, k.Broker)).FindGroupCoordinators(t.Context(), group)[group]
	ok(t, found.Err)
	ok(t, k.MoveTopicPartition("t", 0, 1-found.NodeID))
	return k, net.JoinHostPort(found.Host, strconv.Itoa(int(found.Port)))
}

// subscribed has an instance of KIP-848's protocol subscribe to t by clients of its own, and waits
// until enough is closed.
func subscribed(t *testing.T, base kafka.Settings, group string, enough <-chan struct{}) {
	t.Helper()
	conf := kafka.DefaultConsumer()
	conf.GroupProtocol = "consumer"
	m := newManagerOf(t, base, conf, nil, Deps{})
	ok(t, create(t, m, group, jsonOptions(m)).Subscribe(t.Context(), []string{"t"}))
	select {
	case <-enough:
	case <-time.After(patience):
		t.Fatal("there were not enough attempts")
	}
}

// TestStartIsNotAskedForWithoutPause has the leader of a partition refuse connections while the
// coordinator of the group is well: each time that the start of the log cannot be had, the instance
// asks the coordinator anew, and later each time.
func TestStartIsNotAskedForWithoutPause(t *testing.T) {
	t.Parallel()
	group := testkit.Group(t)
	k, coordinator := apart(t, group)
	const attempts = 5
	var mu sync.Mutex
	var asked []time.Time
	enough := make(chan struct{})
	k.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if asked = append(asked, time.Now()); len(asked) == attempts {
			close(enough)
		}
		return nil, nil, false
	})
	base := kafka.Settings{Brokers: []string{coordinator}, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != coordinator {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	subscribed(t, base, group, enough)
	mu.Lock()
	defer mu.Unlock()
	for n := range attempts - 1 {
		pause, least := asked[n+1].Sub(asked[n]), kafka.Backoff(n+1)/2
		if pause < least {
			t.Errorf("attempt %d came %v after the one before, want %v at least", n+2, pause, least)
		}
	}
}

// TestLostCoordinatorIsNotDialedWithoutPause has the coordinator refuse connections from when it is
// first asked for committed offsets.
func TestLostCoordinatorIsNotDialedWithoutPause(t *testing.T) {
	t.Parallel()
	group := testkit.Group(t)
	k, coordinator := apart(t, group)
	const attempts = 10
	var mu sync.Mutex
	var gone bool
	var dialed []time.Time
	enough := make(chan struct{})
	k.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		gone = true
		return nil, net.ErrClosed, true // ends the connection
	})
	base := kafka.Settings{Brokers: k.Addrs, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if addr != coordinator || !gone {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		if dialed = append(dialed, time.Now()); len(dialed) == attempts {
			close(enough)
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}}
	subscribed(t, base, group, enough)
	mu.Lock()
	defer mu.Unlock()
	// Another client of the node dials as well, with pauses of its own.
	if took := dialed[attempts-1].Sub(dialed[0]); took < 500*time.Millisecond {
		t.Errorf("%d attempts took %v", attempts, took)
	}
}
