package metrics

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are the functions that read the state of other parts at a scrape. Each may be nil; its
// metrics are then omitted. The functions may be called concurrently and must not wait for Kafka.
type Sources struct {
	Server      func() Server
	Producer    func() Producer
	Buffered    func() int64 // records that Kafka has not answered for
	Compression func() []Codec
	Consumers   func() Consumers
	Metadata    func() Metadata
	Cluster     func() Cluster
	Schemas     func() Schemas
	Spool       func() Spool
	Pools       func() []Pool
	Audit       func() (written, lost uint64)
	Logins      func() int // of callers, with connections to Kafka of their own
	Quotas      func(put func(quota, what string, refused uint64))
}

// Server is the state of the HTTP edge.
type Server struct {
	Connections int
	Rejected    uint64 // connections refused so far
	Draining    bool
	Expires     time.Time // of the first certificate; zero: there is none
	Bodies      Bodies
}

// Bodies is the state of the memory of request bodies.
type Bodies struct {
	Used, Limit int64 // bytes charged, and their bound
	// Refused counts bodies that found no room, Slow and Displaced those that were
	// cut: for lack of progress, and for the room of faster ones.
	Refused, Slow, Displaced uint64
}

// Producer is the state of the produce side.
type Producer struct {
	Held, Limit int64  // bytes admitted, and their bound
	Refused     uint64 // requests refused for that bound
	Jobs        Pool   // pool of produce requests
}

// Codec is what compression with one codec has done so far.
type Codec struct {
	Name              string
	Batches, Enlarged uint64
	In, Out           uint64 // bytes
	Time              time.Duration
}

// Consumers is the state of the consume side.
type Consumers struct {
	Instances, Limit           int
	Created, Expired           uint64
	Partitions                 int
	Backlog, BacklogBytes      int
	Committed, CommitsFailed   uint64
	Skipped                    uint64 // records that could not be decoded
	Assigned, Revoked, Dropped uint64 // rebalances that assigned, revoked and lost partitions
	Lags                       []Lag
}

// Lag is how many records of one topic a group's readers have not returned yet. A group and topic
// may occur more than once and are then summed up.
type Lag struct {
	Group, Topic string
	Records      int64
}

// Metadata is the state of the metadata cache.
type Metadata struct {
	Reachable                bool
	Silence                  time.Duration // since a broker responded
	Known                    bool          // whether the cache has a view; else the rest is zero
	Age                      time.Duration // of the view
	Refreshed, RefreshFailed uint64        // how often the view was refreshed, and could not be
	StaleAnswers             uint64        // answers older than they should be
	Waiting                  int           // readers that wait for a change
	Brokers, Topics          int
	Partitions, Leaderless   int
}

// Cluster is this node's view of the nodes that form one service with it.
type Cluster struct {
	Leased               bool // whether the node holds its lease
	Nodes, Instances     int  // alive, itself included; of all nodes
	Adopted, AdoptFailed uint64
	// Forwarded, ForwardMoved and ForwardFailed count forwarded requests: completed, refused
	// because the instance is at another node, and without a response.
	Forwarded, ForwardMoved, ForwardFailed uint64
	// Counts of what was not authenticated: records of the topic, requests and responses.
	RefusedRecords, RefusedRequests, RefusedResponses uint64
	// Nodes and instances whose last record is not authenticated, and counts all the same.
	UnsealedNodes, UnsealedInstances int
}

// Spool is the state of the spool; all of it is zero where there is none.
type Spool struct {
	Bytes, Limit, Entries      int64
	Oldest                     time.Duration // age
	Appended, Refused, Corrupt uint64
	Aside                      int // topics
}

// Schemas is the state of the schema registry's client.
type Schemas struct {
	Hits, Misses uint64 // cache hits and misses
	Cached       int    // entries of the cache
	// Requests to the registry by result: answered; failed, because the response makes no sense
	// or refuses this node; without a response; too late.
	Answered, Failed, Away, TimedOut uint64
	Time                             time.Duration // total time of the requests
}

