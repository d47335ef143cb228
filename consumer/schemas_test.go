package consumer

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/schema"
)

// schemaFixture is an instance that reads Avro by the schemas of a registry in
// this process.
type schemaFixture struct {
	t        *testing.T
	b        testkit.Broker
	registry *srfake.Registry
	asked    atomic.Int32                  // requests to the registry
	silence  atomic.Pointer[chan struct{}] // it answers when that is closed
	m        *Manager
	topic    string
	i        *Instance
}

func newSchemaFixture(t *testing.T, change func(*schema.Settings)) *schemaFixture {
	t.Helper()
	f := &schemaFixture{t: t, b: testkit.Fake(t).Broker, registry: srfake.New()}
	t.Cleanup(f.registry.Close)
	f.registry.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		f.asked.Add(1)
		if until := f.silence.Load(); until != nil {
			select {
			case <-*until:
			case <-r.Context().Done():
			}
		}
		return false
	})
	s := schema.Settings{URLs: []string{f.registry.URL()}, Timeout: patience, CacheSize: 100, NegativeTTL: time.Minute}
	change(&s)
	schemas, err := schema.New(s, slog.New(slog.DiscardHandler))
	ok(t, err)
	t.Cleanup(schemas.Close)
	f.m = newManagerWith(t, f.b, nil, Deps{Schemas: schemas})
	f.topic = testkit.CreateTopic(t, f.b, 1)
	o := f.m.Defaults()
	o.Format, o.AutoCommit = codec.Avro, false
	f.i = create(t, f.m, testkit.Group(t), o)
	ok(t, f.i.Assign(t.Context(), partitions(f.topic, 1)))
	return f
}

// silent has the registry answer nothing until the returned function is called.
func (f *schemaFixture) silent() (end func()) {
	until := make(chan struct{})
	f.silence.Store(&until)
	return sync.OnceFunc(func() { f.silence.Store(nil); close(until) })
}

