package config

import (
	"math"
	"slices"
	"time"

	"millrace/internal/kafka"
)

// largestRequest is what a broker takes in one request by default
// (socket.request.max.bytes), largestFetch what the client takes in one answer.
const (
	largestRequest = 100 << 20
	largestFetch   = 512 << 20
)

func linkRows() []row {
	return slices.Concat(
		forSides(row{name: "bootstrap.servers", alias: "client.bootstrap.servers", doc: "Brokers to start from. Must be given."},
			bootstraps, func(l *link) *[]bootstrap { return &l.brokers }),
		forSides(row{name: "client.id", def: "millrace", doc: "Name of this client in the brokers' logs, metrics and quotas."},
			clientID, func(l *link) *string { return &l.clientID }),
		[]row{{
			name: "client.request.timeout.ms", def: "30000", doc: "How long a broker may take to answer one request, beyond what the request itself asks to wait.",
			store: into(
				millis(100, 900_000),
				func(d *draft) *time.Duration { return &d.links[admin].requestTimeout },
				func(d *draft) *time.Duration { return &d.links[produce].requestTimeout },
				func(d *draft) *time.Duration { return &d.links[consume].requestTimeout },
				func(d *draft) *time.Duration { return &d.Producer.RequestTimeout },
			),
		}},
		forSides(row{name: "socket.connection.setup.timeout.ms", def: "5000", doc: "How long the opening of one connection may take. Java's 10000 would make one dead host the longest part of many requests."},
			millis(1, largest), func(l *link) *time.Duration { return &l.dialTimeout }),
		forSides(row{name: "metadata.max.age.ms", def: "300000", doc: "How old a client's own view of topics and leaders may get; it is renewed at once where it proves wrong."},
			millis(1000, 3_600_000), func(l *link) *time.Duration { return &l.maxAge }),
		forSides(row{name: "security.protocol", doc: "How to connect. Without it the prefixes of bootstrap.servers say, and without them it is PLAINTEXT."},
			oneOf(protocols...), func(l *link) *string { return &l.protocol }),
		forSides(row{name: "sasl.mechanism", def: defaultMechanism, doc: "How to authenticate, for the SASL protocols. GSSAPI is Kerberos."},
			oneOf(mechanismNames...), func(l *link) *string { return &l.mechanism }),
		forSides(row{name: "sasl.jaas.config", doc: "Credentials, as Java writes them: `….PlainLoginModule required username=\"u\" password=\"p\";` (or ScramLoginModule), `….OAuthBearerLoginModule required clientId=\"c\" clientSecret=\"s\" scope=\"…\";`, with `extension_NAME=…` where the broker wants some, or `….IAMLoginModule required;`, which takes AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment, or `….Krb5LoginModule required useKeyTab=true keyTab=\"/…\" principal=\"rest@EXAMPLE.COM\";`, whose KDC /etc/krb5.conf names, or the file of KRB5_CONFIG."},
			password, func(l *link) *string { return &l.jaas }),
		forSides(row{name: "sasl.kerberos.service.name", doc: "Name of the brokers' principals, such as kafka of kafka/HOST@EXAMPLE.COM, for GSSAPI. HOST is that of bootstrap.servers and of advertised.listeners."},
			text, func(l *link) *string { return &l.service }),
		forSides(row{name: "sasl.oauthbearer.token.endpoint.url", doc: "Where OAUTHBEARER gets tokens: the endpoint, for the client's credentials, or a file that holds one and is read for each connection."},
			tokenURL, func(l *link) *string { return &l.tokenURL }),
		tlsRows(func(r row, k kind[string], at func(*tlsSource) *string) []row {
			return forSides(r, k, func(l *link) *string { return at(&l.tls) })
		}),
		forSides(row{name: "ssl.endpoint.identification.algorithm", def: "https", doc: "Check that a broker's certificate is for its host name; empty turns the check off."},
			identification, func(l *link) *string { return &l.tls.identification }),
		forSides(row{name: "ssl.enabled.protocols", def: "TLSv1.2,TLSv1.3", doc: "Versions of TLS to speak."},
			tlsVersions, func(l *link) *versions { return &l.tls.versions }),
		forSides(row{name: "ssl.cipher.suites", doc: "Cipher suites of TLS 1.2 and before, by their IANA names; without it all that are safe. Those of TLS 1.3 are accepted and always on."},
			cipherSuites, func(l *link) *[]uint16 { return &l.tls.suites }),
	)
}

