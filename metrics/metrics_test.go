package metrics

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kgo"
)

// full returns metrics that have all been written to and have a source.
func full(t testing.TB) *Metrics {
	t.Helper()
	m := New(Settings{Topics: 2}, Build{Version: "v1", Revision: "abc"})
	m.Route("GET", "/topics").Done(200, 3*time.Millisecond, 0, 10)
	m.Failure("overloaded", 50301).Requests.Add(1)
	m.Format("json").Produced.Add(5)
	m.ObserveWait(time.Millisecond)
	for _, client := range []string{ProducerClient, ConsumerClient, MetadataClient, AdminClient} {
		h := m.clients[client]
		broker := kgo.BrokerMetadata{NodeID: 1}
		h.OnNewClient(nil)
		h.OnBrokerConnect(broker, time.Millisecond, nil, nil)
		h.OnBrokerConnect(broker, time.Millisecond, nil, errors.New("refused"))
		h.OnBrokerE2E(broker, 0, kgo.BrokerE2E{BytesWritten: 10, BytesRead: 20, TimeToWrite: time.Millisecond})
		h.OnBrokerE2E(broker, 0, kgo.BrokerE2E{WriteErr: io.ErrClosedPipe})
		h.OnBrokerE2E(broker, 0, kgo.BrokerE2E{ReadErr: io.ErrUnexpectedEOF})
		h.OnBrokerThrottle(broker, time.Millisecond, true)
		h.OnProduceBatchWritten(broker, "t", 0, kgo.ProduceBatchMetrics{NumRecords: 4, UncompressedBytes: 100, CompressedBytes: 50})
		h.OnFetchBatchRead(broker, "t", 0, kgo.FetchBatchMetrics{NumRecords: 4, UncompressedBytes: 100, CompressedBytes: 50, CompressionType: 4})
		h.OnBrokerDisconnect(broker, nil)
		h.OnClientClosed(nil)
	}
	m.Watch(Sources{
		Server:      func() Server { return Server{Connections: 3, Draining: true, Expires: time.Unix(2e9, 0)} },
		Producer:    func() Producer { return Producer{Held: 7, Jobs: Pool{Name: "jobs", Gets: 3, Out: 1, KeptBytes: -1}} },
		Buffered:    func() int64 { return 9 },
		Compression: func() []Codec { return []Codec{{Name: "zstd", In: 10, Out: 5, Time: time.Second}} },
		Consumers:   func() Consumers { return Consumers{Instances: 1, Lags: []Lag{{"g", "t", 8}}} },
		Cluster:     func() Cluster { return Cluster{Leased: true, Nodes: 3} },
		Metadata:    func() Metadata { return Metadata{Reachable: true, Known: true, Topics: 4} },
		Schemas:     func() Schemas { return Schemas{Hits: 6, Misses: 2, Cached: 2, Answered: 3, Time: time.Second} },
		Spool:       func() Spool { return Spool{Bytes: 5, Limit: 10, Entries: 1, Oldest: time.Second, Appended: 2} },
		Pools:       func() []Pool { return []Pool{{Name: "fetch", Gets: 1, Out: -1, KeptBytes: 5}} },
		Logins:      func() int { return 2 },
		Audit:       func() (written, lost uint64) { return 3, 1 },
		Quotas:      func(put func(quota, what string, refused uint64)) { put("devices", "requests", 4) },
	})
	return m
}

// scrape writes m as text and parses that.
func scrape(t testing.TB, m *Metrics) (text string, families map[string]*dto.MetricFamily) {
	t.Helper()
	var out bytes.Buffer
	if _, err := m.Write(&out, ""); err != nil {
		t.Fatal(err)
	}
	text = out.String()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&out)
	if err != nil {
		t.Fatal(err)
	}
	return text, families
}

