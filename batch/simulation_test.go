package batch

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/pool"
)

// claim is what a client was told of one of its records.
type claim struct {
	value     string
	partition int32
	offset    int64
	code      int // 0: it is in Kafka
}

// world is a simulated run: clients, a cluster that fails as its seed has it, and what was told.
type world struct {
	*model
	rng    *rand.Rand
	mu     sync.Mutex // of rng and claims
	claims []claim
}

func (w *world) chance(per1000 int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(1000) < per1000
}

// simulate runs a world until all its clients are done, and checks it.
func simulate(t *testing.T, seed uint64) {
	w := &world{model: newModel(), rng: rand.New(rand.NewPCG(seed, 14))}
	kills, moves, codes := w.rng.IntN(60), w.rng.IntN(3) > 0, w.rng.IntN(40)
	w.unnamed = w.rng.IntN(4) == 0
	if w.rng.IntN(3) == 0 {
		w.version = 7 + int16(w.rng.IntN(6))
	}
	topic := w.create("t", 3)
	if w.rng.IntN(3) == 0 {
		topic.limit = 400 + w.rng.IntN(2000)
	}
	w.latency = func() time.Duration { return time.Duration(seed%7) * 300 * time.Microsecond }
	w.cut = func() int {
		if w.chance(kills) {
			return 1 + int(seed+uint64(kills))%2
		}
		return 0
	}
	failing := []*kerr.Error{kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NotEnoughReplicas, kerr.CorruptMessage, kerr.KafkaStorageError}
	broken := map[string]bool{} // batches whose bytes broke on the way: that is once
	w.fault = func(_ string, partition int32, b *kmsg.RecordBatch) int16 {
		if !w.chance(codes) {
			return 0
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		err := failing[w.rng.IntN(len(failing))]
		if err == kerr.CorruptMessage {
			name := fmt.Sprint(partition, b.ProducerEpoch, b.FirstSequence)
			if broken[name] {
				return 0
			}
			broken[name] = true
		}
		return err.Code
	}
	codecs := kafka.Codecs[:4] // zstd's decoder has a finalizer, which no bubble of synctest bears
	codec := codecs[int(seed)%len(codecs)]
	p := start(t, w.model, func(_ *Cluster, s *Settings, k *kafka.Producer) {
		s.Timeout, s.BatchBytes = time.Minute, 4000
		k.Compression, k.BatchBytes = codec, 500
	})
	done := make(chan struct{})
	var clients, cluster sync.WaitGroup
	if moves {
		cluster.Go(func() {
			for leader := int32(1); ; leader++ {
				select {
				case <-done:
					return
				case <-time.After(7 * time.Millisecond):
					w.move("t", leader%3, 1+leader%2)
				}
			}
		})
	}
	for c := range 8 {
		clients.Go(func() { w.client(t, p, seed, c) })
	}
	clients.Wait()
	close(done)
	cluster.Wait()
	w.check(t, seed)
}

// client sends requests one after another, of which one record in thirty is bad.
func (w *world) client(t *testing.T, p *Producer, seed uint64, c int) {
	for i := range 25 {
		w.mu.Lock()
		n := 1 + w.rng.IntN(20)
		if w.rng.IntN(3) == 0 {
			n = 1
		}
		var body strings.Builder
		values := make([]string, n)
		for k := range values {
			values[k] = fmt.Sprintf("%q", fmt.Sprintf("%d-%d-%d %s", c, i, k, strings.Repeat("x", w.rng.IntN(60))))
			if w.rng.IntN(30) == 0 {
				values[k] = `"bad ` + values[k][1:]
			}
			key := ""
			if c%2 == 0 {
				key = fmt.Sprintf(`"key":%d,`, c)
			}
			fmt.Fprintf(&body, `{%s"value":%s},`, key, values[k])
		}
		w.mu.Unlock()
		var claims []claim
		_, err := p.Produce(fill(t, p, `{"records":[`+strings.TrimSuffix(body.String(), ",")+`]}`), "t", AnyPartition, nil, func(dst []byte, j *Job) []byte {
			for k := range j.Len() {
				at, offset, failed := j.Result(k)
				claims = append(claims, claim{value: values[k], partition: at, offset: offset})
				if failed != nil {
					claims[k].code = failed.Kind.Code
				}
			}
			return dst
		})
		if err != nil {
			for _, v := range values {
				claims = append(claims, claim{value: v, code: apierr.From(err).Kind.Code})
			}
		}
		w.mu.Lock()
		w.claims = append(w.claims, claims...)
		w.mu.Unlock()
	}
}

// check fails the test unless Kafka has what clients were told, once and where they were told.
func (w *world) check(t *testing.T, seed uint64) {
	t.Helper()
	count := map[string]int{}
	logs := [][]string{w.log("t", 0), w.log("t", 1), w.log("t", 2)}
	for _, l := range logs {
		for _, v := range l {
			count[v]++
		}
	}
	for _, c := range w.claims {
		bad := strings.HasPrefix(c.value, `"bad`)
		switch {
		case count[c.value] > 1:
			t.Errorf("seed %d: %s is in Kafka %d times", seed, c.value, count[c.value])
		case c.code == 0 && bad:
			t.Errorf("seed %d: %s was accepted", seed, c.value)
		case c.code == 0 && (c.offset >= int64(len(logs[c.partition])) || logs[c.partition][c.offset] != c.value):
			t.Errorf("seed %d: %s is not at %d@%d", seed, c.value, c.partition, c.offset)
		case c.code != 0 && !bad && c.code != apierr.WriteUnknown.Code:
			t.Errorf("seed %d: %s was refused with %d, and is none of the bad", seed, c.value, c.code)
		case c.code != 0 && count[c.value] > 0 && c.code != apierr.WriteUnknown.Code:
			t.Errorf("seed %d: %s was refused with %d, and is in Kafka", seed, c.value, c.code)
		case c.code == apierr.WriteUnknown.Code:
			t.Errorf("seed %d: the outcome of %s is unknown", seed, c.value)
		}
	}
	w.ordered(t, seed, logs)
}

// ordered fails the test unless the records of a client with a key are in its order.
func (w *world) ordered(t *testing.T, seed uint64, logs [][]string) {
	for _, l := range logs {
		last := map[int][2]int{}
		for _, v := range l {
			var c, i, k int
			if _, err := fmt.Sscanf(strings.Trim(v, `"`), "%d-%d-%d", &c, &i, &k); err != nil {
				t.Fatal(err)
			}
			at := [2]int{i, k}
			if before, seen := last[c]; seen && c%2 == 0 && (before[0] > at[0] || before[0] == at[0] && before[1] > at[1]) {
				t.Errorf("seed %d: client %d's %v is behind %v", seed, c, at, before)
			}
			last[c] = at
		}
	}
}

// Each record that its client was told of is in Kafka once, where the client was told; each that
// was refused is not; only bad ones are refused. So it is whatever fails, and in whatever order.
// MILLRACE_SEEDS is how many worlds are run, MILLRACE_SEED the only one.
func TestSimulation(t *testing.T) { simulations(t, 60, simulate) }

// simulations runs a world for each seed, until one fails.
func simulations(t *testing.T, n int, run func(t *testing.T, seed uint64)) {
	from := uint64(0)
	if pool.Checked { // with the race detector each takes twenty times as long
		n /= 10
	}
	if text := os.Getenv("MILLRACE_SEEDS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	if text := os.Getenv("MILLRACE_SEED_FROM"); text != "" {
		from, _ = strconv.ParseUint(text, 10, 64)
	}
	if text := os.Getenv("MILLRACE_SEED"); text != "" {
		from, _ = strconv.ParseUint(text, 10, 64)
		n = 1
	}
	for seed := from; seed < from+uint64(n) && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) { run(t, seed) })
	}
}