func httpsRows() []row {
	return slices.Concat(
		tlsRows(func(r row, k kind[string], at func(*tlsSource) *string) []row {
			r.store = into(k, func(d *draft) *string { return at(&d.https) })
			return []row{r}
		}),
		[]row{
			{
				name: "ssl.client.authentication", def: "NONE", doc: "Whether a client must, may or need not show a certificate that the trust store vouches for.",
				store: into(oneOf("NONE", "REQUESTED", "REQUIRED"), func(d *draft) *string { return &d.https.clientAuthentication }),
			},
			{
				name: "ssl.client.auth", def: "false", doc: "Older word: true is ssl.client.authentication=REQUIRED, which outweighs it.",
				store: into(boolean, func(d *draft) *bool { return &d.https.clientAuth }),
			},
			{
				name: "ssl.enabled.protocols", def: "TLSv1.2,TLSv1.3", doc: "Versions of TLS to speak.",
				store: into(tlsVersions, func(d *draft) *versions { return &d.https.versions }),
			},
			{
				name: "ssl.cipher.suites", doc: "Cipher suites of TLS 1.2 and before, by their IANA names; without it all that are safe.",
				store: into(cipherSuites, func(d *draft) *[]uint16 { return &d.https.suites }),
			},
		},
	)
}

// tlsRows are the settings about key and trust stores, which HTTPS and Kafka
// share; place makes the rows of one of them.
func tlsRows(place func(r row, k kind[string], at func(*tlsSource) *string) []row) []row {
	storeType := oneOf("JKS", "PKCS12", "PEM")
	return slices.Concat(
		place(row{name: "ssl.keystore.location", doc: "File with the private key and its certificates."},
			text, func(s *tlsSource) *string { return &s.keyLocation }),
		place(row{name: "ssl.keystore.password", doc: "Password of that file, not for PEM."},
			password, func(s *tlsSource) *string { return &s.keyStorePassword }),
		place(row{name: "ssl.key.password", doc: "Password of the private key in it; without it the file's."},
			password, func(s *tlsSource) *string { return &s.keyPassword }),
		place(row{name: "ssl.keystore.type", def: "JKS", doc: "Format of that file."},
			storeType, func(s *tlsSource) *string { return &s.keyType }),
		place(row{name: "ssl.keystore.key", doc: "Private key in PEM, in place of a file; for type PEM."},
			password, func(s *tlsSource) *string { return &s.keyPEM }),
		place(row{name: "ssl.keystore.certificate.chain", doc: "Its certificates in PEM, the own one first."},
			pemText, func(s *tlsSource) *string { return &s.chainPEM }),
		place(row{name: "ssl.truststore.location", doc: "File with the certificates to trust."},
			text, func(s *tlsSource) *string { return &s.trustLocation }),
		place(row{name: "ssl.truststore.password", doc: "Password of that file, not for PEM."},
			password, func(s *tlsSource) *string { return &s.trustPassword }),
		place(row{name: "ssl.truststore.type", def: "JKS", doc: "Format of that file."},
			storeType, func(s *tlsSource) *string { return &s.trustType }),
		place(row{name: "ssl.truststore.certificates", doc: "Certificates to trust in PEM, in place of a file; for type PEM."},
			pemText, func(s *tlsSource) *string { return &s.trustPEM }),
	)
}

