package config

import (
	"log/slog"
	"math"
	"net/netip"
	"time"

	"millrace/codec"
)

var serverRows = []row{
	{
		name: "id", doc: "Name of this node, for the log and for the ids of consumer instances.",
		store: into(text, func(d *draft) *string { return &d.ID }),
	},
	{
		name: "listeners", def: "http://0.0.0.0:8082", doc: "Addresses to serve on.",
		store: into(listenerList, func(d *draft) *[]listener { return &d.listeners }),
	},
	{
		name: "listeners.admin", doc: "Addresses that serve `/admin`, which the others then do not.",
		store: into(listenerList, func(d *draft) *[]listener { return &d.ownListeners[adminListeners].listeners }),
	},
	{
		name: "listeners.dashboard", doc: "Addresses that serve `/ui`, which the others then do not. One of listeners.admin serves both.",
		store: into(listenerList, func(d *draft) *[]listener { return &d.ownListeners[dashboardListeners].listeners }),
	},
	{
		name: "listeners.metrics", doc: "Addresses that serve `/metrics`, which the others then do not. All listeners serve `/healthz` and `/readyz`.",
		store: into(listenerList, func(d *draft) *[]listener { return &d.ownListeners[metricsListeners].listeners }),
	},
	{
		name: "host.name", doc: "Host name in the base_uri of consumer instances; without it the request's own says.",
		store: into(text, func(d *draft) *string { return &d.Server.HostName }),
	},
	{
		name: "advertised.listeners", doc: "Base URL that clients reach this node at, for base_uri; outweighs host.name. Of several the first counts.",
		store: into(webURLs, func(d *draft) *[]string { return &d.advertised }),
	},
	{
		name: "hosts.own", doc: "Further host names of this node, separated by commas. `/admin` and `/ui` answer only requests whose Host is one of them, host.name, that of advertised.listeners, the machine's own, `localhost` or an IP address: a web page whose name is made to resolve to this node (DNS rebinding) is kept out.",
		store: into(hostNames, func(d *draft) *[]string { return &d.Server.OwnHosts }),
	},
	{
		name: "hosts.own.only", def: "false", doc: "Have every path answer only requests for this node's own hosts, not only `/admin` and `/ui`. `millrace dev` sets it.",
		store: into(boolean, func(d *draft) *bool { return &d.Server.OwnHostsOnly }),
	},
	{
		name: "forwarded.trusted", def: "loopback, private", doc: "Addresses of proxies in front whose `X-Forwarded-Proto`, `-Host` and `-Port` headers, or else `Forwarded` header, are believed: they say how clients reach this node, for base_uri and for what counts as a page of this node. Where this is given, `X-Forwarded-For` from them is believed, too, by quotas, shares, failed logins and the audit; the default is not believed there. `private` is RFC 1918, RFC 4193 and link-local addresses.",
		store: into(networks, func(d *draft) *[]netip.Prefix { return &d.Server.ForwardedTrusted }),
	},
	{
		name: "shutdown.graceful.ms", def: "10000", doc: "How long a drain may take after SIGTERM. The Confluent proxy's 1000 is too short to flush records to a slow broker.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Server.GracefulTimeout }),
	},
	{
		name: "api.endpoints.allowlist", doc: "Names of the endpoints that are served, separated by commas, as `api.v3.topics.list`, or `api.v3.topics.*` for all of a resource; empty: all. Others answer 404 to GET and 405 otherwise. docs/api.md lists the names.",
		store: into(words, func(d *draft) *[]string { return &d.Endpoints.Allow }),
	},
	{
		name: "api.endpoints.blocklist", doc: "Names of endpoints that are not served.",
		store: into(words, func(d *draft) *[]string { return &d.Endpoints.Block }),
	},
	{
		name: "api.compatibility.strict", def: "false", doc: "Answer as today's Confluent proxy where millrace is kinder or follows the documentation.",
		store: into(boolean, func(d *draft) *bool { return &d.REST.Strict }),
	},
	{
		name: "avro.dialect", def: "tagged", doc: "How Avro values are written as JSON where the media type does not say (`; avro=plain`): tagged as Avro's own encoding is, or plain, with unions that have no tag, decimals as numbers and times as ISO 8601.",
		store: into(dialect, func(d *draft) *codec.Dialect { return &d.REST.Avro }),
	},
	{
		name: "null.request.body.always.publishes.empty.record", def: "false", doc: "Store a key or value of `null`, or one that is missing, as a null of Kafka although the request names a schema for it: a tombstone. Without it the schema decides: where it allows null, that is what is stored; else the request is refused.",
		store: into(boolean, func(d *draft) *bool { return &d.REST.NullsAreTombstones }),
	},
	{
		name: unknownNames, def: "refuse", doc: "What a name does that is no setting: it is refused, or listed at start as not used. The Confluent proxy ignores such a name.",
		store: into(oneOf("refuse", "warn"), func(*draft) *string { return new(string) }),
	},
	{
		name: "log.level", def: "info", runtime: true, doc: "The least severe messages to log.",
		store: into(logLevel, func(d *draft) *slog.Level { return &d.LogLevel }),
	},
	{
		name: "log.format", def: "text", doc: "Form of a log line.",
		store: into(oneOf("text", "json"), func(d *draft) *string { return &d.LogFormat }),
	},
	{
		name: "request.log", def: "false", runtime: true, doc: "Log one structured line a request.",
		store: into(boolean, func(d *draft) *bool { return &d.Server.RequestLog }),
	},
	{
		name: "metrics.topics.max", def: "100", doc: "How many topics, and how many pairs of consumer group and topic, have series of their own on /metrics; the rest is summed up.",
		store: into(whole(0, 10_000), func(d *draft) *int { return &d.Metrics.Topics }),
	},
	{
		name: "ui.enable", def: "true", doc: "Serve the dashboard at /ui. It shows the cluster's topics and brokers, what clients do, and all settings, secrets masked: to callers that a rule allows to (docs/access.md), or without rules to whoever reaches the listeners.",
		store: into(boolean, func(d *draft) *bool { return &d.UI }),
	},
	{
		name: "admin.enable", def: "false", doc: "Serve GET and PUT /admin/config, which show all settings and change those marked ⟳: for callers that a rule allows to (docs/access.md), or without rules for those on the node's own machine.",
		store: into(boolean, func(d *draft) *bool { return &d.Admin }),
	},
}

