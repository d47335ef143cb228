package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/loadtest/check"
	"millrace/metadata"
)

// producing runs clients of the produce side under a schedule, and returns what does not hold.
//
// Each record that was acknowledged is in the log once, where its client was told, in its
// client's order; each that was refused is not; only those that break a rule are refused for
// good. Each record is answered once. At the end nothing is admitted, buffered or lent, and all
// partitions can be written to.
func producing(w *world, s schedule) []string {
	settings := w.settings()
	admin, err := kafka.NewAdmin(settings)
	if err != nil {
		w.t.Fatal(err)
	}
	defer admin.Close()
	cache := metadata.New(admin, metadata.Settings{MaxAge: 10 * time.Second}, w.logger())
	defer cache.Close()
	p := w.producer(settings, cache)

	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() { w.write(p, c) })
	}
	s.run(w)
	pause(15 * time.Second) // what lasts is over
	w.heal()
	clients.Wait()
	w.writable(p)
	if len(w.problems) > 0 {
	}

	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		w.problem("cannot close the producer: %v", err)
	}
	if held, buffered, out := p.Held(), p.Buffered(), p.Stats().Jobs.Out; held != 0 || buffered != 0 || out != 0 {
		w.problem("at the end %d bytes are admitted, %d records are buffered, %d jobs are lent", held, buffered, out)
	}
	return w.judge()
}

