package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// event is one thing that happens to the cluster, at a time after the start.
type event struct {
	at   time.Duration
	name string
	do   func(w *world)
}

// schedule is what happens to a world, in the order of time.
type schedule []event

func (s schedule) String() string {
	var b strings.Builder
	for i, e := range s {
		fmt.Fprintf(&b, "  %2d  %8v  %s\n", i, e.at, e.name)
	}
	return b.String()
}

// kind makes events of one sort.
type kind struct {
	weight int
	of     func(r *rand.Rand, nodes int32) event
}

// during is how long a schedule is, without what lasts beyond it.
const during = 20 * time.Second

// newSchedule returns the schedule of a seed: up to twenty events of the kinds, close to each
// other or far apart.
func newSchedule(seed uint64, nodes int32, kinds []kind) schedule {
	r := rand.New(rand.NewPCG(seed, 3))
	span := during / []time.Duration{1, 1, 5, 40}[r.IntN(4)]
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	var s schedule
	for range 1 + r.IntN(20) {
		pick := r.IntN(total)
		i := 0
		for ; pick >= kinds[i].weight; i++ {
			pick -= kinds[i].weight
		}
		e := kinds[i].of(r, nodes)
		e.at = time.Duration(r.Int64N(int64(span)))
		s = append(s, e)
	}
	slices.SortStableFunc(s, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return s
}

// run has the events happen.
func (s schedule) run(w *world) {
	start := time.Now()
	for _, e := range s {
		pause(time.Until(start.Add(e.at)))
		if verbose {
			w.t.Logf("%v: %s", e.at, e.name)
		}
		w.history.Disturb(e.name)
		e.do(w)
	}
}

// pause waits by the clock of the world, which moves on at once when all wait.
func pause(d time.Duration) { <-time.After(d) }

// heal has all brokers back.
func (w *world) heal() {
	for i := range w.nodes {
		w.net.broker(i).leave(false)
	}
}

// lasting is a time that an outage takes: often short, sometimes beyond all time-outs.
func lasting(r *rand.Rand) time.Duration {
	return []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second, 12 * time.Second}[r.IntN(4)]
}

func choose[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// connections are the events of the network, for all worlds.
var connections = []kind{
	{4, func(r *rand.Rand, nodes int32) event {
		node, producing := r.Int32N(nodes), r.IntN(2) == 0
		return event{name: fmt.Sprintf("connections of broker %d end (producing only: %v)", node, producing), do: func(w *world) { w.net.broker(node).cut(producing) }}
	}},
	{4, func(r *rand.Rand, nodes int32) event {
		node, producing := r.Int32N(nodes), r.IntN(3) > 0
		return event{name: fmt.Sprintf("broker %d: next responses are lost (producing only: %v)", node, producing), do: func(w *world) { w.net.broker(node).lose(true, producing) }}
	}},
	{3, func(r *rand.Rand, nodes int32) event {
		node, producing := r.Int32N(nodes), r.IntN(3) > 0
		return event{name: fmt.Sprintf("broker %d: next requests are lost (producing only: %v)", node, producing), do: func(w *world) { w.net.broker(node).lose(false, producing) }}
	}},
	{3, func(r *rand.Rand, nodes int32) event {
		node, d := r.Int32N(nodes), lasting(r)
		return event{name: fmt.Sprintf("connections of broker %d are silent for %v", node, d), do: func(w *world) { w.net.broker(node).hush(d) }}
	}},
	{2, func(r *rand.Rand, nodes int32) event {
		node, d := r.Int32N(nodes), lasting(r)
		return event{name: fmt.Sprintf("broker %d is gone for %v", node, d), do: func(w *world) { w.net.outage(node, d) }}
	}},
	{1, func(r *rand.Rand, nodes int32) event {
		d := lasting(r)
		return event{name: fmt.Sprintf("all brokers are gone for %v", d), do: func(w *world) {
			for i := range nodes {
				w.net.outage(i, d)
			}
		}}
	}},
	{4, func(r *rand.Rand, nodes int32) event {
		topic := topics[r.IntN(len(topics))]
		partition, to := r.Int32N(topic.partitions), r.Int32N(nodes)
		return event{name: fmt.Sprintf("broker %d leads %s-%d", to, topic.name, partition), do: func(w *world) {
			_ = w.cluster.MoveTopicPartition(topic.name, partition, to) // it fails while the topic is deleted
		}}
	}},
	{2, func(r *rand.Rand, _ int32) event {
		return coded(r, kmsg.Metadata, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.UnknownServerError)
	}},
}

// outage has a broker gone for so long. The one that ends last ends it.
func (n *network) outage(node int32, d time.Duration) {
	p := n.broker(node)
	p.mu.Lock()
	p.until = later(p.until, time.Now().Add(d))
	p.mu.Unlock()
	p.leave(true)
	time.AfterFunc(d, func() {
		p.mu.Lock()
		over := !time.Now().Before(p.until)
		p.mu.Unlock()
		if over {
			p.leave(false)
		}
	})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// coded has brokers answer some requests of an API with a code.
func coded(r *rand.Rand, api kmsg.Key, codes ...*kerr.Error) event {
	err, count := choose(r, codes...), choose(r, 1, 1, 2, 5)
	return event{name: fmt.Sprintf("%d times %s is answered with %s", count, kmsg.NameForKey(int16(api)), err.Message), do: func(w *world) {
		w.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{api}, Err: err, Count: count})
	}}
}

// writing are the events of worlds in which records are written.
var writing = append(slices.Clone(connections), []kind{
	{5, func(r *rand.Rand, _ int32) event {
		return coded(r, kmsg.Produce, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NotEnoughReplicas, kerr.NotLeaderForPartition,
			kerr.KafkaStorageError, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.CorruptMessage, kerr.UnknownServerError, kerr.TopicAuthorizationFailed)
	}},
	{1, func(r *rand.Rand, _ int32) event {
		return coded(r, kmsg.InitProducerID, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable)
	}},
	{1, func(r *rand.Rand, _ int32) event {
		gap := choose(r, 0, 10*time.Millisecond, 3*time.Second, 8*time.Second)
		return event{name: fmt.Sprintf("%s is deleted and created again after %v", volatileTopic, gap), do: func(w *world) { w.recreate(gap) }}
	}},
}...)

// recreate deletes a topic, and creates it again after the gap.
func (w *world) recreate(gap time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cluster.TopicInfo(volatileTopic) == nil {
		return // it is gone already, and comes back
	}
	w.recreated = true
	if err := w.cluster.DeleteTopic(volatileTopic); err != nil {
		w.t.Error(err)
	}
	if gap == 0 {
		w.create(volatileTopic)
		return
	}
	time.AfterFunc(gap, func() { w.create(volatileTopic) })
}