var corsRows = []row{
	{
		name: "access.control.allow.origin", doc: "Origins whose web pages may use the API, separated by commas, or *. A * in an origin stands for any text: `https://*.example.com` is each subdomain, `http://localhost:*` each port. Without it a page of another origin changes nothing: its POST, PUT and DELETE, and its reads of a consumer instance, are 403.",
		store: into(text, func(d *draft) *string { return &d.Server.AllowOrigin }),
	},
	{
		name: "access.control.allow.methods", doc: "Methods that such a call may use, separated by commas; without it those that the path supports.",
		store: into(text, func(d *draft) *string { return &d.Server.AllowMethods }),
	},
	{
		name: "access.control.allow.headers", doc: "Headers that such a call may send, separated by commas; without it those that the API reads.",
		store: into(text, func(d *draft) *string { return &d.Server.AllowHeaders }),
	},
	{
		name: "access.control.expose.headers", doc: "Headers of responses that such a page may read, separated by commas, beside those that the API writes for it.",
		store: into(text, func(d *draft) *string { return &d.Server.ExposeHeaders }),
	},
	{
		name: "access.control.allow.credentials", def: "false", doc: "Let pages of the allowed origins send what the browser has stored for this node, as `navigator.sendBeacon` always does. Not with the origin *.",
		store: into(boolean, func(d *draft) *bool { return &d.Server.AllowCredentials }),
	},
}

