package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/internal/kafka"
)

// brokers is what every sound configuration must hold.
const brokers = "bootstrap.servers=b1:9092"

// load loads sound settings given on the command line.
func load(t *testing.T, set ...string) *Config {
	t.Helper()
	c, err := Load(Sources{Preset: []string{brokers}, Set: set})
	if err != nil {
		t.Fatalf("%q: %v", set, err)
	}
	return c
}

// loadFault loads settings that have one fault and returns its text.
func loadFault(t *testing.T, set ...string) string {
	t.Helper()
	_, err := Load(Sources{Preset: []string{brokers}, Set: set})
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("%q: got error %v, want faults", set, err)
	}
	if len(faults) != 1 {
		t.Errorf("%q: got %d faults, want 1:\n%v", set, len(faults), err)
	}
	return err.Error()
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadPrecedence(t *testing.T) {
	src := Sources{
		Preset:  []string{brokers, "id=preset", "host.name=preset", "producer.linger.ms=1", "log.level=debug"},
		File:    writeFile(t, t.TempDir(), "kafka-rest.properties", "id=file\nhost.name = file\nproducer.linger.ms=2\nproducer.linger.ms=3\n"),
		Environ: []string{"PATH=/bin", "KAFKA_REST_ID=env", "KAFKA_REST_HOST_NAME=env"},
		Set:     []string{"id=set"},
	}
	c, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "set" || c.Server.HostName != "env" || c.Batch.Linger != 3*time.Millisecond || c.LogLevel.String() != "DEBUG" {
		t.Errorf("got id %q, host %q, linger %v, level %v", c.ID, c.Server.HostName, c.Batch.Linger, c.LogLevel)
	}
}

func TestLoadAliasIsTheSameSetting(t *testing.T) {
	file := writeFile(t, t.TempDir(), "f", "compression.type=gzip\n"+brokers)
	c, err := Load(Sources{File: file})
	if err != nil || c.Producer.Compression != kafka.Gzip {
		t.Errorf("got %q, %v, want gzip", c.Producer.Compression, err)
	}
	c, err = Load(Sources{File: file, Set: []string{"producer.compression.type=zstd"}})
	if err != nil || c.Producer.Compression != kafka.Zstd {
		t.Errorf("got %q, %v, want zstd", c.Producer.Compression, err)
	}
}

func TestLoadReportsAllFaultsWithTheirPlaces(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, "kafka-rest.properties", strings.Join([]string{
		"# a comment",
		"producer.linger.ms=soon",
		"listeners = ftp://x:1",
		"producer.acks=7",
		"bad=\\u00",
		"prodcer.retries=3",
		"producer.retries = \\",
		"   -1",
		"linger.ms=5",
		"client.sasl.jaas.config=${file:/etc/secret:jaas}",
	}, "\n"))
	_, err := Load(Sources{
		File:    file,
		Environ: []string{"KAFKA_REST_LOG_LEVEL=loud", "KAFKA_REST_LISTENER=http://:1"},
		Set:     []string{"request.log=yes", "nonsense"},
	})
	want := []string{
		file + `:2: producer.linger.ms: "soon" is not a whole number; allowed: milliseconds from 0 to 60000`,
		file + `:3: listeners: "ftp://x:1" is neither http:// nor https://; allowed: http://host:port or https://host:port, separated by commas; no host means all interfaces, port 0 a free one`,
		file + `:4: producer.acks: "7" is not supported; allowed: all, -1, 0, 1`,
		file + `:5: a \u escape needs four hexadecimal digits`,
		file + `:6: prodcer.retries: is not a setting; the nearest is producer.retries`,
		file + `:7: producer.retries: -1 is out of range; allowed: a whole number, 0 or more`,
		file + `:9: linger.ms: is not a setting; the nearest is producer.linger.ms`,
		file + `:10: client.sasl.jaas.config: holds an indirection like ${file:…}, which is not supported; allowed: the value itself`,
		`KAFKA_REST_LISTENER: is not a setting; the nearest is KAFKA_REST_LISTENERS`,
		`KAFKA_REST_LOG_LEVEL: "loud" is not a level; allowed: debug, info, warn, error`,
		`--set argument 2 is not of the form name=value`,
		`--set request.log: "yes" is neither true nor false; allowed: true or false`,
		`bootstrap.servers: is missing; allowed: ` + bootstraps.allowed,
	}
	if err == nil {
		t.Fatal("got no error")
	}
	got := strings.Split(err.Error(), "\n")
	for i := range max(len(got), len(want)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("fault %d:\n got %s\nwant %s", i, g, w)
		}
	}
}

