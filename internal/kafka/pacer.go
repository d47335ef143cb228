package kafka

import (
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pacer is a hook that bounds how often a client tries to connect to a broker in vain. Between such
// attempts there are pauses as between other retries: of [Backoff], but not the longest.
//
// A group of KIP-848's protocol needs it: while the offsets of its partitions cannot be fetched,
// because the coordinator refuses connections, the library begins the session anew without a pause.
// Otherwise an instance dials thousands of times a second until the coordinator is back. The hook
// is called on the goroutine of that broker, and holds up no other.
type pacer struct {
	mu     sync.Mutex
	failed map[int32]failedDials
}

// failedDials are those of one broker in a row.
type failedDials struct {
	count int
	last  time.Time
}

// maxPaces is from which failure on the pauses grow no longer, at 0.4 s: that long a broker may be
// back and the client not know.
const maxPaces = 3

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (p *pacer) OnBrokerConnect(b kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	p.mu.Lock()
	before := p.failed[b.NodeID]
	if err == nil {
		delete(p.failed, b.NodeID)
	}
	p.mu.Unlock()
	if err == nil {
		return
	}
	if before.count > 0 {
		time.Sleep(time.Until(before.last.Add(Backoff(min(before.count, maxPaces)))))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = make(map[int32]failedDials)
	}
	p.failed[b.NodeID] = failedDials{before.count + 1, time.Now()}
}
