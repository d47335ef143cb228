package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// wire counts the fetches that a reader has written, and its connections that have
// ended.
type wire struct{ written, ended atomic.Int32 }

func (w *wire) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == int16(kmsg.Fetch) && err == nil {
		w.written.Add(1)
	}
}

func (w *wire) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { w.ended.Add(1) }

// onWire runs test with a reader of topic t, which has one record. All is in a bubble,
// whose time goes by when nothing else is left to do.
func onWire(t *testing.T, test func(t *testing.T, f *testkit.FakeKafka, r *Reader, w *wire)) {
	synctest.Test(t, func(t *testing.T) {
		network, w := &kfake.VirtualNetwork{}, &wire{}
		f := testkit.Fake(t, kfake.SeedTopics(1, "t"), kfake.ListenFn(network.Listen))
		dial := kgo.Dialer(network.DialContext)
		if err := testkit.Client(t, f.Broker, dial).ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		base := Settings{Brokers: f.Addrs, Hooks: []kgo.Hook{w}}
		r, err := NewReader(base, DefaultConsumer())
		if err != nil {
			t.Fatal(err)
		}
		opts, err := ConsumerOpts(base, DefaultConsumer())
		if err != nil {
			t.Fatal(err)
		}
		r.client.Close()
		if r.client, err = kgo.NewClient(append(opts, dial)...); err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, _, err := fetch(t, r, PartitionRead{Topic: "t", MaxBytes: 1}); err != nil { // it knows the leader, and is connected
			t.Fatal(err)
		}
		w.written.Store(0)
		test(t, f, r, w)
	})
}

// holdFetch holds the answer of the next fetch until release is called, and with it
// those of all fetches after it on its connection.
func holdFetch(f *testkit.FakeKafka) (release func()) {
	released := make(chan struct{})
	var held atomic.Bool
	f.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		if held.CompareAndSwap(false, true) { // kfake calls it for other connections meanwhile
			f.SleepControl(func() { <-released })
		}
		return nil, nil, false
	})
	return sync.OnceFunc(func() { close(released) })
}

// outcome is what became of one fetch.
type outcome struct {
	records int
	took    time.Duration
	err     error
}

// begin fetches the record, for as long as patience says.
func begin(t *testing.T, r *Reader, patience time.Duration) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		part, _, err := r.Fetch(ctx, PartitionRead{Topic: "t", MaxBytes: 1 << 20})
		for _, record := range part.Records {
			record.Recycle()
		}
		done <- outcome{len(part.Records), time.Since(began), err}
	}()
	return done
}

// A fetch that is given up leaves the connection to the others that are in flight on
// it: their requests are not written again.
func TestAFetchThatIsGivenUpLeavesTheOthers(t *testing.T) {
	onWire(t, func(t *testing.T, f *testkit.FakeKafka, r *Reader, w *wire) {
		release := holdFetch(f)
		defer release()
		hasty := begin(t, r, time.Second)
		synctest.Wait()
		var patient []<-chan outcome
		for range inFlight - 1 {
			patient = append(patient, begin(t, r, time.Minute))
		}
		if got := <-hasty; !errors.Is(got.err, context.DeadlineExceeded) || got.took != time.Second {
			t.Errorf("the fetch with a second to wait got %v after %v", got.err, got.took)
		}
		synctest.Wait()
		release()
		for _, done := range patient {
			if got := <-done; got.err != nil || got.records != 1 || got.took != time.Second {
				t.Errorf("a fetch in flight beside it got %d records, %v, after %v", got.records, got.err, got.took)
			}
		}
		if written, ended := w.written.Load(), w.ended.Load(); written != inFlight || ended != 0 {
			t.Errorf("%d fetches were written, %d connections have ended; want %d and none", written, ended, inFlight)
		}
	})
}

// A connection that has brought no answer for long is ended, with all that is in
// flight on it; what is still waited for goes over the next one.
func TestASilentConnectionIsGivenUp(t *testing.T) {
	onWire(t, func(t *testing.T, f *testkit.FakeKafka, r *Reader, w *wire) {
		release := holdFetch(f)
		defer release()
		patient := begin(t, r, time.Minute)
		synctest.Wait()
		if got := <-begin(t, r, silentFor-time.Second); !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("a fetch without an answer got %v", got.err)
		}
		synctest.Wait()
		if ended := w.ended.Load(); ended != 0 {
			t.Errorf("%d connections have ended after %v", ended, silentFor-time.Second)
		}
		hasty := begin(t, r, silentFor)
		if got := <-hasty; !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("a fetch without an answer got %v", got.err)
		}
		if got := <-patient; got.err != nil || got.records != 1 || got.took > 3*silentFor {
			t.Errorf("the fetch that had waited got %d records, %v, after %v", got.records, got.err, got.took)
		}
		if ended := w.ended.Load(); ended == 0 {
			t.Error("the connection goes on")
		}
	})
}

// A broker has no more than so many fetches to answer at a time; the others wait for
// their turn, where they can be given up for nothing.
func TestFetchesWaitForTheirTurn(t *testing.T) {
	onWire(t, func(t *testing.T, f *testkit.FakeKafka, r *Reader, _ *wire) {
		release := holdFetch(f)
		defer release()
		asked := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Observe: true, Count: -1})
		var all []<-chan outcome
		for range 3 * inFlight {
			all = append(all, begin(t, r, time.Second))
		}
		synctest.Wait()
		for _, done := range all {
			if got := <-done; !errors.Is(got.err, context.DeadlineExceeded) {
				t.Errorf("a fetch without an answer got %v", got.err)
			}
		}
		release()
		if got := <-begin(t, r, time.Minute); got.err != nil || got.records != 1 {
			t.Errorf("the fetch after them got %d records, %v", got.records, got.err)
		}
		if n := asked.Hits(); n > inFlight+1 {
			t.Errorf("the broker was asked %d times, want %d at most", n, inFlight+1)
		}
	})
}