// producer returns the produce side, with settings as the seed has them.
func (w *world) producer(settings kafka.Settings, cache *metadata.Cache) *batch.Producer {
	k := kafka.DefaultProducer()
	k.RequestTimeout = 5 * time.Second
	k.DeliveryTimeout = choose(w.rng, 30*time.Second, 2*time.Minute)
	k.Compression = choose(w.rng, kafka.None, kafka.None, kafka.LZ4, kafka.Snappy) // not zstd, of which goroutines stay
	k.BatchBytes = choose(w.rng, 500, 16384)
	own := batch.Settings{
		BufferBytes: 1 << 20, Linger: choose(w.rng, 0, time.Millisecond, 5*time.Millisecond),
		BatchBytes: choose(w.rng, 4000, 64000), Timeout: choose(w.rng, 300*time.Millisecond, 5*time.Second, 40*time.Second, 40*time.Second),
	}
	compressor, err := kafka.NewCompressor(k.Compression, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := kafka.NewSender(settings, k)
	if err != nil {
		w.t.Fatal(err)
	}
	around := batch.Cluster{Healthy: cache.Healthy, Contradicted: cache.Invalidate, Topic: func(ctx context.Context, name string) (string, int32, error) {
		topic, err := cache.Topic(ctx, name)
		if apierr.KafkaError.Is(err) { // for good, by the API's contract
			err = apierr.KafkaRetriable.Wrap(err, "The broker failed.")
		}
		if err != nil {
			return "", 0, err
		}
		return topic.Name, int32(len(topic.Partitions)), nil
	}}
	return batch.New(client, compressor, around, own, k)
}

// write sends requests one after another until the schedule is about over.
func (w *world) write(p *batch.Producer, client int) {
	r := rand.New(rand.NewPCG(w.seed, uint64(100+client)))
	between := choose(r, time.Millisecond, 30*time.Millisecond, 500*time.Millisecond)
	for seq, n := 0, 0; n < 40; n++ {
		records := w.request(r, client, &seq)
		w.send(p, topics[r.IntN(len(topics))].name, records, client, n)
		pause(time.Duration(r.Int64N(int64(2 * between))))
	}
}

// planned is a record that a client will send.
type planned struct {
	check.Sent
	key    []byte
	at     time.Time
	header []byte
}

// request decides the records of one request. A bad one breaks a rule in whatever topic.
func (w *world) request(r *rand.Rand, client int, seq *int) []planned {
	n := choose(r, 1, 1, 2, 5, 12)
	bad := choose(r, 0, 0, 0, 200) // of 1000 records
	records := make([]planned, n)
	for i := range records {
		*seq++
		rec := planned{Sent: check.Sent{ID: check.ID{Client: client, Seq: *seq}, Asked: -1}, key: fmt.Appendf(nil, "key-%d", r.IntN(8))}
		if r.IntN(2) == 0 {
			rec.Asked = r.Int32N(2)
		}
		if r.IntN(1000) < bad {
			rec.Bad = true
		}
		records[i] = rec
	}
	return records
}

// spoil has a record break a rule of its topic.
func (rec *planned) spoil(topic string) {
	switch {
	case topic == compacted:
		rec.key = nil
	case topic == "small":
		rec.header = noise(smallLimit, rec.Seq)
	default:
		rec.at = time.Now().Add(30 * 24 * time.Hour)
	}
}

// noise are bytes that do not become fewer by compression.
func noise(n, seed int) []byte {
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// send sends one request, and notes what came of it.
func (w *world) send(p *batch.Producer, topic string, records []planned, client, n int) check.Op {
	job := p.Acquire()
	for i := range records {
		rec := &records[i]
		if rec.Bad {
			rec.spoil(topic)
		}
		r := job.Slab.Add()
		r.Partition, r.Key, r.Timestamp, r.Value = rec.Asked, rec.key, rec.at, check.AppendValue(nil, w.history.Run, rec.ID)
		if rec.header != nil {
			job.Slab.AddHeader(r, "h", rec.header)
		}
	}
	op := check.Op{Kind: check.Produce, Client: client, Seq: n, Topic: topic, Sent: w.history.Now(), Outcome: check.OK, Status: 200}
	calls := 0
	_, err := p.Produce(job, topic, batch.AnyPartition, nil, func(dst []byte, j *batch.Job) []byte {
		calls++
		for i := range j.Len() {
			rec := &records[i].Sent
			at, offset, failed := j.Result(i)
			rec.Outcome, rec.Partition, rec.Offset = check.OK, at, offset
			if failed != nil {
				rec.Code = failed.Kind.Code
				rec.Outcome = check.OutcomeOf(rec.Code)
			}
		}
		return dst
	})
	op.Done = w.history.Now()
	if err != nil {
		kind := apierr.From(err).Kind
		op.Status, op.Code, op.Outcome, op.Note = kind.Status, kind.Code, check.OutcomeOf(kind.Code), err.Error()
	}
	for i := range records {
		if err != nil {
			records[i].Outcome, records[i].Code = op.Outcome, op.Code
		}
		op.Records = append(op.Records, records[i].Sent)
	}
	if want := 1; (err == nil) != (calls == want) {
		w.problem("request %d of client %d was answered %d times, with error %v", n, client, calls, err)
	}
	w.history.Append(op)
	if verbose {
		w.t.Logf("%v to %v: client %d, request %d to %s: %v %v %v", op.Sent, op.Done, client, n, topic, op.Outcome, op.Note, sketch(op.Records))
	}
	return op
}

func sketch(records []check.Sent) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, " %v=%s/%d@%d:%d", r.ID, r.Outcome, r.Code, r.Partition, r.Offset)
	}
	return b.String()
}

// writable writes a record to each partition, now that the cluster is well.
func (w *world) writable(p *batch.Producer) {
	n := 0
	for _, topic := range topics {
		for partition := range topic.partitions {
			start := time.Now()
			for {
				n++
				rec := planned{Sent: check.Sent{ID: check.ID{Client: 1000, Seq: n}, Asked: partition}, key: []byte("k")}
				op := w.send(p, topic.name, []planned{rec}, 1000, n)
				if op.Outcome == check.OK {
					break
				}
				if time.Since(start) > 30*time.Second {
					w.problem("%s-%d cannot be written to 30 s after the cluster is well: %s", topic.name, partition, op.Note)
					break
				}
				pause(100 * time.Millisecond)
			}
		}
	}
}
