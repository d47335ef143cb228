package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"millrace/codec"
	"millrace/config"
	"millrace/internal/kafka"
	"millrace/metrics"
	"millrace/pool"
	"millrace/reader"
)

type metricsCommand struct{}

// Run prints every metric that /metrics shows: name, type, labels, help.
func (metricsCommand) Run() error {
	for i, g := range metrics.Catalog() {
		if i > 0 {
			fmt.Println()
		}
		fmt.Printf("# %s\n", g.Title)
		for _, d := range g.Defs {
			if _, err := fmt.Printf("%s %s {%s}\n    %s\n", d.Name, d.Type, strings.Join(d.Labels, ","), d.Help); err != nil {
				return fmt.Errorf("cannot print metrics: %w", err)
			}
		}
	}
	_, err := fmt.Fprintln(os.Stdout, "\nAnd go_* and process_*, as every Go program has them.")
	return err
}

// newMetrics returns the metrics of a node.
func newMetrics(cfg *config.Config) *metrics.Metrics {
	return metrics.New(cfg.Metrics, metrics.Build{Version: version, Revision: revision()})
}

// countRead returns what counts the records that clients read.
func countRead(m *metrics.Metrics) func(reader.Returned) {
	var formats [codec.Protobuf + 1]*metrics.Format
	for f := range formats {
		formats[f] = m.Format(codec.Format(f).String())
	}
	return func(r reader.Returned) {
		formats[r.Format].Consumed.Add(uint64(r.Records))
		formats[r.Format].ConsumedBytes.Add(uint64(r.Bytes))
		m.Topics().Consumed(r.Topic, r.Records, r.Bytes)
		m.Returned(r.Asked, r.Ready, r.First, r.Last)
	}
}

// watch has the metrics read from the parts that were built.
func (n *node) watch(compressor *kafka.Compressor) {
	var schemas func() metrics.Schemas
	if n.schemas != nil {
		schemas = n.schemas.Stats
	}
	n.metrics.Watch(metrics.Sources{
		Cluster: n.clusterStats(),
		Server: func() metrics.Server {
			s := n.server.Stats()
			s.Expires = n.cfg.Certificates.Expires()
			return s
		},
		Producer: n.producer.Stats,
		Buffered: n.producer.Buffered,
		Logins:   n.server.Principals,
		Audit:    n.auditCounts(),
		Quotas: func(put func(quota, what string, refused uint64)) {
			for _, r := range n.access.Refusals() {
				put(r.Quota, r.What, r.Times)
			}
		},
		Consumers: func() metrics.Consumers {
			s := n.consumers.Stats()
			s.Skipped += n.reader.Skipped()
			return s
		},
		Metadata: n.metadata.Stats,
		Schemas:  schemas,
		Spool:    n.spoolStats(),
		Compression: func() (codecs []metrics.Codec) {
			for _, s := range compressor.Stats() {
				codecs = append(codecs, metrics.Codec{
					Name: string(s.Codec), Batches: s.Batches, Enlarged: s.Enlarged, In: s.BytesIn, Out: s.BytesOut, Time: s.Time,
				})
			}
			return codecs
		},
		Pools: func() (pools []metrics.Pool) {
			b := pool.Buffers()
			pools = append(pools, metrics.Pool{Name: "buffers", Gets: b.Gets, Misses: b.Misses, Out: b.Out, KeptBytes: -1})
			for _, s := range kafka.FetchPools() {
				pools = append(pools, metrics.Pool{Name: s.Name, Gets: s.Gets, Misses: s.Misses, Out: -1, KeptBytes: s.KeptBytes})
			}
			return pools
		},
	})
}

// auditCounts returns nil where refusals and changes are in the log alone.
func (n *node) auditCounts() func() (written, lost uint64) {
	if n.audit == nil {
		return nil
	}
	return n.audit.Counts
}

// spoolStats returns nil where there is no spool.
func (n *node) spoolStats() func() metrics.Spool {
	if n.spool == nil {
		return nil
	}
	return func() metrics.Spool {
		s, aside := n.server.Spooled()
		v := metrics.Spool{Aside: aside, Bytes: s.Bytes, Limit: s.Limit, Entries: s.Entries, Appended: s.Appended, Refused: s.Refused, Corrupt: s.Corrupt}
		if !s.Oldest.IsZero() {
			v.Oldest = time.Since(s.Oldest)
		}
		return v
	}
}

// clusterStats returns nil for a node that is on its own.
func (n *node) clusterStats() func() metrics.Cluster {
	if n.member == nil {
		return nil
	}
	return func() metrics.Cluster {
		c := n.member.Stats()
		c.Forwarded, c.ForwardMoved, c.ForwardFailed = n.server.Forwarder.Forwards()
		c.RefusedRequests, c.RefusedResponses = n.server.Forwarder.Refused()
		return c
	}
}
