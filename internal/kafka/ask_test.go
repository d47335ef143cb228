package kafka

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// A broker that takes connections and says nothing holds no look-up up: the next is asked as well.
func TestAskDoesNotWaitForSilentBroker(t *testing.T) {
	k := testkit.Fake(t, kfake.NumBrokers(3))
	var dialled atomic.Int32
	settings := Settings{Brokers: k.Addrs, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != k.Addrs[0] {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		dialled.Add(1)
		mute, other := net.Pipe()
		go func() { // takes what is written
			defer other.Close()
			for buf := make([]byte, 1024); ; {
				if _, err := other.Read(buf); err != nil {
					return
				}
			}
		}()
		return mute, nil
	}}
	p := DefaultProducer()
	p.SilenceLimit = 2 * time.Minute // the time-out of requests is half of it
	s, err := NewSender(settings, p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 8 { // the library asks the brokers in turn
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{}
		if _, err := s.Ask(ctx, req); err != nil {
			t.Fatalf("with a broker that is silent: %v", err)
		}
	}
	if dialled.Load() == 0 {
		t.Error("the silent broker was never asked")
	}
}
