package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	kpromlib "github.com/twmb/franz-go/plugin/kprom"
)

// The Kafka clients that a hook tells apart; see [Metrics.Hook].
const (
	ProducerClient = "producer"
	ConsumerClient = "consumer"
	MetadataClient = "metadata"
	AdminClient    = "admin"
)

// codecNames are Kafka's codecs, by their numbers.
var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Hook returns the hook for each Kafka client of that name, for [kgo.WithHooks]. Any number of
// clients may share a name.
func (m *Metrics) Hook(client string) kgo.Hook { return m.clients[client] }

// ObserveWait counts how long Kafka took to answer for a request's records.
func (m *Metrics) ObserveWait(d time.Duration) { m.waited.Observe(d.Seconds()) }

// clientHook is kprom for many clients, with our own counts of record batches.
//
// kprom itself is made for one client: it registers its metrics when the client is made and
// removes them when it is closed. There may be thousands of consumer instances, so clientHook
// hides both events from it, and announces one client to it that does not exist.
type clientHook struct {
	*kpromlib.Metrics
	m *Metrics
}

func (m *Metrics) newClientHooks() map[string]*clientHook {
	hooks := make(map[string]*clientHook)
	for _, name := range []string{ProducerClient, ConsumerClient, MetadataClient, AdminClient} {
		h := &clientHook{m: m, Metrics: kpromlib.NewMetrics("millrace",
			kpromlib.Subsystem("kafka"),
			kpromlib.WithStaticLabel(prometheus.Labels{"client": name}),
			kpromlib.Registerer(noGauges{m.registry}),
			kpromlib.Histograms(kpromlib.RequestDurationE2E, kpromlib.RequestThrottled),
			kpromlib.Buckets(secondBuckets[:]),
		)}
		h.Metrics.OnNewClient(nil)
		hooks[name] = h
	}
	return hooks
}

// OnNewClient implements [kgo.HookNewClient].
func (*clientHook) OnNewClient(*kgo.Client) {}

// OnClientClosed implements [kgo.HookClientClosed].
func (*clientHook) OnClientClosed(*kgo.Client) {}

// OnProduceBatchWritten implements [kgo.HookProduceBatchWritten].
func (h *clientHook) OnProduceBatchWritten(_ kgo.BrokerMetadata, topic string, _ int32, b kgo.ProduceBatchMetrics) {
	h.m.recordsInBatch.Observe(float64(b.NumRecords))
	h.m.batchLen.Observe(float64(b.UncompressedBytes))
	h.m.topics.Produced(topic, b.NumRecords, b.UncompressedBytes)
}

// OnFetchBatchRead implements [kgo.HookFetchBatchRead].
func (h *clientHook) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, b kgo.FetchBatchMetrics) {
	f := &h.m.fetched[min(int(b.CompressionType), len(codecNames)-1)]
	f.batches.Add(1)
	f.records.Add(uint64(b.NumRecords))
	f.wire.Add(uint64(b.CompressedBytes))
	f.plain.Add(uint64(b.UncompressedBytes))
}

// fetched counts the fetched record batches of one codec.
type fetched struct{ batches, records, wire, plain atomic.Uint64 }

func (f *fetched) collect(to chan<- prometheus.Metric, codec string) {
	fetchBatches.put(to, float64(f.batches.Load()), codec)
	fetchRecords.put(to, float64(f.records.Load()), codec)
	fetchWire.put(to, float64(f.wire.Load()), codec)
	fetchPlain.put(to, float64(f.plain.Load()), codec)
}

// noGauges omits kprom's gauges of its client's buffers: they would ask the client that does not
// exist. Package metrics has its own.
type noGauges struct{ prometheus.Registerer }

// Register implements [prometheus.Registerer].
func (r noGauges) Register(c prometheus.Collector) error {
	if _, ok := c.(prometheus.GaugeFunc); ok {
		return nil
	}
	return r.Registerer.Register(c)
}

// MustRegister implements [prometheus.Registerer].
func (r noGauges) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic("BUG: cannot register kprom: " + err.Error())
		}
	}
}
