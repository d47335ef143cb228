package config

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"millrace/internal/kafka"
)

func TestTableIsConsistent(t *testing.T) {
	names, variables := map[string]bool{}, map[string]string{}
	shape := regexp.MustCompile(`^[a-z0-9]+(\.[a-z0-9]+)*$`)
	for _, s := range Reference() {
		for _, name := range []string{s.Name, s.Alias} {
			if name == "" {
				continue
			}
			if names[name] {
				t.Errorf("%s occurs twice", name)
			}
			names[name] = true
			if !shape.MatchString(name) { // what dotted rests on
				t.Errorf("%s is not lower-case words with dots", name)
			}
			if other := variables[environName(name)]; other != "" {
				t.Errorf("%s and %s have the same variable", name, other)
			}
			variables[environName(name)] = name
			if dotted(strings.TrimPrefix(environName(name), environPrefix)) != name {
				t.Errorf("the variable of %s does not lead back to it", name)
			}
			if why, ok := notUsedVariable(strings.TrimPrefix(environName(name), environPrefix), ""); ok {
				t.Errorf("the variable of %s is listed as not used: %s", name, why)
			}
			if why, ok := refusal(name, "x"); ok {
				t.Errorf("%s is refused too: %s", name, why)
			}
		}
		if !strings.HasSuffix(s.Doc, ".") || s.Allowed == "" {
			t.Errorf("%s is not documented by a sentence", s.Name)
		}
		if s.Base != "" && rowNamed(s.Base) == nil {
			t.Errorf("%s rests on %s, which does not exist", s.Name, s.Base)
		}
	}
}