func TestLoadUnreadableFile(t *testing.T) {
	_, err := Load(Sources{File: filepath.Join(t.TempDir(), "none.properties")})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "cannot read the properties file") {
		t.Errorf("got %v", err)
	}
}

func TestLoadUnknownNames(t *testing.T) {
	for name, nearest := range map[string]string{
		"bootstrap.server":              "bootstrap.servers",
		"compresion.type":               "producer.compression.type",
		"acks":                          "producer.acks",
		"fetch.max.bytes":               "consumer.fetch.max.bytes",
		"sasl.mechanism":                "client.sasl.mechanism",
		"client.security.protocoll":     "client.security.protocol",
		"producer.compresssion.type":    "producer.compression.type",
		"consumer.instance.timeout":     "consumer.instance.timeout.ms",
		"producer.sasl.mechansm":        "producer.sasl.mechanism",
		"client.ssl.truststore.locaton": "client.ssl.truststore.location",
		"Listeners":                     "listeners",
	} {
		if got, want := loadFault(t, name+"=x"), "--set "+name+": is not a setting; the nearest is "+nearest; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got := loadFault(t, "qqqqqqqqqqqqqqqqqqqqqqqqqq=x"); !strings.Contains(got, "`millrace settings`") {
		t.Errorf("a name near to nothing: got %s", got)
	}
}

func TestLoadNotUsed(t *testing.T) {
	file := writeFile(t, t.TempDir(), "f", brokers+"\nzookeeper.connect=z:2181\nproducer.interceptor.classes=a.B\nconsumer.max.poll.records=7\nconfluent.license=s3cret\n")
	c, err := Load(Sources{
		File: file,
		Environ: []string{
			"KAFKA_REST_JMX_OPTS=-D", "KAFKA_REST_HEAP_OPTS=-Xmx1g", "KAFKA_REST_OPTS=", "KAFKA_REST_LOG4J_ROOT_LOGLEVEL=INFO",
			"KAFKA_REST_CLIENT_SASL_LOGIN_CLASS=a.B", "KAFKA_REST_CONFLUENT_METADATA_BOOTSTRAP_SERVER_URLS=x",
			"KAFKA_REST_PORT=tcp://10.0.0.1:8082", "KAFKA_REST_SERVICE_HOST=10.0.0.1", "KAFKA_REST_PORT_8082_TCP_ADDR=10.0.0.1",
		},
		Set: []string{"consumer.threads=50", "api.v2.enable=true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"zookeeper.connect (" + file + ":2)", "producer.interceptor.classes (" + file + ":3)",
		"consumer.max.poll.records (" + file + ":4)", "confluent.license (" + file + ":5)",
		"KAFKA_REST_CLIENT_SASL_LOGIN_CLASS", "KAFKA_REST_CONFLUENT_METADATA_BOOTSTRAP_SERVER_URLS", "KAFKA_REST_HEAP_OPTS",
		"KAFKA_REST_JMX_OPTS", "KAFKA_REST_LOG4J_ROOT_LOGLEVEL", "KAFKA_REST_OPTS",
		"KAFKA_REST_PORT", "KAFKA_REST_PORT_8082_TCP_ADDR", "KAFKA_REST_SERVICE_HOST",
		"consumer.threads (--set)", "api.v2.enable (--set)",
	}
	var got []string
	for _, n := range c.NotUsed {
		name, why, _ := strings.Cut(n, ": ")
		if why == "" || strings.Contains(n, "s3cret") {
			t.Errorf("%q has no reason, or shows a value", n)
		}
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLoadRefusesWhatWouldBeDangerousToIgnore(t *testing.T) {
	for _, set := range []string{
		"csrf.prevention.enable=true", "producer.transactional.id=t", "port=8082",
		"kafka.rest.resource.extension.class=io.confluent.kafkarest.security.KafkaRestSecurityResourceExtension",
	} {
		name, _, _ := strings.Cut(set, "=")
		if got := loadFault(t, set); !strings.HasPrefix(got, "--set "+name+": ") || !strings.Contains(got, "allowed: ") {
			t.Errorf("%s: got %s", set, got)
		}
	}
}

// TestConsistency checks the rules over several settings: what each
// combination is reported as, or comes to.
func TestConsistency(t *testing.T) {
	faults := []struct {
		set  []string
		want string
	}{
		{[]string{"producer.acks=1", "producer.enable.idempotence=true"}, "--set producer.enable.idempotence: true conflicts with producer.acks=1"},
		{[]string{"producer.retries=0", "producer.enable.idempotence=true"}, "conflicts with producer.retries=0"},
		{[]string{"producer.max.in.flight.requests.per.connection=6"}, "--set producer.max.in.flight.requests.per.connection: 6 is out of range"},
		{[]string{"producer.delivery.timeout.ms=29999"}, "30000, or more"},
		{[]string{"consumer.group.protocol=consumer", "consumer.session.timeout.ms=6000"}, "--set consumer.session.timeout.ms: has no meaning"},
		{[]string{"producer.compression.gzip.level=0"}, "--set producer.compression.gzip.level: 0 is out of range"},
		{[]string{"producer.compression.lz4.level=18"}, "a whole number from 1 to 17"},
		{[]string{"listeners=http://a:1,http://a:1"}, "a:1 occurs twice"},
		{[]string{"listeners="}, "listeners: is empty"},
		{[]string{"listeners=http://a"}, "does not say host:port"},
		{[]string{"listeners=http://a:65536"}, "does not say host:port"},
		{[]string{"listeners=https://a:1"}, "ssl.keystore.location: is missing, but a:1 is an https:// listener"},
		{[]string{"producer.acks=x", "producer.enable.idempotence=true"}, "--set producer.acks"}, // and nothing that follows from it
		{[]string{"schema.registry.url=registry:8081"}, "schema.registry.url: entry 1 has no http://"},
		{[]string{"producer.retries=99999999999999999999"}, "99999999999999999999 is out of range"},
	}
	for _, f := range faults {
		if got := loadFault(t, f.set...); !strings.Contains(got, f.want) {
			t.Errorf("%q: got %s, want %s", f.set, got, f.want)
		}
	}
	sound := []struct {
		set  []string
		got  func(*Config) any
		want any
	}{
		{[]string{"producer.acks=1"}, func(c *Config) any { return c.Producer.Idempotent }, false},
		{[]string{"producer.retries=0"}, func(c *Config) any { return c.Producer.Idempotent }, false},
		{nil, func(c *Config) any { return c.Producer.Idempotent }, true},
		{[]string{"producer.max.in.flight.requests.per.connection=6", "producer.enable.idempotence=false"}, func(c *Config) any { return c.Producer.MaxInFlight }, 6},
		{[]string{"producer.request.timeout.ms=200000"}, func(c *Config) any { return c.Producer.DeliveryTimeout }, 200 * time.Second},
		{[]string{"client.request.timeout.ms=5000"}, func(c *Config) any { return c.Producer.RequestTimeout }, 5 * time.Second},
		{[]string{"compression.type=gzip"}, func(c *Config) any { return c.Producer.Level }, 0},
		{[]string{"compression.type=gzip", "producer.compression.gzip.level=9"}, func(c *Config) any { return c.Producer.Level }, 9},
		{[]string{"compression.type=lz4", "producer.compression.gzip.level=8"}, func(c *Config) any { return c.Producer.Level }, 0},
		{[]string{"compression.type=zstd", "producer.compression.zstd.level=-5"}, func(c *Config) any { return c.Producer.Level }, -5},
		{[]string{"advertised.listeners=https://a:1,http://b:2"}, func(c *Config) any { return c.Server.Advertised }, "https://a:1"},
		{[]string{"listeners=http://:0, HTTP://[::1]:0/"}, func(c *Config) any { return fmt.Sprint(c.Server.Listeners) }, "[{:0 <nil> 15} {[::1]:0 <nil> 15}]"},
	}
	for _, s := range sound {
		if got := s.got(load(t, s.set...)); got != s.want {
			t.Errorf("%q: got %v, want %v", s.set, got, s.want)
		}
	}
}

// An allowed origin or method that no request has is told of: the node starts, and allows less than
// was meant.
func TestLoadTellsOfOriginsThatNobodyHas(t *testing.T) {
	c, err := Load(Sources{Set: []string{
		brokers, `access.control.allow.origin=GET,"https://a.example",https://b.example/,https://*.c.example,http://localhost:*`,
		"access.control.allow.methods='GET',post",
	}})
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Join(c.NotUsed, "\n")
	for _, want := range []string{`"GET"`, `"\"https://a.example\""`, `"https://b.example/"`, `"'GET'"`} {
		if !strings.Contains(told, "no request has "+want) {
			t.Errorf("%s is not told of:\n%s", want, told)
		}
	}
	if len(c.NotUsed) != 4 {
		t.Errorf("told are\n%s", told)
	}
}
