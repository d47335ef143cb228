package config

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
)

// TestSecuredCluster connects to a broker that wants TLS and SCRAM with what a
// properties file says, and is turned away with another password.
func TestSecuredCluster(t *testing.T) {
	a := newAuthority(t, "localhost")
	dir := t.TempDir()
	_, trust := a.jksStores(t, dir, storePassword)
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "alice", `pa"ss`),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.leaf.Raw, a.root.Raw}, PrivateKey: a.key}}}),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	for secret, welcome := range map[string]bool{`pa\"ss`: true, `hunter2`: false} {
		file := writeFile(t, dir, "kafka-rest.properties", strings.Join([]string{
			"bootstrap.servers=SASL_SSL://" + cluster.ListenAddrs()[0],
			"client.sasl.mechanism=SCRAM-SHA-512",
			`client.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \`,
			`    username="alice" password="` + strings.ReplaceAll(secret, `\`, `\\`) + `";`,
			"client.ssl.truststore.location=" + trust,
			"client.ssl.truststore.password=" + storePassword,
		}, "\n"))
		c, err := Load(Sources{File: file})
		if err != nil {
			t.Fatal(err)
		}
		client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...), kgo.DialTLSConfig(c.Kafka.TLS), kgo.SASL(c.Kafka.SASL))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err = client.Ping(ctx)
		cancel()
		client.Close()
		if (err == nil) != welcome {
			t.Errorf("welcome %v: got %v", welcome, err)
		}
	}
}

// TestDefaultsAreThoseOfTheClient keeps the two places with defaults together.
func TestDefaultsAreThoseOfTheClient(t *testing.T) {
	if got, want := load(t).Producer, kafka.DefaultProducer(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestEveryAllowedValueMakesAClient takes each setting of Kafka's clients to
// the ends of its range: what check-config lets through must start.
func TestEveryAllowedValueMakesAClient(t *testing.T) {
	for _, set := range [][]string{
		nil,
		{"client.request.timeout.ms=100"},
		{"client.request.timeout.ms=900000"},
		{"client.metadata.max.age.ms=1000"},
		{"client.metadata.max.age.ms=3600000"},
		{"client.client.id=" + strings.Repeat("x", 256)},
		{"client.socket.connection.setup.timeout.ms=1"},
		{"producer.linger.ms=60000"},
		{"producer.batch.size=0"},
		{"producer.batch.size=104857600"},
		{"producer.max.request.size=1024"},
		{"producer.max.request.size=104857600"},
		{"producer.buffer.memory=1"},
		{"producer.buffer.memory=9223372036854775807"},
		{"producer.delivery.timeout.ms=1000", "producer.request.timeout.ms=100"},
		{"producer.delivery.timeout.ms=2147483647"},
		{"producer.request.timeout.ms=900000"},
		{"producer.retries=0"},
		{"producer.acks=0"},
		{"producer.acks=1", "producer.max.in.flight.requests.per.connection=2147483647"},
		{"compression.type=gzip", "producer.compression.gzip.level=9"},
		{"compression.type=lz4", "producer.compression.lz4.level=17"},
		{"compression.type=zstd", "producer.compression.zstd.level=-131072"},
		{"compression.type=zstd", "producer.compression.zstd.level=22"},
		{"consumer.fetch.max.bytes=1"},
		{"consumer.fetch.max.bytes=536870912"},
		{"consumer.max.partition.fetch.bytes=536870912"},
		{"consumer.session.timeout.ms=100"},
		{"consumer.session.timeout.ms=2147483647"},
		{"consumer.group.protocol=consumer"},
	} {
		c := load(t, set...)
		admin, err := kafka.NewAdmin(c.Kafka)
		if err != nil {
			t.Errorf("%q: %v", set, err)
			continue
		}
		admin.Close()
		producer, err := kafka.NewSender(c.KafkaProduce, c.Producer)
		if err != nil {
			t.Errorf("%q: %v", set, err)
			continue
		}
		producer.Close()
		opts, err := kafka.ConsumerOpts(c.KafkaConsume, c.KafkaConsumer)
		if err != nil {
			t.Errorf("%q: %v", set, err)
			continue
		}
		consumer, err := kgo.NewClient(append(opts, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"))...)
		if err != nil {
			t.Errorf("%q: %v", set, err)
			continue
		}
		consumer.Close()
	}
}

// TestNoPrintingShowsASecret prints a loaded configuration in every way.
func TestNoPrintingShowsASecret(t *testing.T) {
	c := load(
		t, "client.security.protocol=SASL_PLAINTEXT", "client.sasl.mechanism=PLAIN", "ssl.key.password=hunter2", "client.ssl.keystore.password=hunter2",
		`client.sasl.jaas.config=PlainLoginModule required username="u" password="hunter2";`, "producer.ssl.keystore.password=hunter2",
	)
	var effective strings.Builder
	if err := c.WriteEffective(&effective); err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprintf("%v", c), fmt.Sprintf("%+v", *c), fmt.Sprintf("%#v", *c), effective.String()} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("a secret is shown: %s", printed)
		}
	}
}
