package batch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// breaker is a listener whose connections can be broken.
type breaker struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

// Accept implements [net.Listener].
func (b *breaker) Accept() (net.Conn, error) {
	c, err := b.Listener.Accept()
	if err == nil {
		b.mu.Lock()
		b.conns = append(b.conns, c)
		b.mu.Unlock()
	}
	return c, err
}

// breakAll ends all connections, by a reset: what was sent and not answered gets no answer.
func (b *breaker) breakAll() (n int) {
	b.mu.Lock()
	conns := b.conns
	b.conns = nil
	b.mu.Unlock()
	for _, c := range conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	return len(conns)
}

// refuseBad answers requests with a bad record as Kafka does: it names the record. kfake does not
// know bad records. The other partitions of such a request are to come again.
func refuseBad(r kmsg.Request) (kmsg.Response, error, bool) {
	in := r.(*kmsg.ProduceRequest)
	out, any := in.ResponseKind().(*kmsg.ProduceResponse), false
	for _, t := range in.Topics {
		of := kmsg.NewProduceResponseTopic()
		of.Topic, of.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			answer := kmsg.NewProduceResponseTopicPartition()
			answer.Partition, answer.ErrorCode = p.Partition, kerr.NotEnoughReplicas.Code
			_, records := readBatch(append([]byte(nil), p.Records...))
			for i, rec := range records {
				if strings.HasPrefix(string(rec.Value), `"bad`) {
					e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
					e.RelativeOffset = int32(i)
					answer.ErrorCode, answer.ErrorRecords, any = kerr.InvalidTimestamp.Code, append(answer.ErrorRecords, e), true
				}
			}
			of.Partitions = append(of.Partitions, answer)
		}
		out.Topics = append(out.Topics, of)
	}
	return out, nil, any
}

// Real connections are broken, leaders move and one record in 1,500 is bad, while clients write.
// Each record is where its client was told, once, and none but the bad is refused.
// MILLRACE_CHAOS_SECONDS makes it longer.
func TestChaos(t *testing.T) {
	length := time.Second
	if text := os.Getenv("MILLRACE_CHAOS_SECONDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		length = time.Duration(n) * time.Second
	}
	const partitions = 6
	var mu sync.Mutex
	var breakers []*breaker
	b := testkit.Fake(t, kfake.NumBrokers(2), kfake.SeedTopics(partitions, "t"), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		breakers = append(breakers, &breaker{Listener: l})
		return breakers[len(breakers)-1], nil
	}))
	b.Cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster.KeepControl()
		return refuseBad(r)
	})
	client, err := kafka.NewSender(kafka.Settings{Brokers: b.Addrs}, kafka.DefaultProducer())
	if err != nil {
		t.Fatal(err)
	}
	none, err := kafka.NewCompressor(kafka.LZ4, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster
	c.Topic = func(context.Context, string) (string, int32, error) { return "t", partitions, nil }
	p := New(client, none, c, Settings{BufferBytes: 32 << 20, Timeout: time.Minute, Linger: time.Millisecond, BatchBytes: 50_000}, kafka.DefaultProducer())
	defer func() {
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	stop := time.Now().Add(length)
	var clients, chaos sync.WaitGroup
	done, broken := make(chan struct{}), 0
	chaos.Go(func() {
		for i := int32(0); ; i++ {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			broken += breakers[rand.IntN(len(breakers))].breakAll()
			if err := b.Cluster.MoveTopicPartition("t", i%partitions, rand.Int32N(2)); err != nil {
				t.Error(err)
			}
		}
	})
	claims := make([][]claim, 8)
	for n := range claims {
		clients.Go(func() {
			for i := 0; time.Now().Before(stop); i++ {
				claims[n] = append(claims[n], chaoticRequest(t, p, n, i)...)
			}
		})
	}
	clients.Wait()
	close(done)
	chaos.Wait()
	compare(t, b.Broker, claims, broken)
}

// chaoticRequest writes up to 150 records and returns what was told of them.
func chaoticRequest(t *testing.T, p *Producer, client, i int) (claims []claim) {
	var text strings.Builder
	for k := range 1 + rand.IntN(150) {
		v := fmt.Sprintf(`"%d-%d-%d"`, client, i, k)
		if rand.IntN(1500) == 0 {
			v = `"bad ` + v[1:]
		}
		fmt.Fprintf(&text, `{"value":%s},`, v)
		claims = append(claims, claim{value: v})
	}
	_, err := p.Produce(fill(t, p, `{"records":[`+strings.TrimSuffix(text.String(), ",")+`]}`), "t", AnyPartition, nil, func(dst []byte, j *Job) []byte {
		for k := range claims {
			var failed *apierr.Error
			if claims[k].partition, claims[k].offset, failed = j.Result(k); failed != nil {
				claims[k].code = failed.Kind.Code
			}
		}
		return dst
	})
	if err != nil {
		for k := range claims {
			claims[k].code = apierr.From(err).Kind.Code
		}
	}
	return claims
}

// compare reads back what was written, and compares it with what was told.
func compare(t *testing.T, b testkit.Broker, claims [][]claim, broken int) {
	t.Helper()
	type place struct {
		partition int32
		offset    int64
	}
	written, refused := map[place]string{}, 0
	for _, all := range claims {
		for _, c := range all {
			bad := strings.HasPrefix(c.value, `"bad`)
			switch at := (place{c.partition, c.offset}); {
			case (c.code != 0) != bad:
				t.Errorf("%s got the code %d", c.value, c.code)
			case bad:
				refused++
			case written[at] != "":
				t.Errorf("%s and %s were told the same place %v", c.value, written[at], at)
			default:
				written[at] = c.value
			}
		}
	}
	t.Logf("%d records written, %d refused, %d connections broken", len(written), refused, broken)
	if len(written) == 0 || broken == 0 {
		t.Fatal("nothing happened")
	}
	for _, r := range testkit.ReadTopic(t, b, "t", len(written)) {
		if at := (place{r.Partition, r.Offset}); written[at] != string(r.Value) {
			t.Errorf("%v holds %s; told was %q", at, r.Value, written[at])
		}
	}
}
