package apierr

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestUnreachableSaysWhatListens connects a Kafka client to servers of other protocols. The client
// library has types for few of their errors, so this test holds it to its words.
func TestUnreachableSaysWhatListens(t *testing.T) {
	for name, c := range map[string]struct{ address, want string }{
		"a web server":                 {listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), "does not speak Kafka's protocol"},
		"a server that greets":         {listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-other\r\n") }), "does not speak Kafka's protocol"},
		"a response that is too short": {listen(t, func(c net.Conn) { _, _ = c.Write([]byte{0, 0, 0, 2, 1, 1}) }), "does not speak Kafka's protocol"},
		"a server that wants TLS":      {listen(t, func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 70}) }), "speak TLS"},
		"a server that closes":         {listen(t, func(c net.Conn) { c.Close() }), "closed at once"},
		"no server":                    {"127.0.0.1:1", "connections are refused"},
	} {
		client, err := kgo.NewClient(kgo.SeedBrokers(c.address), kgo.AlwaysRetryEOF())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err = kmsg.NewPtrMetadataRequest().RequestWith(ctx, client.SeedBrokers()[0])
		cancel()
		client.Close()
		told := Unreachable(err)
		if !BrokersAway.Is(told) || !strings.Contains(told.Message(), c.want) {
			t.Errorf("%s: %q for %v, want %q", name, told.Message(), err, c.want)
		}
	}
}

// listen starts a server that waits for a request on each connection, and then does as given.
func listen(t *testing.T, then func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				_, _ = c.Read(make([]byte, 4096))
				then(c)
			}()
		}
	}()
	return l.Addr().String()
}
