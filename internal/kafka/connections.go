package kafka

import (
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Connections are the open connections, by broker, of the clients that it is a hook of. The zero
// value is ready for use; methods may be called from any goroutine.
type Connections struct {
	mu       sync.Mutex
	byBroker map[int32]map[net.Conn]struct{}
}

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (c *Connections) OnBrokerConnect(b kgo.BrokerMetadata, _ time.Duration, conn net.Conn, err error) {
	if err != nil || conn == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byBroker == nil {
		c.byBroker = make(map[int32]map[net.Conn]struct{})
	}
	if c.byBroker[b.NodeID] == nil {
		c.byBroker[b.NodeID] = make(map[net.Conn]struct{})
	}
	c.byBroker[b.NodeID][conn] = struct{}{}
}

// OnBrokerDisconnect implements [kgo.HookBrokerDisconnect].
func (c *Connections) OnBrokerDisconnect(b kgo.BrokerMetadata, conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byBroker[b.NodeID], conn)
}

// Reset ends the connections to the broker. What is in flight there fails; the library opens new
// ones when they are needed.
func (c *Connections) Reset(broker int32) {
	c.mu.Lock()
	all := slices.Collect(maps.Keys(c.byBroker[broker]))
	c.mu.Unlock()
	for _, conn := range all {
		if over, ok := conn.(*tls.Conn); ok {
			conn = over.NetConn() // TLS would say goodbye first, to a broker that may not listen
		}
		_ = conn.Close() // the library sees it end, and calls the hook
	}
}
