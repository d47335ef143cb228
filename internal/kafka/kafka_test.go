package kafka

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// testContext ends a test that hangs well before go test does.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newCluster(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, Settings) {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, Settings{Brokers: cluster.ListenAddrs()}
}

// newProducer returns a client of the library for records to read.
func newProducer(t *testing.T, s Settings, c kgo.Compressor) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.DisableClientMetrics(), kgo.SeedBrokers(s.Brokers...), kgo.WithCompressor(c), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func newConsumer(t *testing.T, s Settings, topic string) *kgo.Client {
	t.Helper()
	opts, err := ConsumerOpts(s, DefaultConsumer())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, kgo.ConsumeTopics(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestCompression produces one compressible batch with each codec at each of
// Kafka's levels and reads back what the broker stored: the codec from the
// batch's attributes, and the value.
func TestCompression(t *testing.T) {
	_, settings := newCluster(t, kfake.SeedTopics(1, "c"))
	consumer := newConsumer(t, settings, "c")
	ctx := testContext(t)

	f := func(codec Codec, level int, want uint8) {
		t.Helper()
		producer := newProducer(t, settings, newCompressor(t, codec, level))
		value := []byte(string(codec) + strconv.Itoa(level) + strings.Repeat(" to be compressed", 100))
		record := &kgo.Record{Topic: "c", Partition: 0, Value: value}
		if err := producer.ProduceSync(ctx, record).FirstErr(); err != nil {
			t.Fatalf("%s at %d: %v", codec, level, err)
		}
		fetches := consumer.PollRecords(ctx, 1)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got := fetches.Records()[0]
		if got.Attrs.CompressionType() != want {
			t.Errorf("%s at %d was stored with codec %d, not %d", codec, level, got.Attrs.CompressionType(), want)
		}
		if !bytes.Equal(got.Value, value) {
			t.Errorf("%s at %d changed the value to %q", codec, level, got.Value)
		}
		got.Recycle()
	}
	f("", 0, 0)
	f(None, 0, 0)
	f(Gzip, -1, 1)
	for level := range 10 {
		f(Gzip, level, 1)
	}
	f(Snappy, 0, 2)
	for level := range 18 {
		f(LZ4, level, 3)
	}
	for _, level := range []int{-131072, -1, 0, 1, 2, 3, 5, 6, 9, 10, 19, 22} {
		f(Zstd, level, 4)
	}
}

func TestSenderRefuses(t *testing.T) {
	base := Settings{Brokers: []string{"127.0.0.1:1"}}
	f := func(want string, base Settings, change func(*Producer)) {
		t.Helper()
		p := DefaultProducer()
		change(&p)
		client, err := NewSender(base, p)
		if err == nil {
			client.Close()
			t.Errorf("no error, want %q", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	f("no brokers", Settings{}, func(*Producer) {})
	f("acks is 2", base, func(p *Producer) { p.Acks = 2 })
	f("needs acks -1", base, func(p *Producer) { p.Acks = 1 })
	f("1 to 5 requests in flight", base, func(p *Producer) { p.MaxInFlight = 6 })
	f("-1 requests in flight", base, func(p *Producer) { p.Idempotent, p.MaxInFlight = false, -1 })
	f(`unknown compression "brotli"`, base, func(p *Producer) { p.Compression = "brotli" })
	f("gzip has no level 10", base, func(p *Producer) { p.Compression, p.Level = Gzip, 10 })
	f("lz4 has no level 18", base, func(p *Producer) { p.Compression, p.Level = LZ4, 18 })
	f("zstd has no level 23", base, func(p *Producer) { p.Compression, p.Level = Zstd, 23 })
	f("batches of 1073741824 bytes", base, func(p *Producer) { p.MaxRequestBytes = 1 << 30 })

	if _, err := ConsumerOpts(base, Consumer{GroupProtocol: "eager"}); err == nil || !strings.Contains(err.Error(), `"eager"`) {
		t.Errorf("group protocol eager: %v", err)
	}
	if _, err := ConsumerOpts(base, Consumer{FetchMaxBytes: -1}); err == nil {
		t.Error("fetches of -1 bytes are accepted")
	}
}

// TestSenderOptions checks the library's options on which package batch relies: the client has no
// producer id of its own, and no acks but those of the settings in requests without.
func TestSenderOptions(t *testing.T) {
	for acks, want := range map[int]kgo.Acks{0: kgo.NoAck(), 1: kgo.LeaderAck(), -1: kgo.AllISRAcks()} {
		sender, err := NewSender(Settings{Brokers: []string{"127.0.0.1:1"}}, Producer{Acks: acks})
		if err != nil {
			t.Fatal(err)
		}
		f := func(name string, opt, want any) {
			t.Helper()
			if got := sender.client.OptValue(opt); got != want {
				t.Errorf("%s is %v (%T), want %v", name, got, got, want)
			}
		}
		f("acks", kgo.RequiredAcks, want)
		f("idempotence off", kgo.DisableIdempotentWrite, true)
		f("topic creation", kgo.AllowAutoTopicCreation, false)
		f("client telemetry", kgo.DisableClientMetrics, true)
		sender.Close()
	}
}

// TestClientsWork drives the other combinations against a broker: they must be
// accepted by the library together, not only one by one.
func TestClientsWork(t *testing.T) {
	cluster, settings := newCluster(t, kfake.SeedTopics(1, "t"))
	ctx := testContext(t)
	producer := newProducer(t, settings, nil)
	if err := producer.ProduceSync(ctx, &kgo.Record{Topic: "t"}, &kgo.Record{Topic: "t"}, &kgo.Record{Topic: "t"}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var software string
	cluster.ControlKey(int16(kmsg.ApiVersions), func(r kmsg.Request) (kmsg.Response, error, bool) {
		if v, ok := r.(*kmsg.ApiVersionsRequest); ok {
			software = v.ClientSoftwareName
		}
		return nil, nil, false
	})
	admin, err := NewAdmin(settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if software != "millrace" {
		t.Errorf("the broker sees the client software %q", software)
	}
	for _, protocol := range []string{"classic", "consumer"} {
		opts, err := ConsumerOpts(settings, Consumer{GroupProtocol: protocol})
		if err != nil {
			t.Fatal(err)
		}
		client, err := kgo.NewClient(append(opts, kgo.ConsumerGroup("g-"+protocol), kgo.ConsumeTopics("t"))...)
		if err != nil {
			t.Fatal(err)
		}
		if got := client.PollRecords(ctx, 1); got.Err() != nil || got.NumRecords() != 1 {
			t.Errorf("protocol %s: %d records, error %v", protocol, got.NumRecords(), got.Err())
		}
		client.Close()
	}
}

func TestLogger(t *testing.T) {
	f := func(level slog.Level, want kgo.LogLevel) {
		t.Helper()
		log := slog.New(slog.NewTextHandler(new(bytes.Buffer), &slog.HandlerOptions{Level: level}))
		if got := newLogger(log).Level(); got != want {
			t.Errorf("a log at %v asks the library for %v, want %v", level, got, want)
		}
	}
	f(levelTrace, kgo.LogLevelDebug)
	f(slog.LevelDebug, kgo.LogLevelInfo)
	f(slog.LevelInfo, kgo.LogLevelWarn)
	f(slog.LevelWarn, kgo.LogLevelWarn)
	f(slog.LevelError, kgo.LogLevelError)
	f(slog.LevelError+1, kgo.LogLevelNone)

	var out bytes.Buffer
	log := newLogger(slog.New(slog.NewTextHandler(&out, nil)))
	log.Log(kgo.LogLevelWarn, "cannot reach broker", "addr", "h:1")
	log.Log(kgo.LogLevelInfo, "metadata update")
	log.Log(kgo.LogLevelNone, "never")
	if got := out.String(); !strings.Contains(got, `level=WARN msg="cannot reach broker" addr=h:1`) || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
}

func TestBackoff(t *testing.T) {
	for fails := range 100 {
		got := Backoff(fails)
		if got < 80*time.Millisecond || got > 1200*time.Millisecond {
			t.Errorf("back-off %d is %v", fails, got)
		}
	}
	if first, later := Backoff(1), Backoff(5); later < 6*first {
		t.Errorf("back-off grows from %v to %v only", first, later)
	}
}

func TestSoftwareVersion(t *testing.T) {
	if v := softwareVersion(); notVersion.MatchString(v) || v == "" {
		t.Errorf("Kafka refuses the version %q", v)
	}
}