// register returns the id of a schema that is like no other.
func (f *schemaFixture) register(n int) int32 {
	f.t.Helper()
	id, _, err := f.registry.RegisterSchema(fmt.Sprint("s", n), sr.Schema{
		Schema: fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"n","type":"int"}]}`, n),
	})
	ok(f.t, err)
	return int32(id)
}

// framed is the record {"n":1} behind the schema's id.
func framed(id int32) []byte { return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(id)), 2) }

func (f *schemaFixture) produce(ids ...int32) {
	f.t.Helper()
	for i := 0; i < len(ids); i += 2 {
		produce(f.t, f.b, &kgo.Record{Topic: f.topic, Key: framed(ids[i]), Value: framed(ids[i+1])})
	}
}

// A cache that is too small for the schemas of a page, or of one record, makes a
// read ask more; it does not keep it from its end.
func TestReadWithASmallSchemaCache(t *testing.T) {
	t.Parallel()
	f := newSchemaFixture(t, func(s *schema.Settings) { s.CacheSize = 1 })
	const n = 2 * 16
	var ids []int32
	for k := range 2 * n {
		ids = append(ids, f.register(k))
	}
	f.produce(ids...)
	rs := readN(t, f.i, n)
	for k, r := range rs {
		if string(r.Key) != `{"n":1}` || string(r.Value) != `{"n":1}` {
			t.Fatalf("record %d is %s: %s", k, r.Key, r.Value)
		}
	}
	if asked := f.asked.Load(); asked > 2*n {
		t.Errorf("%d schemas took %d requests", 2*n, asked)
	}
}

// Within a read each schema is looked for in the cache once.
func TestReadKeepsItsSchemas(t *testing.T) {
	t.Parallel()
	f := newSchemaFixture(t, func(*schema.Settings) {})
	ids := []int32{f.register(1), f.register(2)}
	for range 20 {
		f.produce(ids...)
	}
	readN(t, f.i, 20)
	if s := f.m.deps.Schemas.Stats(); s.Hits > 4 {
		t.Errorf("20 records of 2 schemas asked the cache %d times", s.Hits)
	}
}

// A registry that does not answer holds a read up no longer than its timeout, or
// the moment that look-ups have at least; the position stays.
func TestReadWhileTheRegistryIsSilent(t *testing.T) {
	t.Parallel()
	f := newSchemaFixture(t, func(*schema.Settings) {})
	known, unknown := f.register(1), f.register(2)
	f.produce(known, known, unknown, unknown)
	answer := f.silent()
	defer answer()
	began := time.Now()
	_, err := f.i.AppendRecords(t.Context(), nil, ReadOptions{Timeout: 100 * time.Millisecond}, Delivery{})
	wantKind(t, err, apierr.RegistryTimedOut)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	answer()
	var rs []record
	testkit.Eventually(t, patience, "the registry to be asked again", func() bool {
		answer, err := f.i.AppendRecords(t.Context(), nil, ReadOptions{Timeout: time.Second}, Delivery{})
		if err == nil {
			rs = append(rs, decode(t, answer)...)
		}
		return len(rs) == 2
	})
	if rs[0].Offset != 0 || rs[1].Offset != 1 {
		t.Errorf("read %+v", rs)
	}
}

// A drain ends the look-ups of a read too.
func TestDrainEndsLookUps(t *testing.T) {
	t.Parallel()
	f := newSchemaFixture(t, func(*schema.Settings) {})
	f.produce(f.register(1), f.register(2))
	defer f.silent()()
	done := make(chan error)
	go func() {
		_, err := f.i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
		done <- err
	}()
	testkit.Eventually(t, patience, "the registry to be asked", func() bool { return f.asked.Load() > 0 })
	f.m.Drain()
	select {
	case err := <-done:
		wantKind(t, err, apierr.RegistryTimedOut)
	case <-time.After(patience / 2):
		t.Error("the read goes on")
	}
}

// A fault of a record's schema is reported with the record's position, though a failed lookup
// is not cached.
func TestUnknownSchemaNamesTheRecord(t *testing.T) {
	t.Parallel()
	f := newSchemaFixture(t, func(s *schema.Settings) { s.NegativeTTL = 0 })
	id := f.register(1)
	f.produce(id, id, 4711, id, id, id)
	readN(t, f.i, 1)
	_, err := f.i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
	wantKind(t, err, apierr.Undecodable)
	for _, says := range []string{"The key of", "offset 1 ", "partition 0 ", "topic " + f.topic, "4711"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q does not say %q", err, says)
		}
	}
	ok(t, f.i.Seek(t.Context(), []Offset{{TopicPartition: TopicPartition{Topic: f.topic, Partition: 0}, Offset: 2}}, nil))
	if rs := readN(t, f.i, 1); rs[0].Offset != 2 {
		t.Errorf("behind it is %+v", rs)
	}
}

// pausedRead returns how an instance is whose read has taken one record into its page and asks the
// silent registry for the schema of the next. end has the client hang up and the read return.
func pausedRead(t *testing.T) (f *schemaFixture, end func()) {
	t.Helper()
	f = newSchemaFixture(t, func(*schema.Settings) {})
	known, unknown := f.register(1), f.register(2)
	f.produce(known, known)
	readN(t, f.i, 1)
	f.produce(known, known)
	f.produce(unknown, unknown)
	gather(t, f.i, 2)
	asked, answer := f.asked.Load(), f.silent()
	t.Cleanup(answer)
	ctx, hangUp := context.WithCancel(t.Context())
	t.Cleanup(hangUp)
	var gone atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = f.i.AppendRecords(ctx, nil, ReadOptions{}, Delivery{Lost: gone.Load})
	}()
	testkit.Eventually(t, patience, "the registry to be asked", func() bool { return f.asked.Load() > asked })
	return f, func() {
		gone.Store(true)
		hangUp()
		<-done
		answer()
	}
}

// A client that hangs up while the registry is asked, and reads again, does not confirm the page
// that it did not get.
func TestReadBesideAPageInTheMaking(t *testing.T) {
	t.Parallel()
	f, end := pausedRead(t)
	read := make(chan []record)
	go func() {
		answer, err := f.i.AppendRecords(t.Context(), nil, ReadOptions{}, Delivery{})
		if err != nil {
			t.Error(err)
		}
		read <- decode(t, answer)
	}()
	testkit.Eventually(t, patience, "the second read to come", func() bool {
		f.i.mu.Lock()
		defer f.i.mu.Unlock()
		return f.i.busy == 2
	})
	f.i.confirm() // of the second read, if it has not come so far yet
	end()
	if rs := <-read; len(rs) == 0 || rs[0].Offset != 1 {
		t.Errorf("read %+v, and not from the record on that was not delivered", rs)
	}
}

// A commit leaves out a page that is in the making: it may never reach its client.
func TestCommitBesideAPageInTheMaking(t *testing.T) {
	t.Parallel()
	f, end := pausedRead(t)
	ok(t, f.i.Commit(t.Context(), nil))
	end()
	if at := committedRaw(t, f.b, f.i.group, TopicPartition{Topic: f.topic}); at != 1 {
		t.Errorf("committed %d after one record was answered", at)
	}
}