// Pool is the state of one pool.
type Pool struct {
	Name         string
	Gets, Misses uint64
	Out          int64 // taken and not returned; negative: not known
	KeptBytes    int64 // negative: not known
}

func (s *Sources) collect(to chan<- prometheus.Metric, lags int) {
	if s.Server != nil {
		v := s.Server()
		httpConnections.put(to, float64(v.Connections))
		httpRejected.put(to, float64(v.Rejected))
		httpDraining.put(to, truth(v.Draining))
		if !v.Expires.IsZero() {
			httpExpires.put(to, time.Until(v.Expires).Seconds())
		}
		bodiesUsed.put(to, float64(v.Bodies.Used))
		bodiesLimit.put(to, float64(v.Bodies.Limit))
		bodiesRefused.put(to, float64(v.Bodies.Refused))
		bodiesCut.put(to, float64(v.Bodies.Slow), "slow")
		bodiesCut.put(to, float64(v.Bodies.Displaced), "displaced")
	}
	if s.Producer != nil {
		v := s.Producer()
		produceHeld.put(to, float64(v.Held))
		produceLimit.put(to, float64(v.Limit))
		produceRefused.put(to, float64(v.Refused))
		v.Jobs.collect(to)
	}
	if s.Buffered != nil {
		produceBuffered.put(to, float64(s.Buffered()))
	}
	if s.Compression != nil {
		for _, v := range s.Compression() {
			v.collect(to)
		}
	}
	if s.Consumers != nil {
		v := s.Consumers()
		v.collect(to, lags)
	}
	if s.Metadata != nil {
		v := s.Metadata()
		v.collect(to)
	}
	if s.Cluster != nil {
		v := s.Cluster()
		v.collect(to)
	}
	if s.Spool != nil {
		v := s.Spool()
		spoolBytes.put(to, float64(v.Bytes))
		spoolLimit.put(to, float64(v.Limit))
		spoolEntries.put(to, float64(v.Entries))
		spoolAge.put(to, v.Oldest.Seconds())
		spoolAside.put(to, float64(v.Aside))
		spoolAppended.put(to, float64(v.Appended))
		spoolRefused.put(to, float64(v.Refused))
		spoolCorrupt.put(to, float64(v.Corrupt))
	}
	if s.Schemas != nil {
		v := s.Schemas()
		v.collect(to)
	}
	s.collectAccess(to)
	if s.Pools != nil {
		for _, v := range s.Pools() {
			v.collect(to)
		}
	}
}

// collectAccess collects what concerns callers.
func (s *Sources) collectAccess(to chan<- prometheus.Metric) {
	if s.Audit != nil {
		written, lost := s.Audit()
		auditWritten.put(to, float64(written))
		auditLost.put(to, float64(lost))
	}
	if s.Logins != nil {
		kafkaLogins.put(to, float64(s.Logins()))
	}
	if s.Quotas != nil {
		s.Quotas(func(quota, what string, refused uint64) {
			quotaRefused.put(to, float64(refused), quota, what)
		})
	}
}

func (v *Codec) collect(to chan<- prometheus.Metric) {
	compressBatches.put(to, float64(v.Batches), v.Name)
	compressEnlarged.put(to, float64(v.Enlarged), v.Name)
	compressIn.put(to, float64(v.In), v.Name)
	compressOut.put(to, float64(v.Out), v.Name)
	compressTime.put(to, v.Time.Seconds(), v.Name)
}

func (v *Consumers) collect(to chan<- prometheus.Metric, lags int) {
	consumerInstances.put(to, float64(v.Instances))
	consumerLimit.put(to, float64(v.Limit))
	consumerCreated.put(to, float64(v.Created))
	consumerExpired.put(to, float64(v.Expired))
	consumerPartitions.put(to, float64(v.Partitions))
	consumerBacklog.put(to, float64(v.Backlog))
	consumerHeld.put(to, float64(v.BacklogBytes))
	consumerCommits.put(to, float64(v.Committed), "ok")
	consumerCommits.put(to, float64(v.CommitsFailed), "failed")
	consumerRebalances.put(to, float64(v.Assigned), "assigned")
	consumerRebalances.put(to, float64(v.Revoked), "revoked")
	consumerRebalances.put(to, float64(v.Dropped), "lost")
	consumerSkipped.put(to, float64(v.Skipped))
	for _, l := range largest(v.Lags, lags) {
		consumerLag.put(to, float64(l.Records), l.Group, l.Topic)
	}
}