var limitRows = []row{
	{
		name: "request.max.bytes", def: "16777216", doc: "Bound of a request body, before and after decompression. A produce request must also fit into producer.buffer.memory.",
		store: into(size(1, largest), func(d *draft) *int { return &d.Server.MaxBodyBytes }),
	},
	{
		name: "request.buffer.memory", doc: "Bound of the bytes of all request bodies that are being received or decoded, charged as they arrive; a request beyond it is refused with 503. A quarter of it, 32 MiB at most, is kept for bodies up to 64 KiB. By default 128 MiB, or a quarter of the memory that the process may have (GOMEMLIMIT, or nine tenths of its cgroup's limit) where that is less, and never less than twice request.max.bytes.",
		store: into(size(1<<20, int64(math.MaxInt64)), func(d *draft) *int64 { return &d.Server.Bodies.Memory }),
	},
	{
		name: "request.buffer.share.per.ip", def: "50", doc: "How much of request.buffer.memory, in percent, the bodies over 64 KiB of one caller may hold together, which is an identity or, without one, an address; at least request.max.bytes. 100 where a load balancer hides the addresses of callers without an identity.",
		store: into(whole(1, 100), func(d *draft) *int { return &d.Server.Bodies.Share }),
	},
	{
		name: "request.min.rate", def: "1024", doc: "How many bytes a second a body over 8 KiB must bring, over each request.min.rate.grace.ms; one that is slower is cut with 408. 0 is any.",
		store: into(size(0, int64(largest)), func(d *draft) *int64 { return &d.Server.Bodies.MinRate }),
	},
	{
		name: "request.min.rate.grace.ms", def: "5000", doc: "Over what time request.min.rate is taken: how long a body may pause.",
		store: into(millis(100, largest), func(d *draft) *time.Duration { return &d.Server.Bodies.Grace }),
	},
	{
		name: "overload.delay.ms", def: "2", doc: "How long requests may wait for a processor of this node, as the median of the Go scheduler's delays over 100 ms. While it is longer, produce requests beyond those that the processors can serve are refused with 503 before their bodies are read, those of callers over their fair share first; other requests are not. Waiting for Kafka does not count. 0 refuses none.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Server.OverloadDelay }),
	},
	{
		name: "request.max.header.bytes", alias: "max.request.header.size", def: "16384", doc: "Bound of the request line and header together.",
		store: into(size(1024, 1<<20), func(d *draft) *int { return &d.Server.MaxHeaderBytes }),
	},
	{
		name: "request.max.records", def: "100000", doc: "Bound of the records of one produce request, and of the events of one request to `/ingest`.",
		store: into(whole(1, largest), func(d *draft) *int { return &d.REST.MaxRecords }, func(d *draft) *int { return &d.Ingest.MaxEvents }),
	},
	{
		name: "idempotency.window.ms", def: "600000", doc: "How long the answer to a produce request with an `Idempotency-Key` is remembered: a request with the same key gets that answer, and writes nothing. 0 ignores such keys.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Server.Idempotency.Window }),
	},
	{
		name: "idempotency.max.bytes", def: "16777216", doc: "Bound of the memory of those answers, an eighth of it for each. Beyond it the oldest are forgotten before their time.",
		store: into(size(1<<16, int64(math.MaxInt64)), func(d *draft) *int64 { return &d.Server.Idempotency.MaxBytes }),
	},
	{
		name: "connections.max", def: "10000", doc: "Bound of open connections.",
		store: into(whole(1, largest), func(d *draft) *int { return &d.Server.MaxConnections }),
	},
	{
		name: "connections.max.per.ip", def: "0", doc: "Bound of open connections from one address; 0 is none.",
		store: into(whole(0, largest), func(d *draft) *int { return &d.Server.MaxConnectionsPerIP }),
	},
	{
		name: "streams.max", def: "1000", doc: "Bound of the answers that are being streamed.",
		store: into(whole(1, largest), func(d *draft) *int { return &d.Server.MaxStreams }),
	},
	{
		name: "streams.heartbeat.ms", def: "15000", doc: "How long a stream may be silent. A client that is gone is noticed when something is sent to it.",
		store: into(millis(100, largest), func(d *draft) *time.Duration { return &d.REST.StreamHeartbeat }),
	},
	{
		name: "streaming.connection.max.duration.ms", def: "86400000", doc: "How long the records of one request of the v3 API may be streamed; 0 is without an end.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Server.StreamTime }),
	},
	{
		name: "produce.batch.maximum.entries", def: "10", doc: "Bound of the entries of one records:batch of the v3 API.",
		store: into(whole(1, 10_000), func(d *draft) *int { return &d.Produce.MaxEntries }),
	},
	{
		name: "request.read.timeout.ms", def: "30000", doc: "How long a whole request may take to arrive.",
		store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Server.ReadTimeout }),
	},
	{
		name: "response.write.timeout.ms", def: "60000", doc: "How long an answer may take to send.",
		store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Server.WriteTimeout }),
	},
	{
		name: "connection.idle.timeout.ms", alias: "idle.timeout.ms", def: "120000", doc: "How long a connection may wait for its next request.",
		store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Server.IdleTimeout }),
	},
}

