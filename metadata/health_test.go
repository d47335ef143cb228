package metadata

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// within polls a condition often, and returns how long it took.
func within(t *testing.T, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	testkit.Eventually(t, limit, "the state", ok)
	return time.Since(began)
}

// TestHealth plays an outage: the brokers go, everything fails fast, they come
// back at the same address.
func TestHealth(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		ctx := t.Context()
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{}, dialer(network))
		if err := c.Healthy(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Snapshot(ctx); err != nil {
			t.Fatal(err)
		}
		for range 100 { // quiet for long, and healthy all the time
			time.Sleep(300 * time.Millisecond)
			if err := c.Healthy(); err != nil {
				t.Fatal(err)
			}
		}

		cluster.Close()
		waiting := make(chan time.Duration)
		go func() { // queries before the watch has noticed
			began := time.Now()
			_, err := body(ctx, c, Query{Of: AllTopics})
			wantKind(t, err, apierr.BrokersAway)
			waiting <- time.Since(began)
		}()
		t.Logf("unhealthy after %v", within(t, 5*time.Second, func() bool { return c.Healthy() != nil }))
		wantKind(t, c.Healthy(), apierr.BrokersAway)
		if took := <-waiting; took > 6*time.Second {
			t.Errorf("who asked as the brokers went away waited %v", took)
		}
		began := time.Now()
		_, err := c.Topic(ctx, "new")
		wantKind(t, err, apierr.BrokersAway)
		_, err = body(ctx, c, Query{Of: AllTopics})
		wantKind(t, err, apierr.BrokersAway)
		if topic, err := c.Topic(ctx, "t"); err != nil || topic.Name != "t" {
			t.Errorf("a known topic is forgotten: %v", err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("answers in an outage took %v", took)
		}

		time.Sleep(time.Minute)
		newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		t.Logf("healthy again after %v", within(t, time.Second, func() bool { return c.Healthy() == nil }))
		if _, err := body(ctx, c, Query{Of: AllTopics}); err != nil {
			t.Error(err)
		}
	})
}

// TestHealthAtStart checks that a cache whose brokers never responded is not ready, fails fast,
// and becomes ready by itself.
func TestHealthAtStart(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		c := startCache(t, []string{"127.0.0.1:9092"}, Settings{}, dialer(network))
		wantKind(t, c.Healthy(), apierr.BrokersAway)
		began := time.Now()
		_, err := c.Topic(t.Context(), "t")
		wantKind(t, err, apierr.BrokersAway)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the first look-up took %v", took)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Wait(short); err == nil {
			t.Error("brokers that are not there have answered")
		}
		newCluster(t, virtual(network)...)
		if err := c.Wait(t.Context()); err != nil || c.Healthy() != nil {
			t.Errorf("wait %v, health %v", err, c.Healthy())
		}
	})
}

// TestHealthOneLeft checks that the cluster counts as reachable while a single broker is left and
// the others accept connections and send nothing.
func TestHealthOneLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		var silent atomic.Bool
		hung := func(ctx context.Context, kind, addr string) (net.Conn, error) {
			if _, port, _ := net.SplitHostPort(addr); silent.Load() && port != "9094" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return network.DialContext(ctx, kind, addr)
		}
		cluster := newCluster(t, kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094), kfake.ListenFn(network.Listen))
		c := newCache(t, cluster, Settings{}, kgo.Dialer(hung))
		if _, err := c.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		silent.Store(true)
		for _, node := range []int32{0, 1} {
			if err := cluster.RemoveNode(node); err != nil {
				t.Fatal(err)
			}
		}
		for range 200 {
			time.Sleep(100 * time.Millisecond)
			if err := c.Healthy(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestProbes checks the cost of watching: one small request a second, and none while other
// requests get responses.
func TestProbes(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{}, dialer(network))
		var probes atomic.Int64
		cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if topics := r.(*kmsg.MetadataRequest).Topics; topics != nil && len(topics) == 0 {
				probes.Add(1)
			}
			return nil, nil, false
		})
		time.Sleep(60 * time.Second)
		if n := probes.Load(); n < 50 || n > 61 {
			t.Errorf("%d probes in a minute", n)
		}
		hook := c.Hook().(kgo.HookBrokerRead)
		probes.Store(0)
		for range 120 {
			hook.OnBrokerRead(kgo.BrokerMetadata{}, 0, 0, 0, 0, nil)
			time.Sleep(500 * time.Millisecond)
		}
		if n := probes.Load(); n > 1 {
			t.Errorf("%d probes while other clients were answered", n)
		}
		for range 20 {
			hook.OnBrokerRead(kgo.BrokerMetadata{}, 0, 0, 0, 0, kerr.UnknownServerError)
			time.Sleep(500 * time.Millisecond)
		}
		if n := probes.Load(); n < 8 {
			t.Errorf("%d probes while reads fail", n)
		}
	})
}

// TestSilentBroker checks that a broker that accepts requests and does not respond cannot block a
// look-up, even one without a deadline of its own.
func TestSilentBroker(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(1, "t"))...)
		c := newCache(t, cluster, Settings{Timeout: 2 * time.Second}, dialer(network))
		hang := make(chan struct{})
		cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
			<-hang
			return nil, nil, false
		})
		began := time.Now()
		_, err := c.Topic(t.Context(), "new")
		wantKind(t, err, apierr.KafkaTimedOut)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("waited %v", took)
		}
		within(t, 5*time.Second, func() bool { return c.Healthy() != nil })
		close(hang)
		within(t, 3*time.Second, func() bool { return c.Healthy() == nil })
	})
}