var producerRows = []row{
	{
		name: "producer.acks", def: "all", doc: "How many replicas must have a record before it is answered.",
		store: into(acks, func(d *draft) *int { return &d.Producer.Acks }),
	},
	{
		name: "producer.enable.idempotence", def: "true", doc: "Let the broker drop a batch that it has already. Off, unless asked for, where acks is not all or retries is 0.",
		store: into(boolean, func(d *draft) *bool { return &d.Producer.Idempotent }),
	},
	{
		name: "producer.max.in.flight.requests.per.connection", def: "5", doc: "Bound of unanswered produce requests per broker. With idempotence it may be 1 to 5 and changes nothing, as order is kept anyway.",
		store: into(whole(1, largest), func(d *draft) *int { return &d.Producer.MaxInFlight }),
	},
	{
		name: "producer.retries", def: "2147483647", doc: "Bound of the repeats of one batch; producer.delivery.timeout.ms bounds their time.",
		store: into(whole(0, largest), func(d *draft) *int { return &d.Producer.Retries }),
	},
	{
		name: "producer.linger.ms", def: "5", doc: "The longest that a request waits for others to share a batch with. It waits only while records are in flight: a lone request is sent at once, whatever this says. 0 never waits.",
		store: into(millis(0, 60_000), func(d *draft) *time.Duration { return &d.Batch.Linger }),
	},
	{
		name: "producer.batch.size", def: "16384", doc: "How many bytes without a key go to one partition before the next one's turn. Unlike in Java it neither makes a batch wait nor ends one: under load batches grow to producer.max.request.size, or to this if it is more.",
		store: into(size(0, largestRequest), func(d *draft) *int { return &d.Producer.BatchBytes }),
	},
	{
		name: "producer.max.request.size", def: "1048576", doc: "Bound of one record, and of one batch, before compression.",
		store: into(size(1024, largestRequest), func(d *draft) *int { return &d.Producer.MaxRequestBytes }),
	},
	{
		name: "producer.buffer.memory", def: "33554432", doc: "Bound of the bytes held for Kafka; a request beyond it is refused at once with 503.",
		store: into(
			size[int64](1, math.MaxInt64),
			func(d *draft) *int64 { return &d.Batch.BufferBytes },
		),
	},
	{
		name: "producer.delivery.timeout.ms", def: "120000", doc: "How long a record may take in all, retries included; at least producer.request.timeout.ms.",
		store: into(millis(1000, largest), func(d *draft) *time.Duration { return &d.Producer.DeliveryTimeout }),
	},
	{
		name: "producer.request.timeout.ms", doc: "How long a broker may take to answer one produce request.", base: "client.request.timeout.ms",
		store: into(millis(100, 900_000), func(d *draft) *time.Duration { return &d.Producer.RequestTimeout }),
	},
	{
		name: "produce.timeout.ms", def: "30000", doc: "How long an HTTP request waits for Kafka, while the brokers that it waits for are alive, before it is answered: with 503 if nothing was sent, else with 504, and its records may still be written.",
		store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Batch.Timeout }),
	},
	{
		name: "broker.silence.limit.ms", def: "5000", doc: "How long a broker may send nothing while requests wait for it, a ping among them, before requests that wait for it are answered with 504 and new ones with 503. A slow request is no silence while the broker answers others. As long a broker may refuse the records of a partition for want of replicas, before those not written yet are answered with 503. Above the longest garbage collection of the brokers; Kafka itself counts a broker as dead after 9000 (broker.session.timeout.ms).",
		store: into(millis(500, 900_000), func(d *draft) *time.Duration { return &d.Producer.SilenceLimit }),
	},
	{
		name: "producer.compression.type", alias: "compression.type", def: "none", runtime: true, doc: "Codec of every batch; `millrace tune` finds the best one for a topic.",
		store: into(oneOf(kafka.Codecs...), func(d *draft) *kafka.Codec { return &d.Producer.Compression }),
	},
	{
		name: "producer.compression.gzip.level", def: "-1", runtime: true, doc: "Effort of gzip.",
		store: into(gzipLevel, func(d *draft) *int { return &d.levels.gzip }),
	},
	{
		name: "producer.compression.lz4.level", def: "9", runtime: true, doc: "Effort of lz4; 9 is its fast default, as in Java.",
		store: into(whole(1, 17), func(d *draft) *int { return &d.levels.lz4 }),
	},
	{
		name: "producer.compression.zstd.level", def: "3", runtime: true, doc: "Effort of zstd.",
		store: into(whole(-131072, 22), func(d *draft) *int { return &d.levels.zstd }),
	},
}

var fetchRows = []row{
	{
		name: "consumer.fetch.max.bytes", def: "52428800", doc: "Bound of one fetch from a broker.",
		store: into(size(1, largestFetch), func(d *draft) *int { return &d.KafkaConsumer.FetchMaxBytes }),
	},
	{
		name: "consumer.max.partition.fetch.bytes", def: "1048576", doc: "One partition's share of it.",
		store: into(size(1, largestFetch), func(d *draft) *int { return &d.KafkaConsumer.MaxPartitionBytes }),
	},
	{
		name: "consumer.session.timeout.ms", def: "45000", doc: "How long a member may be silent before its group moves on; not with consumer.group.protocol=consumer, where the broker says.",
		store: into(millis(100, largest), func(d *draft) *time.Duration { return &d.KafkaConsumer.SessionTimeout }),
	},
	{
		name: "consumer.group.protocol", def: "classic", doc: "The rebalance protocol of consumer groups.",
		store: into(oneOf("classic", "consumer"), func(d *draft) *string { return &d.KafkaConsumer.GroupProtocol }),
	},
	{
		name: "consumer.client.rack", alias: "client.client.rack", doc: "Where this node runs, as a broker's broker.rack says it. Reads are then from the nearest replica where brokers have a replica.selector.class; else from leaders.",
		store: into(clientID, func(d *draft) *string { return &d.KafkaConsumer.Rack }),
	},
}