// largest sums the lags up by group and topic, keeps the n largest and sums up the others as one.
func largest(lags []Lag, n int) []Lag {
	type pair struct{ group, topic string }
	sums := make(map[pair]int64)
	for _, l := range lags {
		// A group's name is any bytes that its client sent.
		sums[pair{strings.ToValidUTF8(l.Group, "\uFFFD"), l.Topic}] += l.Records
	}
	all := make([]Lag, 0, len(sums))
	for p, records := range sums {
		all = append(all, Lag{p.group, p.topic, records})
	}
	if len(all) <= n {
		return all
	}
	slices.SortFunc(all, func(a, b Lag) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic))
	})
	other := Lag{Group: Other, Topic: Other}
	for _, l := range all[n:] {
		other.Records += l.Records
	}
	return append(all[:n], other)
}

func (v *Metadata) collect(to chan<- prometheus.Metric) {
	kafkaReachable.put(to, truth(v.Reachable))
	kafkaSilence.put(to, v.Silence.Seconds())
	metadataRefresh.put(to, float64(v.Refreshed), "ok")
	metadataRefresh.put(to, float64(v.RefreshFailed), "failed")
	metadataStale.put(to, float64(v.StaleAnswers))
	metadataWaiting.put(to, float64(v.Waiting))
	if !v.Known {
		return
	}
	metadataAge.put(to, v.Age.Seconds())
	metadataBrokers.put(to, float64(v.Brokers))
	metadataTopics.put(to, float64(v.Topics))
	metadataParts.put(to, float64(v.Partitions))
	metadataOrphans.put(to, float64(v.Leaderless))
}

func (v *Cluster) collect(to chan<- prometheus.Metric) {
	clusterLeased.put(to, truth(v.Leased))
	clusterNodes.put(to, float64(v.Nodes))
	clusterInstances.put(to, float64(v.Instances))
	clusterAdoptions.put(to, float64(v.Adopted), "ok")
	clusterAdoptions.put(to, float64(v.AdoptFailed), "failed")
	clusterForwards.put(to, float64(v.Forwarded), "ok")
	clusterForwards.put(to, float64(v.ForwardMoved), "moved")
	clusterForwards.put(to, float64(v.ForwardFailed), "failed")
	clusterUnsealed.put(to, float64(v.UnsealedNodes), "node")
	clusterUnsealed.put(to, float64(v.UnsealedInstances), "instance")
	clusterRefused.put(to, float64(v.RefusedRecords), "record")
	clusterRefused.put(to, float64(v.RefusedRequests), "request")
	clusterRefused.put(to, float64(v.RefusedResponses), "response")
}

func (v *Schemas) collect(to chan<- prometheus.Metric) {
	schemaHits.put(to, float64(v.Hits))
	schemaMisses.put(to, float64(v.Misses))
	schemaCached.put(to, float64(v.Cached))
	schemaRequests.put(to, float64(v.Answered), "ok")
	schemaRequests.put(to, float64(v.Failed), "failed")
	schemaRequests.put(to, float64(v.Away), "unreachable")
	schemaRequests.put(to, float64(v.TimedOut), "timeout")
	schemaTime.put(to, v.Time.Seconds())
}

func (v *Pool) collect(to chan<- prometheus.Metric) {
	poolGets.put(to, float64(v.Gets), v.Name)
	poolMisses.put(to, float64(v.Misses), v.Name)
	if v.Out >= 0 {
		poolOut.put(to, float64(v.Out), v.Name)
	}
	if v.KeptBytes >= 0 {
		poolKept.put(to, float64(v.KeptBytes), v.Name)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