// storedCases says for each setting a value that is not its default, and where
// its package reads it.
var storedCases = map[string]struct {
	text string
	got  func(c *Config) any
	want string
}{
	"id":                            {"a", func(c *Config) any { return c.ID }, "a"},
	"listeners":                     {"http://h:1", func(c *Config) any { return c.Server.Listeners[0].Addr }, "h:1"},
	"listeners.admin":               {"http://h:5", served, "[{0.0.0.0:8082 <nil> 13} {h:5 <nil> 2}]"},
	"listeners.dashboard":           {"http://h:5", served, "[{0.0.0.0:8082 <nil> 11} {h:5 <nil> 4}]"},
	"listeners.metrics":             {"http://h:5", served, "[{0.0.0.0:8082 <nil> 7} {h:5 <nil> 8}]"},
	"host.name":                     {" h ", func(c *Config) any { return c.Server.HostName }, "h"},
	"advertised.listeners":          {"http://h:1", func(c *Config) any { return c.Server.Advertised }, "http://h:1"},
	"hosts.own":                     {" a.example, B_2 ", func(c *Config) any { return c.Server.OwnHosts }, "[a.example B_2]"},
	"hosts.own.only":                {"true", func(c *Config) any { return c.Server.OwnHostsOnly }, "true"},
	"forwarded.trusted":             {"10.1.2.3/8, 2001:db8::1", func(c *Config) any { return c.Server.ForwardedTrusted }, "[10.0.0.0/8 2001:db8::1/128]"},
	"api.endpoints.allowlist":       {"api.v3.topics.*, api.v2.root.get", func(c *Config) any { return c.Endpoints.Allow }, "[api.v3.topics.* api.v2.root.get]"},
	"api.endpoints.blocklist":       {"api.v3.acls.*", func(c *Config) any { return c.Endpoints.Block }, "[api.v3.acls.*]"},
	"shutdown.graceful.ms":          {"0", func(c *Config) any { return c.Server.GracefulTimeout }, "0s"},
	"api.compatibility.strict":      {"TRUE", func(c *Config) any { return c.REST.Strict }, "true"},
	"avro.dialect":                  {"Plain", func(c *Config) any { return c.REST.Avro }, "1"},
	"access.control.expose.headers": {"X-A", func(c *Config) any { return c.Server.ExposeHeaders }, "X-A"},

	"null.request.body.always.publishes.empty.record": {"true", func(c *Config) any { return c.REST.NullsAreTombstones }, "true"},

	"log.level":    {"WARN", func(c *Config) any { return c.LogLevel }, slog.LevelWarn.String()},
	"log.format":   {"json", func(c *Config) any { return c.LogFormat }, "json"},
	"request.log":  {"true", func(c *Config) any { return c.Server.RequestLog }, "true"},
	"ui.enable":    {"false", func(c *Config) any { return c.UI }, "false"},
	"admin.enable": {"true", func(c *Config) any { return c.Admin }, "true"},

	"metrics.topics.max": {"7", func(c *Config) any { return c.Metrics.Topics }, "7"},

	"access.control.allow.origin":      {"*", func(c *Config) any { return c.Server.AllowOrigin }, "*"},
	"access.control.allow.methods":     {"GET", func(c *Config) any { return c.Server.AllowMethods }, "GET"},
	"access.control.allow.headers":     {"X", func(c *Config) any { return c.Server.AllowHeaders }, "X"},
	"access.control.allow.credentials": {"true", func(c *Config) any { return c.Server.AllowCredentials }, "true"},

	"ingest.otlp.traces.topic":  {"t", func(c *Config) any { return c.Ingest.OTLP.Traces }, "t"},
	"ingest.otlp.logs.topic":    {"l", func(c *Config) any { return c.Ingest.OTLP.Logs }, "l"},
	"ingest.otlp.metrics.topic": {"m", func(c *Config) any { return c.Ingest.OTLP.Metrics }, "m"},
	"ingest.spool.dir":          {"/s", func(c *Config) any { return c.Ingest.SpoolDir }, "/s"},
	"ingest.spool.max.bytes":    {"2000000", func(c *Config) any { return c.Ingest.SpoolLimits.MaxBytes }, "2000000"},
	"ingest.spool.max.age.ms":   {"7", func(c *Config) any { return c.Ingest.SpoolLimits.MaxAge }, "7ms"},
	"ingest.routes.default":     {"false", func(c *Config) any { return c.Ingest.DefaultRoutes }, "false"},
	"ingest.routes.file":        {"testdata/routes.yaml", func(c *Config) any { return c.Ingest.Routes.Len() }, "1"},

	"request.max.bytes":                    {"1", func(c *Config) any { return c.Server.MaxBodyBytes }, "1"},
	"request.buffer.memory":                {"33554432", func(c *Config) any { return c.Server.Bodies.Memory }, "33554432"},
	"request.buffer.share.per.ip":          {"30", func(c *Config) any { return c.Server.Bodies.Share }, "30"},
	"request.min.rate":                     {"31", func(c *Config) any { return c.Server.Bodies.MinRate }, "31"},
	"request.min.rate.grace.ms":            {"320", func(c *Config) any { return c.Server.Bodies.Grace }, "320ms"},
	"overload.delay.ms":                    {"33", func(c *Config) any { return c.Server.OverloadDelay }, "33ms"},
	"request.max.header.bytes":             {"1024", func(c *Config) any { return c.Server.MaxHeaderBytes }, "1024"},
	"request.max.records":                  {"2", func(c *Config) any { return c.REST.MaxRecords }, "2"},
	"connections.max":                      {"3", func(c *Config) any { return c.Server.MaxConnections }, "3"},
	"connections.max.per.ip":               {"4", func(c *Config) any { return c.Server.MaxConnectionsPerIP }, "4"},
	"idempotency.window.ms":                {"9", func(c *Config) any { return c.Server.Idempotency.Window }, "9ms"},
	"idempotency.max.bytes":                {"70000", func(c *Config) any { return c.Server.Idempotency.MaxBytes }, "70000"},
	"streams.max":                          {"5", func(c *Config) any { return c.Server.MaxStreams }, "5"},
	"streams.heartbeat.ms":                 {"700", func(c *Config) any { return c.REST.StreamHeartbeat }, "700ms"},
	"request.read.timeout.ms":              {"5", func(c *Config) any { return c.Server.ReadTimeout }, "5ms"},
	"response.write.timeout.ms":            {"6", func(c *Config) any { return c.Server.WriteTimeout }, "6ms"},
	"streaming.connection.max.duration.ms": {"75", func(c *Config) any { return c.Server.StreamTime }, "75ms"},
	"produce.batch.maximum.entries":        {"12", func(c *Config) any { return c.Produce.MaxEntries }, "12"},
	"connection.idle.timeout.ms":           {"7", func(c *Config) any { return c.Server.IdleTimeout }, "7ms"},

	"consumer.request.timeout.ms":      {"8", func(c *Config) any { return c.Consumer.RequestTimeout }, "8ms"},
	"consumer.request.max.bytes":       {"9", func(c *Config) any { return c.Consumer.MaxBytes }, "9"},
	"consumer.instance.timeout.ms":     {"10", func(c *Config) any { return c.Consumer.InstanceTimeout }, "10ms"},
	"consumer.instances.max":           {"11", func(c *Config) any { return c.Consumer.MaxInstances }, "11"},
	"consumer.auto.commit.interval.ms": {"12", func(c *Config) any { return c.Consumer.AutoCommitInterval }, "12ms"},
	"consumer.lag.interval.ms":         {"27", func(c *Config) any { return c.Consumer.LagInterval }, "27ms"},
	"consumer.auto.offset.reset":       {"Earliest", func(c *Config) any { return c.Consumer.OffsetReset }, "earliest"},
	"consumer.isolation.level":         {"READ_COMMITTED", func(c *Config) any { return c.Consumer.IsolationLevel }, "read_committed"},

	"consumer.instances.max.per.client": {"24", func(c *Config) any { return c.Consumer.MaxPerClient }, "24"},

	"cluster.secret":         {"x", func(c *Config) any { return []any{c.Peer.Secret, c.Cluster.Secret} }, "[x x]"},
	"cluster.authentication": {"accept", func(c *Config) any { return []any{c.Cluster.Lenient, c.Peer.Lenient} }, "[true true]"},
	"cluster.secret.former":  {"x", func(c *Config) any { return c.Peer.Former }, "x"},
	"cluster.advertised.url": {"http://me:1", func(c *Config) any { return c.Cluster.URL }, "http://me:1"},
	"cluster.topic": {"t", func(c *Config) any {
		return []any{c.Cluster.Topic, c.Metadata.Reserved, c.KafkaConsume.Reserved, c.KafkaProduce.Reserved}
	}, "[t [t] [t] [t]]"},
	"cluster.topic.replication.factor": {"3", func(c *Config) any { return c.Cluster.Replication }, "3"},
	"cluster.heartbeat.interval.ms":    {"1000", func(c *Config) any { return c.Cluster.Heartbeat }, "1s"},
	"cluster.lease.ms":                 {"20000", func(c *Config) any { return []any{c.Cluster.Lease, c.Peer.Lease} }, "[20s 20s]"},

	"rate.limit.enable":                              {"true", func(c *Config) any { return c.Access.Limits }, "[{rate.limit.permits.per.sec 50 false [/v3/*]}]"},
	"rate.limit.permits.per.sec":                     {"7", nil, ""}, // this, and the one of an address, are in access_test.go
	"dos.filter.enabled":                             {"true", func(c *Config) any { return c.Access.Limits }, "[{dos.filter.max.requests.per.connection.per.sec 25 true []}]"},
	"dos.filter.max.requests.per.connection.per.sec": {"8", nil, ""},
	"authentication.realm":                           {"KafkaRest", func(c *Config) any { return c.Access.Realm }, "KafkaRest"},
	"authentication.roles":                           {"a, b", func(c *Config) any { return c.Access.Roles }, "[a b]"},
	"authentication.skip.paths":                      {"/a,/b", func(c *Config) any { return c.Access.SkipPaths }, "[/a /b]"},
	"authentication.jwt.issuer":                      {"me", func(c *Config) any { return c.Access.Tokens.Issuer }, "me"},
	"authentication.jwt.audience":                    {"a,b", func(c *Config) any { return c.Access.Tokens.Audience }, "[a b]"},
	"authentication.jwt.skew.ms":                     {"28", func(c *Config) any { return c.Access.Tokens.Skew }, "28ms"},
	"authentication.jwt.keys.refresh.ms":             {"2900", func(c *Config) any { return c.Access.Tokens.Refresh }, "2.9s"},
	"authentication.jwt.name.claim":                  {"email", func(c *Config) any { return c.Access.Tokens.NameClaim }, "email"},
	"authentication.jwt.roles.claim":                 {"groups", func(c *Config) any { return c.Access.Tokens.RolesClaim }, "groups"},
	"audit.topic":                                    {"log", func(c *Config) any { return c.AuditTopic }, "log"},
	"authentication.kafka.clients.max":               {"31", func(c *Config) any { return c.MaxPrincipals }, "31"},
	"authentication.kafka.clients.idle.ms":           {"3200", func(c *Config) any { return c.PrincipalIdle }, "3.2s"},
	"authentication.files.interval.ms":               {"30", func(c *Config) any { return c.AccessInterval }, "30ms"},

	"metadata.max.age.ms":   {"13", func(c *Config) any { return c.Metadata.MaxAge }, "13ms"},
	"tracing.otlp.endpoint": {"http://c:4318", func(c *Config) any { return c.Tracing.Endpoint }, "http://c:4318"},
	"tracing.sample.ratio":  {"0.5", func(c *Config) any { return c.Tracing.Ratio }, "0.5"},

	"metadata.max.stale.ms": {"0", func(c *Config) any { return c.Metadata.StaleFor }, "0s"},
	"metadata.wait.max.ms":  {"21", func(c *Config) any { return c.Metadata.MaxWait }, "21ms"},
	"metadata.waiters.max":  {"22", func(c *Config) any { return c.Metadata.MaxWaiters }, "22"},
	"metadata.timeout.ms":   {"14", func(c *Config) any { return c.Metadata.Timeout }, "14ms"},
	"topics.auto.create":    {"false", func(c *Config) any { return c.Metadata.CreateTopics }, "false"},

	"bootstrap.servers":                         {"a:1,b:2", all(func(s kafka.Settings) any { return s.Brokers }), "[a:1 b:2] [a:1 b:2] [a:1 b:2]"},
	"client.client.id":                          {"me", all(func(s kafka.Settings) any { return s.ClientID }), "me me me"},
	"client.request.timeout.ms":                 {"150", all(func(s kafka.Settings) any { return s.RequestTimeout }), "150ms 150ms 150ms"},
	"client.socket.connection.setup.timeout.ms": {"16", all(func(s kafka.Settings) any { return s.DialTimeout }), "16ms 16ms 16ms"},
	"client.metadata.max.age.ms":                {"1700", all(func(s kafka.Settings) any { return s.MetadataMaxAge }), "1.7s 1.7s 1.7s"},

	"config.unknown":      {"warn", nil, ""},
	"schema.registry.url": {"http://a:1, https://b", func(c *Config) any { return c.Schema.URLs }, "[http://a:1 https://b]"},
	"schema.registry.basic.auth.credentials.source":  {"URL", nil, ""}, // who may come in is in TestRegistryCredentials
	"schema.registry.basic.auth.user.info":           {"u:p", nil, ""},
	"schema.registry.bearer.auth.credentials.source": {"STATIC_TOKEN", nil, ""},
	"schema.registry.bearer.auth.token":              {"t", func(c *Config) any { return c.Schema.BearerToken }, "t"},
	"schema.registry.request.timeout.ms":             {"24", func(c *Config) any { return c.Schema.Timeout }, "24ms"},
	"schema.registry.auto.register.schemas":          {"false", func(c *Config) any { return c.Schema.AutoRegister }, "false"},
	"schema.registry.use.latest.version":             {"true", func(c *Config) any { return c.Schema.UseLatest }, "true"},
	"schema.registry.latest.cache.ttl.sec":           {"-1", func(c *Config) any { return c.Schema.LatestTTL }, "-1s"},
	"schema.registry.normalize.schemas":              {"true", func(c *Config) any { return c.Schema.Normalize }, "true"},
	"schema.registry.key.subject.name.strategy":      {"io.confluent.kafka.serializers.subject.RecordNameStrategy", func(c *Config) any { return c.Schema.KeySubject }, "1"},
	"schema.registry.value.subject.name.strategy":    {"topic_record_name", func(c *Config) any { return c.Schema.ValueSubject }, "2"},
	"schema.registry.check.subject":                  {"false", func(c *Config) any { return c.Schema.CheckSubject }, "false"},
	"schema.registry.cache.size":                     {"25", func(c *Config) any { return c.Schema.CacheSize }, "25"},
	"schema.registry.cache.max.bytes":                {"26", func(c *Config) any { return c.Schema.CacheBytes }, "26"},
	"schema.registry.cache.negative.ms":              {"0", func(c *Config) any { return c.Schema.NegativeTTL }, "0s"},

	"producer.acks":                                  {"1", func(c *Config) any { return c.Producer.Acks }, "1"},
	"producer.enable.idempotence":                    {"false", func(c *Config) any { return c.Producer.Idempotent }, "false"},
	"producer.max.in.flight.requests.per.connection": {"2", func(c *Config) any { return c.Producer.MaxInFlight }, "2"},
	"producer.retries":                               {"18", func(c *Config) any { return c.Producer.Retries }, "18"},
	"producer.linger.ms":                             {"19", func(c *Config) any { return c.Batch.Linger }, "19ms"},
	"producer.batch.size":                            {"2000000", func(c *Config) any { return c.Producer.BatchBytes }, "2000000"},
	"producer.max.request.size":                      {"2048", func(c *Config) any { return c.Producer.MaxRequestBytes }, "2048"},
	"producer.buffer.memory":                         {"20", func(c *Config) any { return c.Batch.BufferBytes }, "20"},
	"producer.delivery.timeout.ms":                   {"40000", func(c *Config) any { return c.Producer.DeliveryTimeout }, "40s"},
	"producer.request.timeout.ms":                    {"250", func(c *Config) any { return c.Producer.RequestTimeout }, "250ms"},
	"broker.silence.limit.ms":                        {"2500", func(c *Config) any { return c.Producer.SilenceLimit }, "2.5s"},
	"produce.timeout.ms":                             {"21", func(c *Config) any { return c.Batch.Timeout }, "21ms"},
	"producer.compression.type":                      {"Snappy", func(c *Config) any { return c.Producer.Compression }, "snappy"},
	"producer.compression.gzip.level":                {"5", nil, "5"}, // the levels are in TestConsistency
	"producer.compression.lz4.level":                 {"5", nil, "5"},
	"producer.compression.zstd.level":                {"5", nil, "5"},

	"consumer.fetch.max.bytes":           {"22", func(c *Config) any { return c.KafkaConsumer.FetchMaxBytes }, "22"},
	"consumer.max.partition.fetch.bytes": {"23", func(c *Config) any { return c.KafkaConsumer.MaxPartitionBytes }, "23"},
	"consumer.session.timeout.ms":        {"240", func(c *Config) any { return c.KafkaConsumer.SessionTimeout }, "240ms"},
	"consumer.group.protocol":            {"CONSUMER", func(c *Config) any { return c.KafkaConsumer.GroupProtocol }, "consumer"},
	"consumer.client.rack":               {"eu-1a", func(c *Config) any { return c.KafkaConsumer.Rack }, "eu-1a"},
}