// The scraped metrics agree with the catalogue, in name, type, help and labels.
func TestCatalogIsWhatIsShown(t *testing.T) {
	_, families := scrape(t, full(t))
	for _, g := range Catalog() {
		for _, d := range g.Defs {
			family := families[d.Name]
			if family == nil {
				t.Errorf("%s is in the catalogue and not shown", d.Name)
				continue
			}
			delete(families, d.Name)
			if got := strings.ToLower(family.GetType().String()); got != d.Type {
				t.Errorf("%s is a %s, in the catalogue a %s", d.Name, got, d.Type)
			}
			if family.GetHelp() != d.Help {
				t.Errorf("%s says %q, in the catalogue %q", d.Name, family.GetHelp(), d.Help)
			}
			want := slices.Sorted(slices.Values(d.Labels))
			for _, metric := range family.GetMetric() {
				var got []string
				for _, l := range metric.GetLabel() {
					got = append(got, l.GetName())
				}
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("%s has the labels %v, in the catalogue %v", d.Name, got, want)
				}
			}
		}
	}
	for name := range families {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is shown and not in the catalogue", name)
		}
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total", "process_resident_memory_bytes"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	text, _ := scrape(t, full(t))
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Each form that a scraper may ask for is complete and parses; the protobuf one
// has native histograms.
func TestWriteNegotiates(t *testing.T) {
	m := full(t)
	f := func(accept, wantType string, check func(body []byte)) {
		t.Helper()
		var out bytes.Buffer
		got, err := m.Write(&out, accept)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got, wantType) {
			t.Errorf("Accept %q is answered with %s", accept, got)
		}
		check(out.Bytes())
	}
	f("", "text/plain; version=0.0.4", func(body []byte) {
		if !bytes.Contains(body, []byte("millrace_http_requests_total{method=\"GET\",route=\"/topics\",status=\"200\"} 1\n")) {
			t.Errorf("got %s", body)
		}
	})
	f("text/html,*/*", "text/plain", func([]byte) {})
	f("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", func(body []byte) {
		if !bytes.HasSuffix(body, []byte("# EOF\n")) {
			t.Error("the last line is missing")
		}
	})
	f(string(expfmt.NewFormat(expfmt.TypeProtoDelim)), "application/vnd.google.protobuf", func(body []byte) {
		decoder := expfmt.NewDecoder(bytes.NewReader(body), expfmt.NewFormat(expfmt.TypeProtoDelim))
		for {
			var family dto.MetricFamily
			if err := decoder.Decode(&family); err != nil {
				t.Fatalf("no native histogram: %v", err)
			}
			if family.GetName() == httpDuration.Name {
				h := family.GetMetric()[0].GetHistogram()
				if len(h.GetPositiveSpan()) == 0 || len(h.GetBucket()) != len(secondBuckets) {
					t.Errorf("got %v", h)
				}
				return
			}
		}
	})
}

// Two nodes in one process count apart.
func TestTwoInOneProcess(t *testing.T) {
	a, b := full(t), New(Settings{}, Build{})
	a.Route("GET", "/topics").Done(500, time.Second, 0, 0)
	textA, _ := scrape(t, a)
	textB, _ := scrape(t, b)
	if !strings.Contains(textA, `route="/topics",status="500"`) || strings.Contains(textB, "/topics") {
		t.Error("what one counts is shown by the other, or not at all")
	}
}

// Scrapes run beside traffic; afterwards no count is lost.
func TestScrapesBesideTraffic(t *testing.T) {
	m := New(Settings{Topics: 1}, Build{})
	const workers, each = 4, 2000
	var all sync.WaitGroup
	stop := make(chan struct{})
	var scraper sync.WaitGroup
	scraper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := m.Write(io.Discard, ""); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for w := range workers {
		all.Go(func() {
			r := m.Route("GET", "/topics")
			for range each {
				r.Done(200, time.Millisecond, 1, 2)
				m.Topics().Produced([]string{"a", "b"}[w%2], 1, 10)
			}
		})
	}
	all.Wait()
	close(stop)
	scraper.Wait()
	text, _ := scrape(t, m)
	for _, want := range []string{
		`millrace_http_requests_total{method="GET",route="/topics",status="200"} 8000`,
		`millrace_http_request_duration_seconds_count{method="GET",route="/topics"} 8000`,
		`millrace_http_request_bytes_total{method="GET",route="/topics"} 8000`,
		`millrace_http_response_bytes_total{method="GET",route="/topics"} 16000`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
}

func TestLargestLags(t *testing.T) {
	f := func(n int, lags []Lag, want ...Lag) {
		t.Helper()
		got := largest(lags, n)
		slices.SortFunc(got, func(a, b Lag) int { return int(b.Records - a.Records) })
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	f(2, nil)
	f(2, []Lag{{"g", "t", 1}, {"g", "t", 2}, {"g", "u", 1}}, Lag{"g", "t", 3}, Lag{"g", "u", 1})
	f(1, []Lag{{"a", "t", 5}, {"b", "t", 9}, {"c", "t", 6}}, Lag{Other, Other, 11}, Lag{"b", "t", 9})
	f(0, []Lag{{"a", "t", 5}}, Lag{Other, Other, 5})
	// A group's name may be invalid UTF-8, which no label can hold.
	f(2, []Lag{{"g\xff", "t", 1}, {"g\xfe", "t", 1}}, Lag{"g\uFFFD", "t", 2})
}
