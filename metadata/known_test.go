package metadata

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/internal/testkit"
)

// The cached state is returned without a request, and outlives the brokers.
func TestKnown(t *testing.T) {
	if s := startCache(t, []string{"127.0.0.1:1"}, Settings{}).Known(); !s.Taken.IsZero() || len(s.Topics) != 0 {
		t.Errorf("before the first answer: %+v", s)
	}
	cluster := newCluster(t, kfake.SeedTopics(2, "a"))
	c := newCache(t, cluster, Settings{})
	testkit.Eventually(t, 20*time.Second, "the topic", func() bool { return len(c.Known().Topics) == 1 })
	cluster.Close()
	if s := c.Known(); len(s.Topics) != 1 || s.Topics[0].Name != "a" {
		t.Errorf("without brokers: %+v", s)
	}
}