// TestEverySettingIsStored gives each setting a value that is not its default and looks for it
// where its package reads it. Settings that secure connections, or name files, have tests of their
// own.
func TestEverySettingIsStored(t *testing.T) {
	for _, r := range rows() {
		if strings.Contains(r.name, "ssl.") || strings.Contains(r.name, "sasl.") || strings.Contains(r.name, "security.protocol") || r.oneSide || r.name == "cluster.enable" {
			continue
		}
		c, ok := storedCases[r.name]
		if r.name == "authentication.method" || r.name == "authentication.certificates" || r.name == "authentication.jwt.keys" || r.name == "authentication.kafka.passwords" || r.name == "authentication.kafka.tokens" || strings.HasSuffix(r.name, ".file") {
			continue
		}
		if !ok {
			t.Errorf("%s has no case here", r.name)
			continue
		}
		loaded := load(t, r.name+"="+c.text)
		if c.got == nil {
			continue
		}
		if got := fmt.Sprint(c.got(loaded)); got != c.want {
			t.Errorf("%s=%s: got %s, want %s", r.name, c.text, got, c.want)
		}
		if def := fmt.Sprint(c.got(load(t))); def == c.want {
			t.Errorf("%s: the case's value %s is what holds anyway", r.name, def)
		}
	}
}

func served(c *Config) any { return c.Server.Listeners }

// all shows a setting of the three sides.
func all(of func(kafka.Settings) any) func(*Config) any {
	return func(c *Config) any {
		return fmt.Sprint(of(c.Kafka), " ", of(c.KafkaProduce), " ", of(c.KafkaConsume))
	}
}

func TestOneSideReplacesTheClientSetting(t *testing.T) {
	c := load(t, "client.client.id=c", "producer.client.id=p", "consumer.bootstrap.servers=x:1", "admin.metadata.max.age.ms=5000")
	if got := all(func(s kafka.Settings) any { return s.ClientID })(c); got != "c p c" || c.Producer.ClientID != "p" || c.KafkaConsumer.ClientID != "" {
		t.Errorf("client ids: got %v, %q, %q", got, c.Producer.ClientID, c.KafkaConsumer.ClientID)
	}
	if got := all(func(s kafka.Settings) any { return s.Brokers })(c); got != "[b1:9092] [b1:9092] [x:1]" {
		t.Errorf("brokers: got %v", got)
	}
	if got := all(func(s kafka.Settings) any { return s.MetadataMaxAge })(c); got != "5s 5m0s 5m0s" {
		t.Errorf("ages: got %v", got)
	}
}