var consumerRows = []row{
	{
		name: "consumer.request.timeout.ms", def: "1000", doc: "How long a read waits for records, at most and by default.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Consumer.RequestTimeout }),
	},
	{
		name: "consumer.request.max.bytes", def: "67108864", doc: "Bound of the keys and values of one answer, and of the answer itself; a record that is larger is answered alone.",
		store: into(size(1, largest), func(d *draft) *int { return &d.Consumer.MaxBytes }),
	},
	{
		name: "consumer.instance.timeout.ms", def: "300000", doc: "How long an instance may go unused before it is closed.",
		store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Consumer.InstanceTimeout }),
	},
	{
		name: "consumer.instances.max", def: "10000", doc: "Bound of the consumer instances of this node.",
		store: into(whole(1, largest), func(d *draft) *int { return &d.Consumer.MaxInstances }),
	},
	{
		name: "consumer.instances.max.per.client", def: "0", doc: "Bound of the consumer instances on this node that one client address has made; 0 is none. A load balancer in front is one address.",
		store: into(whole(0, largest), func(d *draft) *int { return &d.Consumer.MaxPerClient }),
	},
	{
		name: "consumer.auto.commit.interval.ms", def: "5000", doc: "How often an instance with auto-commit commits.",
		store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Consumer.AutoCommitInterval }),
	},
	{
		name: "consumer.lag.interval.ms", def: "10000", doc: "How often the ends of the logs that consumer instances read are looked up for millrace_consumer_lag_records, with one request to each broker that leads some of them, however many instances there are; 0 leaves that to their reads. The default is below the usual scrape interval of 15 s, so that each scrape finds a new figure.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Consumer.LagInterval }),
	},
	{
		name: "consumer.auto.offset.reset", def: "latest", doc: "Where an instance starts that has no committed offset and asks for nothing.",
		store: into(oneOf("earliest", "latest", "none"), func(d *draft) *string { return &d.Consumer.OffsetReset }),
	},
	{
		name: "consumer.isolation.level", def: "read_uncommitted", doc: "Whether records of open and aborted transactions are read, for instances that ask for nothing.",
		store: into(oneOf("read_uncommitted", "read_committed"), func(d *draft) *string { return &d.Consumer.IsolationLevel }),
	},
}

var metadataRows = []row{
	{
		name: "metadata.max.age.ms", def: "2000", doc: "How old an answer about topics, partitions or brokers may be. While clients ask, it is renewed in the background at half that age, but once a second at most, however many they are; a value below 1000 allows that much more.",
		store: into(millis(0, 3_600_000), func(d *draft) *time.Duration { return &d.Metadata.MaxAge }),
	},
	{
		name: "metadata.max.stale.ms", def: "300000", doc: "How much older such an answer may be while no broker answers, marked by Age and Warning headers; 0 refuses such requests at once.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Metadata.StaleFor }),
	},
	{
		name: "metadata.wait.max.ms", def: "300000", doc: "Bound of the time that a request may wait for a change (`wait=`).",
		store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Metadata.MaxWait }),
	},
	{
		name: "metadata.waiters.max", def: "10000", doc: "Bound of the requests that wait for a change and the streams of changes together.",
		store: into(whole(1, largest), func(d *draft) *int { return &d.Metadata.MaxWaiters }),
	},
	{
		name: "metadata.timeout.ms", def: "10000", doc: "How long one look-up at the brokers may take.",
		store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Metadata.Timeout }),
	},
	{
		name: "topics.auto.create", def: "true", doc: "Let a first produce to an unknown topic create it, where the broker's auto.create.topics.enable allows that too.",
		store: into(boolean, func(d *draft) *bool { return &d.Metadata.CreateTopics }),
	},
}
