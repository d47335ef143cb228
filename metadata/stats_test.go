package metadata

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// The metrics show the view and its age, and cost no request.
func TestStats(t *testing.T) {
	inBubble(t, func(t *testing.T, network *kfake.VirtualNetwork) {
		cluster := newCluster(t, virtual(network, kfake.SeedTopics(3, "a"), kfake.SeedTopics(1, "b"))...)
		c := newCache(t, cluster, Settings{MaxAge: time.Hour}, dialer(network))
		if _, err := c.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked := count(cluster, "all")
		time.Sleep(10 * time.Second)
		s := c.Stats()
		if !s.Reachable || !s.Known || s.Refreshed != 1 || s.RefreshFailed != 0 {
			t.Errorf("got %+v", s)
		}
		if s.Brokers != 1 || s.Topics != 2 || s.Partitions != 4 || s.Leaderless != 0 {
			t.Errorf("of 1 broker, 2 topics and 4 partitions it has %+v", s)
		}
		if s.Age < 10*time.Second || s.Age > 11*time.Second || s.Silence > 2*time.Second {
			t.Errorf("after ten seconds the view is %v old and the last answer %v", s.Age, s.Silence)
		}
		if n := asked(); n != 0 {
			t.Errorf("%d requests to look at it", n)
		}
		cluster.Close()
		c.Invalidate()
		time.Sleep(20 * time.Second)
		if s := c.Stats(); s.Reachable || s.RefreshFailed == 0 || s.Silence < 10*time.Second {
			t.Errorf("without brokers: %+v", s)
		}
	})
}
