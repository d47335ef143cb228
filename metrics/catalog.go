package metrics

import "github.com/prometheus/client_golang/prometheus"

// Def describes one metric.
type Def struct {
	// Name is the whole name, Type "counter", "gauge" or "histogram".
	Name, Type string
	// Help is a sentence or two.
	Help string
	// Labels are the names of its labels.
	Labels []string

	desc *prometheus.Desc
}

// Group is a section of the catalogue.
type Group struct {
	// Title and Intro are for readers.
	Title, Intro string
	// Defs are its metrics.
	Defs []*Def
}

func counter(name, help string, labels ...string) *Def { return define("counter", name, help, labels) }

func gauge(name, help string, labels ...string) *Def { return define("gauge", name, help, labels) }

func histogram(name, help string, labels ...string) *Def {
	return define("histogram", name, help, labels)
}

func define(kind, name, help string, labels []string) *Def {
	name = "millrace_" + name
	return &Def{Name: name, Type: kind, Help: help, Labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
}

// The metrics of the HTTP edge.
var (
	httpRequests    = counter("http_requests_total", "Requests answered, by route template and status. Those that match no route have the route \"unmatched\", those that were not HTTP, or whose body was refused or broke off, \"unreadable\", those refused unread because the processors cannot keep up, \"shed\", CORS preflights \"any\".", "method", "route", "status")
	httpDuration    = histogram("http_request_duration_seconds", "Time from a request being read whole until its answer is ready to be sent, or, of a stream, until it begins. Requests that ask to wait for a change (wait=) are not timed; reads of records are, and wait for records. HEAD is timed as GET.", "method", "route")
	httpReceived    = counter("http_request_bytes_total", "Bytes of request bodies, as they came.", "method", "route")
	httpSent        = counter("http_response_bytes_total", "Bytes of the bodies of answers, as they were sent; those of streams as they are sent.", "method", "route")
	httpErrors      = counter("http_errors_total", "Requests that failed, by the error_code of the answer; error is that row's name in the table of errors.", "error", "error_code")
	httpInFlight    = gauge("http_requests_in_flight", "Requests that are being answered, without the scrape itself.")
	httpStreams     = gauge("http_streams", "Answers that go on piece by piece until their client leaves.")
	httpConnections = gauge("http_connections", "Open connections.")
	httpRejected    = counter("http_connections_rejected_total", "Connections turned away because connections.max or connections.max.per.ip was reached.")
	quotaRefused    = counter("quota_refused_total", "What quotas have refused: quota is its name (authorization.rules.file, or the setting), limit what it bounds: requests, records, bytes, consumers or connections.", "quota", "limit")
	httpOrigins     = counter("http_origins_refused_total", "Requests of web pages of other origins that CORS does not allow. The log names the origins.")
	httpReplayed    = counter("http_idempotent_replays_total", "Requests that were not carried out, because one with the same Idempotency-Key was before. They got its answer.")
	httpEvicted     = counter("http_idempotent_answers_evicted_total", "Answers to requests with an Idempotency-Key that were forgotten within idempotency.window.ms, for want of idempotency.max.bytes: retries of those requests write again.")
	httpPanics      = counter("http_panics_total", "Requests answered with 500 because their handler panicked: each is a defect.")
	bodiesUsed      = gauge("http_request_buffer_bytes", "Bytes of buffers that hold request bodies: those that arrive, are decoded, are kept for the spool (fallback: disk), or wait for anything but Kafka's answer to a produce.")
	bodiesLimit     = gauge("http_request_buffer_limit_bytes", "Bound of millrace_http_request_buffer_bytes: request.buffer.memory.")
	bodiesRefused   = counter("http_request_buffer_refused_total", "Requests refused because millrace_http_request_buffer_bytes, or the share of one address, was at its bound.")
	bodiesCut       = counter("http_request_bodies_cut_total", "Request bodies that were cut while they arrived, by reason: slow (below request.min.rate), or displaced (slower than others that needed their memory).", "reason")
	httpExpires     = gauge("certificate_remaining_seconds", "How long the first certificate of the https:// listeners is still valid.")
	httpDraining    = gauge("draining", "1 from the beginning of a shutdown on.")
)

// The metrics of events that are answered before Kafka has them.
var (
	ingestForwarded = counter("ingest_forwarded_events_total", "Events of the spool that Kafka has.")
	ingestRepeated  = counter("ingest_repeated_events_total", "Events of the spool that are sent to Kafka again, because it did not take them or did not answer.")
	ingestDead      = counter("ingest_dead_events_total", "Events of the spool that Kafka refuses for what they are. The log says why.")
	ingestLost      = counter("ingest_lost_events_total", "Events of routes with ack: memory that did not arrive in Kafka.")

	ingestDropped     = counter("ingest_dropped_events_total", "Events that the rules of their routes leave out (drop, sample).")
	ingestOverflowed  = counter("ingest_overflow_events_total", "Events that are over the rate of their key, or caller, and are sent to the overflow topics of their routes.")
	ingestDeadLetters = counter("ingest_dead_letter_events_total", "Events that are in the dead-letter topics of their routes. `millrace dead show` shows them.")

	spoolBytes    = gauge("spool_bytes", "Bytes of the spool on the disk.")
	spoolLimit    = gauge("spool_limit_bytes", "Bound of millrace_spool_bytes: ingest.spool.max.bytes.")
	spoolEntries  = gauge("spool_entries", "Requests in the spool whose events Kafka does not have.")
	spoolAge      = gauge("spool_oldest_seconds", "Age of the oldest request in the spool; 0 when there is none.")
	spoolAside    = gauge("spool_aside_topics", "Topics that do not take the events of the spool while others do. Their events wait apart, and hold up no others.")
	spoolAppended = counter("spool_appended_total", "Requests that the spool took.")
	spoolRefused  = counter("spool_refused_total", "Requests for which the spool had no room, or whose write failed.")
	spoolCorrupt  = counter("spool_corrupt_total", "Stretches of the spool that the disk has damaged. They are kept as *.corrupt, and what is behind them is read.")
)

// The metrics of the produce side.
var (
	produceRecords  = counter("produce_records_total", "Records that Kafka has, by the format of their request.", "format")
	produceFailed   = counter("produce_failed_records_total", "Records that were decoded and not acknowledged by Kafka, by why; they may be in Kafka all the same if that is kafka_timeout.", "error", "error_code")
	produceWait     = histogram("produce_wait_seconds", "Time from a request's records being ready to be sent until Kafka has answered for the last of them. One request in 16 is timed. The excess over the producer's millrace_kafka_request_duration_e2e_seconds is the wait of records for their batch to leave: for producer.linger.ms, and for requests in flight.")
	produceBatchLen = histogram("produce_batch_records", "Records in one record batch written to a broker.")
	produceBatchBig = histogram("produce_batch_bytes", "Size of one record batch written to a broker, before compression.")
	produceHeld     = gauge("produce_held_bytes", "Bytes of requests admitted and not yet answered by Kafka, those of requests that were answered with 504 among them.")
	produceLimit    = gauge("produce_held_limit_bytes", "Bound of millrace_produce_held_bytes: producer.buffer.memory.")
	produceRefused  = counter("produce_refused_requests_total", "Produce requests refused because millrace_produce_held_bytes was at its bound.")
	produceBuffered = gauge("produce_buffered_records", "Records in record batches that Kafka has not answered for.")

	compressBatches  = counter("compression_batches_total", "Record batches given to the codec.", "codec")
	compressEnlarged = counter("compression_enlarged_batches_total", "Record batches that the codec made no smaller; they were sent uncompressed.", "codec")
	compressIn       = counter("compression_input_bytes_total", "Bytes of records before compression.", "codec")
	compressOut      = counter("compression_output_bytes_total", "Bytes of records after compression.", "codec")
	compressTime     = counter("compression_seconds_total", "Time spent compressing.", "codec")
)

// The metrics of the consume side.
var (
	consumeRecords = counter("consume_records_total", "Records answered to readers, by the format of their consumer instance.", "format")
	consumeBytes   = counter("consume_bytes_total", "Keys and values of the records answered to readers, as they are in Kafka.", "format")
	consumeLatency = histogram("consume_latency_seconds", "Time from a reader asking and the last record of what it gets being written, whichever is later, until that is ready to be sent, by topic and response or piece of a stream. The wait of a reader for records that are not there yet is no part of it, as far as their timestamps are the times when they were written.")
	consumeAge     = histogram("consume_record_age_seconds", "Age of the first record of what a reader gets, by its timestamp. It is counted with 1024 s where it is above; classic buckets end at 30 s.")
	fetchBatches   = counter("consume_fetched_batches_total", "Record batches fetched from brokers, by the codec they came in.", "codec")
	fetchRecords   = counter("consume_fetched_records_total", "Records fetched from brokers. More than were answered means that they are fetched and dropped, by seeks and rebalances.", "codec")
	fetchWire      = counter("consume_fetched_bytes_total", "Bytes of fetched record batches as they came.", "codec")
	fetchPlain     = counter("consume_fetched_uncompressed_bytes_total", "Bytes of fetched record batches, decompressed.", "codec")

	consumerInstances  = gauge("consumer_instances", "Consumer instances on this node.")
	consumerLimit      = gauge("consumer_instances_limit", "Bound of millrace_consumer_instances: consumer.instances.max.")
	consumerCreated    = counter("consumer_instances_created_total", "Consumer instances made.")
	consumerExpired    = counter("consumer_instances_expired_total", "Consumer instances closed because nobody had used them for consumer.instance.timeout.ms.")
	consumerPartitions = gauge("consumer_partitions", "Partitions that the consumer instances read.")
	consumerBacklog    = gauge("consumer_backlog_records", "Records fetched and not yet answered, beside what the Kafka clients prefetch.")
	consumerHeld       = gauge("consumer_backlog_bytes", "Keys and values of millrace_consumer_backlog_records.")
	consumerLag        = gauge("consumer_lag_records", "Records that a group's instances on this node have not answered: the end of the log less their position, summed over the partitions of the topic that they read, whether they have ever read or not. The position need not be committed; Kafka's own tools show what is. The end is looked up every consumer.lag.interval.ms, and a read brings it too.", "group", "topic")
	consumerCommits    = counter("consumer_commits_total", "Offset commits sent to Kafka, by result: ok or failed.", "result")
	consumerRebalances = counter("consumer_rebalances_total", "Changes that a group made to what a consumer instance reads, by event: assigned, revoked or lost.", "event")
	consumerSkipped    = counter("consumer_records_skipped_total", "Records passed over because they could not be decoded, by instances with on.decode.error=skip and streams with on_decode_error=skip.")
)

// The metrics of several nodes that form one service.
var (
	clusterLeased    = gauge("cluster_leased", "1 while this node sees its own heartbeats in the cluster's topic; otherwise it serves no consumer instances.")
	clusterNodes     = gauge("cluster_nodes", "Nodes alive, this one included.")
	clusterInstances = gauge("cluster_instances", "Consumer instances of all nodes.")
	clusterAdoptions = counter("cluster_adoptions_total", "Consumer instances that this node took over from one that left or died, by result: ok or failed.", "result")
	clusterRefused   = counter("cluster_refused_total", "Records and messages in the name of a node that were not authenticated by cluster.secret: record (of cluster.topic), request or response. 0 unless the secrets differ, a node is of a former version, or somebody tries.", "what")
	clusterUnsealed  = gauge("cluster_unauthenticated", "Nodes alive (node) and consumer instances (instance) whose last record in cluster.topic is not authenticated: those of nodes of a former version, with cluster.authentication=accept. Once it is 0 on all nodes, they may be set to require.", "what")
	clusterForwards  = counter("cluster_forwards_total", "Requests forwarded to the node that has their consumer instance, by result: ok, moved (tried again) or failed.", "result")
)

// The metrics of topics.
var (
	topicProducedRecords = counter("topic_produced_records_total", "Records written to the topic.", "topic")
	topicProducedBytes   = counter("topic_produced_bytes_total", "Bytes of record batches written to the topic, before compression.", "topic")
	topicConsumedRecords = counter("topic_consumed_records_total", "Records of the topic answered to readers.", "topic")
	topicConsumedBytes   = counter("topic_consumed_bytes_total", "Keys and values of the topic's records answered to readers.", "topic")
)

// The metrics of the cluster and of its connections. Those of kprom are its own, help included;
// TestCatalogIsWhatIsShown holds that.
var (
	kafkaReachable  = gauge("kafka_reachable", "1 while brokers answer; requests that need them are refused otherwise.")
	auditWritten    = counter("audit_records_total", "Records about refused requests and changes that audit.topic has.")
	auditLost       = counter("audit_records_lost_total", "Records for audit.topic that Kafka did not take in time, or that came faster than they are taken. The log has the refusals that it shows all the same.")
	kafkaLogins     = gauge("kafka_logins", "Logins of callers that use Kafka with rights of their own and have connections for it (authentication.kafka.clients.max).")
	kafkaSilence    = gauge("kafka_last_answer_age_seconds", "Time since any broker answered anything.")
	metadataAge     = gauge("metadata_age_seconds", "Age of the view of topics and brokers. It grows while nobody asks.")
	metadataRefresh = counter("metadata_refreshes_total", "Refreshes of that view, by result: ok or failed.", "result")
	metadataStale   = counter("metadata_stale_answers_total", "Answers about the cluster that were older than metadata.max.age.ms, and marked so, because no broker answered.")
	metadataWaiting = gauge("metadata_waiters", "Requests that wait for the cluster to change: those with wait=, and streams of changes.")
	metadataTopics  = gauge("metadata_topics", "Topics of the cluster.")
	metadataParts   = gauge("metadata_partitions", "Partitions of the cluster.")
	metadataOrphans = gauge("metadata_partitions_without_leader", "Partitions that can be neither written nor read at the moment.")
	metadataBrokers = gauge("metadata_brokers", "Brokers of the cluster.")

	kprom = []*Def{
		counter("kafka_connects_total", "Total number of connections opened", "client", "node_id"),
		counter("kafka_connect_errors_total", "Total number of connection errors", "client", "node_id"),
		counter("kafka_disconnects_total", "Total number of connections closed", "client", "node_id"),
		counter("kafka_write_bytes_total", "Total number of bytes written to the TCP connection. The bytes count is tracked after compression (when used).", "client", "node_id"),
		counter("kafka_write_errors_total", "Total number of write errors", "client", "node_id"),
		counter("kafka_read_bytes_total", "Total number of bytes read from the TCP connection. The bytes count is tracked before uncompression (when used).", "client", "node_id"),
		counter("kafka_read_errors_total", "Total number of read errors", "client", "node_id"),
		histogram("kafka_request_duration_e2e_seconds", "Time from the start of when a request is written to the end of when the response for that request was fully read", "client", "node_id"),
		histogram("kafka_request_throttled_seconds", "Time the request was throttled", "client", "node_id"),
	}
)

// The metrics of schemas.
var (
	schemaHits     = counter("schema_cache_hits_total", "Questions for schemas that were answered from memory.")
	schemaMisses   = counter("schema_cache_misses_total", "Questions for schemas that the schema registry had to be asked, or that failed at once while it was away.")
	schemaCached   = gauge("schema_cache_entries", "Answers in memory, those that a schema does not exist among them.")
	schemaRequests = counter("schema_registry_requests_total", "Requests to the schema registry, by result: ok is any answer, that a schema is unknown or refused too; failed is an answer that makes no sense or refuses this node; unreachable; timeout.", "result")
	schemaTime     = counter("schema_registry_request_seconds_total", "Time that requests to the schema registry took.")
)

// The metrics of the process.
var (
	poolGets   = counter("pool_gets_total", "Things taken from a pool: jobs are produce requests, buffers what is compressed and streamed into, fetch_bytes and fetch_records where fetched record batches are decoded.", "pool")
	poolMisses = counter("pool_misses_total", "Things that had to be allocated because the pool had none that fits.", "pool")
	poolOut    = gauge("pool_outstanding", "Things taken from a pool and not given back; jobs are with those that were answered with 504 while Kafka has not answered for their records. Not of fetch_…: records that are dropped unread never come back.", "pool")
	poolKept   = gauge("pool_kept_bytes", "Bytes that a pool keeps for the next one to ask. Not of jobs and buffers: what those keep is the garbage collector's to take at any time, and cannot be known.", "pool")
	buildInfo  = gauge("build_info", "1, with what this program was built from.", "version", "revision", "go_version")
)

// Catalog returns all metrics of millrace, in the order of the documentation. The metrics of the
// Go runtime and the process (go_*, process_*) are not among them.
func Catalog() []Group {
	return []Group{
		{"HTTP", "Buckets of histograms are classic and, where the scraper asks for protobuf, native ones.", []*Def{
			httpRequests, httpDuration, httpReceived, httpSent, httpErrors,
			httpInFlight, httpStreams, httpConnections, httpRejected, quotaRefused, httpOrigins, httpReplayed, httpEvicted, httpPanics, httpExpires, httpDraining,
			bodiesUsed, bodiesLimit, bodiesRefused, bodiesCut,
		}},
		{"Produce", "", []*Def{
			produceRecords, produceFailed, produceWait, produceBatchLen, produceBatchBig,
			produceHeld, produceLimit, produceRefused, produceBuffered,
			compressBatches, compressEnlarged, compressIn, compressOut, compressTime,
		}},
		{"Consume", "The `metrics.topics.max` pairs of group and topic with the largest lag have a series; the\nothers are summed up as `group=\"" + Other + "\",topic=\"" + Other + "\"`.", []*Def{
			consumeRecords, consumeBytes, consumeLatency, consumeAge, fetchBatches, fetchRecords, fetchWire, fetchPlain,
			consumerInstances, consumerLimit, consumerCreated, consumerExpired, consumerPartitions,
			consumerBacklog, consumerHeld, consumerLag, consumerCommits, consumerRebalances, consumerSkipped,
		}},
		{"Cluster", "Only with `cluster.enable`.", []*Def{
			clusterLeased, clusterNodes, clusterInstances, clusterAdoptions, clusterForwards, clusterRefused, clusterUnsealed,
		}},
		{"Topics", "The `metrics.topics.max` busiest topics have series of their own, the others are counted\nas `topic=\"" + Other + "\"`, which no topic can be called. Once a minute a topic that has become\ntwice as busy takes the place of another; its figures of before stay with the\nothers, so that every series only grows and rates stay true.", []*Def{
			topicProducedRecords, topicProducedBytes, topicConsumedRecords, topicConsumedBytes,
		}},
		{"Kafka", "`client` is `producer`, `consumer` (all consumer instances together) or `metadata` (look-ups);\n`node_id` a broker, or `seed_N` before it is known.", append([]*Def{
			kafkaReachable, kafkaLogins, auditWritten, auditLost, kafkaSilence, metadataAge, metadataRefresh, metadataStale, metadataWaiting,
			metadataTopics, metadataParts, metadataOrphans, metadataBrokers,
		}, kprom...)},
		{"Spool", "Of events that are answered before Kafka has them (ingest.spool.dir).", []*Def{
			ingestForwarded, ingestRepeated, ingestDead, ingestLost, ingestDropped, ingestOverflowed, ingestDeadLetters,
			spoolBytes, spoolLimit, spoolEntries, spoolAge, spoolAside, spoolAppended, spoolRefused, spoolCorrupt,
		}},
		{"Schemas", "Of the formats that need a schema registry; none of this moves for the others.", []*Def{
			schemaHits, schemaMisses, schemaCached, schemaRequests, schemaTime,
		}},
		{"Process", "Beside these there are the `go_*` and `process_*` metrics of every Go program.", []*Def{
			poolGets, poolMisses, poolOut, poolKept, buildInfo,
		}},
	}
}

// put sends the current value of a counter or gauge.
func (d *Def) put(to chan<- prometheus.Metric, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if d.Type == "counter" {
		kind = prometheus.CounterValue
	}
	to <- prometheus.MustNewConstMetric(d.desc, kind, value, labels...)
}

// vec makes the histogram's instruments, with classic and native buckets.
func (d *Def) vec(buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: d.Name, Help: d.Help, Buckets: buckets,
		NativeHistogramBucketFactor:    nativeFactor,
		NativeHistogramMaxBucketNumber: nativeBuckets,
	}, d.Labels)
}

const (
	// nativeFactor is the ratio between the bounds of a native bucket, nativeBuckets the number
	// of buckets after which they become wider: the values that Prometheus proposes.
	nativeFactor  = 1.1
	nativeBuckets = 160
)

var (
	recordBuckets = []float64{1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000}
	byteBuckets   = []float64{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20}
)
