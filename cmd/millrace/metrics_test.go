package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kfake"

	"millrace/internal/testkit"
	"millrace/server/api"
)

// scraped is what one scrape showed.
type scraped map[string]*dto.MetricFamily

// scrape asks as Prometheus does, compressed.
func scrape(t testing.TB, url string) scraped {
	t.Helper()
	req, err := http.NewRequest("GET", url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	text, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// sum adds up the series of a counter or gauge that have the labels
// ("name=value"); of a histogram it adds the counts, or with "sum" the sums.
func (s scraped) sum(t testing.TB, name string, labels ...string) (total float64) {
	t.Helper()
	family := s[name]
	if family == nil {
		t.Fatalf("%s is not shown", name)
	}
next:
	for _, m := range family.GetMetric() {
		has := map[string]bool{"sum": true}
		for _, l := range m.GetLabel() {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		sums := false
		for _, l := range labels {
			if !has[l] {
				continue next
			}
			sums = sums || l == "sum"
		}
		switch h := m.GetHistogram(); {
		case h != nil && sums:
			total += h.GetSampleSum()
		case h != nil:
			total += float64(h.GetSampleCount())
		default:
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
}

// Known traffic, then what every part says of it, exactly.
func TestMetricsAreExact(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		_, url := serve(t, b, "--set=producer.compression.type=gzip", "--set=topics.auto.create=false")
		jsonTopic, binaryTopic := testkit.CreateTopic(t, b, 2), testkit.CreateTopic(t, b, 1)
		value := strings.Repeat("x", 998) // 1000 bytes with its quotes
		bodies := 0
		produce := func(topic, records string, want int) {
			t.Helper()
			body := `{"records":[` + records + `]}`
			bodies += len(body)
			if status, answer := call(t, "POST", url+"/topics/"+topic, body); status != want {
				t.Fatalf("%d %s, want %d", status, answer, want)
			}
		}
		one := `{"value":"` + value + `"}`
		for range 5 {
			produce(jsonTopic, one+","+one+","+one, 200)
		}
		produce(jsonTopic, one+`,{"partition":9},`+one, 200) // its middle record fails
		produce(testkit.Topic(t), one+","+one, 404)
		resp, err := http.Post(url+"/topics/"+binaryTopic, "application/vnd.kafka.binary.v2+json", strings.NewReader(`{"records":[{"value":"AAAA"},{"value":"AAAA"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()

		group := testkit.Group(t)
		base := url + "/consumers/" + group + "/instances/i"
		call(t, "POST", url+"/consumers/"+group, `{"name":"i","format":"json","auto.offset.reset":"earliest"}`)
		call(t, "POST", base+"/subscription", `{"topics":["`+jsonTopic+`"]}`)
		reads := 0
		testkit.Eventually(t, 30*time.Second, "all records to be read", func() bool {
			call(t, "GET", base+"/records?timeout=1000", "")
			reads++
			return scrape(t, url).sum(t, "millrace_consume_records_total", "format=json") == 17
		})
		call(t, "POST", base+"/offsets", "")
		// The Kafka client tells of batches a moment after they were answered.
		testkit.Eventually(t, 10*time.Second, "all batches to be counted", func() bool {
			return scrape(t, url).sum(t, "millrace_produce_batch_records", "sum") == 19
		})

		s := scrape(t, url)
		f := func(want float64, name string, labels ...string) {
			t.Helper()
			if got := s.sum(t, name, labels...); got != want {
				t.Errorf("%s %v is %v, want %v", name, labels, got, want)
			}
		}
		f(7, "millrace_http_requests_total", "method=POST", "route=/topics/{topic}", "status=200")
		f(1, "millrace_http_requests_total", "method=POST", "route=/topics/{topic}", "status=404")
		f(float64(reads), "millrace_http_requests_total", "route=/consumers/{group}/instances/{instance}/records")
		f(8, "millrace_http_request_duration_seconds", "route=/topics/{topic}")
		f(float64(bodies+len(`{"records":[{"value":"AAAA"},{"value":"AAAA"}]}`)), "millrace_http_request_bytes_total", "route=/topics/{topic}")
		f(1, "millrace_http_errors_total", "error=topic_not_found", "error_code=40401")
		f(1, "millrace_http_errors_total")
		f(0, "millrace_http_requests_in_flight")

		f(17, "millrace_produce_records_total", "format=json")
		f(2, "millrace_produce_records_total", "format=binary")
		f(2, "millrace_produce_failed_records_total", "error=topic_not_found")
		f(1, "millrace_produce_failed_records_total", "error=partition_not_found")
		f(3, "millrace_produce_failed_records_total")
		f(17, "millrace_topic_produced_records_total", "topic="+jsonTopic)
		f(2, "millrace_topic_produced_records_total", "topic="+binaryTopic)
		f(0, "millrace_topic_produced_records_total", "topic=(other)")
		f(0, "millrace_produce_held_bytes")
		f(32<<20, "millrace_produce_held_limit_bytes")
		f(0, "millrace_produce_buffered_records")
		f(0, "millrace_pool_outstanding", "pool=jobs")
		f(8, "millrace_pool_gets_total", "pool=jobs")
		// The two that look at batches, from different places, agree.
		f(s.sum(t, "millrace_produce_batch_bytes"), "millrace_compression_batches_total")
		f(s.sum(t, "millrace_produce_batch_bytes", "sum"), "millrace_compression_input_bytes_total")
		if in, out := s.sum(t, "millrace_compression_input_bytes_total", "codec=gzip"), s.sum(t, "millrace_compression_output_bytes_total", "codec=gzip"); in < 17_000 || out > in/5 {
			t.Errorf("%v bytes became %v", in, out)
		}

		f(0, "millrace_compression_seconds_total", "codec=zstd")
		s.wantSome(t)

		f(17_000, "millrace_consume_bytes_total", "format=json")
		f(17, "millrace_topic_consumed_records_total", "topic="+jsonTopic)
		f(17_000, "millrace_topic_consumed_bytes_total", "topic="+jsonTopic)
		f(17, "millrace_consume_fetched_records_total", "codec=gzip")
		f(1, "millrace_consumer_instances")
		f(2, "millrace_consumer_partitions")
		f(0, "millrace_consumer_lag_records", "group="+group, "topic="+jsonTopic)
		f(1, "millrace_consumer_commits_total", "result=ok")
		f(0, "millrace_consumer_commits_total", "result=failed")
		f(1, "millrace_kafka_reachable")
		for _, client := range []string{"producer", "consumer", "metadata"} {
			if s.sum(t, "millrace_kafka_connects_total", "client="+client) == 0 || s.sum(t, "millrace_kafka_request_duration_e2e_seconds", "client="+client) == 0 {
				t.Errorf("nothing is known of the client %s", client)
			}
		}
	})
}

// wantSome checks figures of which no more is known than that there must be some
// after compressed records were written and read.
func (s scraped) wantSome(t testing.TB) {
	t.Helper()
	for _, series := range [][]string{
		{"millrace_compression_seconds_total", "codec=gzip"},
		{"millrace_pool_gets_total", "pool=buffers"}, // scrapes are compressed
		{"millrace_pool_misses_total", "pool=buffers"},
		{"millrace_pool_gets_total", "pool=fetch_bytes"},
		{"millrace_pool_kept_bytes", "pool=fetch_bytes"},
	} {
		if s.sum(t, series[0], series[1:]...) <= 0 {
			t.Errorf("%v is nothing", series)
		}
	}
}

// However many topics, groups and paths there are, the series stay few, when
// every route has been used as well, and refused.
func TestSeriesAreBounded(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	const topics, groups = 5000, 1000
	names := make([]string, topics)
	for i := range names {
		names[i] = fmt.Sprintf("topic-%05d", i)
	}
	b := testkit.Fake(t, kfake.SeedTopics(1, names...))
	_, url := serve(t, b.Broker, "--set=consumer.instances.max=20000", "--set=consumer.lag.interval.ms=500", "--set=admin.enable=true",
		"--set=overload.delay.ms=0") // the crowd is no overload, whatever else this machine does
	c := &crowd{t: t, url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 500}}}
	defer c.client.CloseIdleConnections()
	// The Kafka client learns new topics four times a second, as many as wait.
	c.each(topics, 250, func(i int) {
		c.send(200, "POST", "/topics/"+names[i], "application/vnd.kafka.json.v2+json", `{"records":[{"value":1},{"value":2}]}`)
		if i%10 == 0 {
			c.send(404, "GET", fmt.Sprintf("/no/such/path/%d", i), "", "")
			c.send(405, fmt.Sprintf("METHOD%d", i), "/topics", "", "")
		}
	})
	// A client in its group needs connections of its own, so most of the groups
	// have an assignment; lag is of both.
	c.each(groups, 50, func(i int) {
		const v2 = "application/vnd.kafka.v2+json"
		base := fmt.Sprintf("/consumers/group-%d", i)
		c.send(200, "POST", base, v2, `{"name":"i","format":"json","auto.offset.reset":"earliest"}`)
		if base += "/instances/i"; i%10 == 0 {
			c.send(204, "POST", base+"/subscription", v2, `{"topics":["`+names[i]+`"]}`)
		} else {
			c.send(204, "POST", base+"/assignments", v2, `{"partitions":[{"topic":"`+names[i]+`","partition":0}]}`)
		}
		if i%10 < 2 { // the others have the records before them
			c.send(200, "GET", base+"/records?max_bytes=1", "", "")
		}
	})
	used := c.everyRoute(names[0])

	var s scraped
	testkit.Eventually(t, 60*time.Second, "all records to be counted and all groups to be behind", func() bool {
		s = scrape(t, url)
		return s.sum(t, "millrace_topic_produced_records_total") >= 2*topics && s["millrace_consumer_lag_records"] != nil &&
			len(s["millrace_consumer_lag_records"].GetMetric()) == 101 &&
			s.sum(t, "millrace_consumer_lag_records", "group=(other)") > groups/2
	})
	shown := map[string]bool{}
	for _, m := range s["millrace_http_requests_total"].GetMetric() {
		shown[labelled(m, "method")+" "+labelled(m, "route")] = true
	}
	for _, r := range used {
		if !shown[r] {
			t.Errorf("%s was used and is not shown", r)
		}
	}
	series := s.series()
	t.Logf("%d series, %d routes", series, len(shown))
	if series >= topics {
		t.Errorf("%d series", series)
	}
	if own := len(s["millrace_topic_produced_records_total"].GetMetric()); own != 101 {
		t.Errorf("%d topics have a series of their own", own)
	}
	if got := s.sum(t, "millrace_topic_produced_records_total", "topic=(other)"); got < topics {
		t.Errorf("only %v records are those of other topics", got)
	}
}

// series counts the time series as Prometheus does.
func (s scraped) series() (n int) {
	for _, family := range s {
		for _, m := range family.GetMetric() {
			n += 1 + len(m.GetSummary().GetQuantile())
			if h := m.GetHistogram(); h != nil {
				n += len(h.GetBucket()) + 1
			}
		}
	}
	return n
}

func labelled(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// crowd is many clients.
type crowd struct {
	t      *testing.T
	url    string
	client *http.Client
}

// each does something for 0 to n-1, some at a time.
func (c *crowd) each(n, at int, do func(i int)) {
	work := make(chan int)
	var all sync.WaitGroup
	for range at {
		all.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
}

// send makes a request that is to be answered with a status; 0 stands for any. It leaves a
// response without an end after a moment.
func (c *crowd) send(want int, method, path, contentType, body string) {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if strings.HasSuffix(path, "/records") || strings.Contains(path, "/records?") {
		req.Header.Set("Accept", "application/vnd.kafka.json.v2+json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Errorf("%s %s: %v", method, path, err)
		return
	}
	defer resp.Body.Close()
	if resp.Header.Get("Cache-Control") == "no-store" && resp.ContentLength < 0 {
		return // a stream, which has begun
	}
	text, _ := io.ReadAll(resp.Body)
	if want != 0 && resp.StatusCode != want {
		c.t.Errorf("%s %s: %d %.300s, want %d", method, path, resp.StatusCode, text, want)
	}
}

// everyRoute uses every route, once for a resource that exists and once for one that does not.
func (c *crowd) everyRoute(topic string) (used []string) {
	everything := api.New(api.Settings{Admin: true, UI: true}, api.Parts{Logger: slog.New(slog.DiscardHandler)})
	for route := range everything.Routes() {
		method, path := route.Method, route.Path
		for _, m := range []string{method, "HEAD"} {
			if m == "HEAD" && method != "GET" {
				continue
			}
			used = append(used, m+" "+path)
			c.send(0, m, strings.NewReplacer("{topic}", topic, "{partition}", "0", "{group}", "group-1", "{instance}", "i", "{file}", "app.js").Replace(path), "", "")
			c.send(0, m, strings.NewReplacer("{topic}", "nowhere", "{partition}", "77", "{group}", "none", "{instance}", "none", "{file}", "none").Replace(path), "", "")
		}
	}
	return used
}

func TestMetricsCommand(t *testing.T) {
	t.Parallel()
	p := testkit.StartMillrace(t, "metrics")
	if code := p.WaitExit(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"millrace_http_requests_total counter {method,route,status}\n    Requests answered", "# Topics\n"} {
		if !strings.Contains(p.Output(), want) {
			t.Errorf("it does not say %q:\n%s", want, p.Output())
		}
	}
}

// The time that requests wait for Kafka is measured, of one in 16 by chance.
func TestWaitForKafkaIsTimed(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	_, url := serve(t, b.Broker, "--set=producer.linger.ms=1")
	testkit.Eventually(t, 30*time.Second, "a request to be timed", func() bool {
		for range 16 {
			call(t, "POST", url+"/topics/t", `{"records":[{"value":1}]}`)
		}
		return scrape(t, url).sum(t, "millrace_produce_wait_seconds") > 0
	})
	if s := scrape(t, url); s.sum(t, "millrace_produce_wait_seconds", "sum") <= 0 {
		t.Error("it took no time")
	}
}

// A reader that stops is seen to fall behind, by /metrics, within an interval.
func TestStoppedReaderFallsBehind(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	_, url := serve(t, b.Broker, "--set=consumer.lag.interval.ms=100")
	produce := func() {
		t.Helper()
		if status, answer := call(t, "POST", url+"/topics/t", `{"records":[{"value":1},{"value":2}]}`); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	lag := func(want float64) {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, "the lag to show", func() bool {
			s := scrape(t, url)
			return s["millrace_consumer_lag_records"] != nil && s.sum(t, "millrace_consumer_lag_records", "group=g", "topic=t") == want
		})
	}
	call(t, "POST", url+"/consumers/g", `{"name":"i","format":"json","auto.offset.reset":"earliest"}`)
	call(t, "POST", url+"/consumers/g/instances/i/subscription", `{"topics":["t"]}`)
	produce()
	lag(2) // it has never read
	testkit.Eventually(t, 30*time.Second, "the records to be read", func() bool {
		_, body := call(t, "GET", url+"/consumers/g/instances/i/records?timeout=1000", "")
		return strings.Contains(body, `"offset":1`)
	})
	lag(0)
	produce()
	lag(2)
	produce()
	lag(4)
}

// Pollers that wait for a change are counted and do not count as slow; streams
// are counted by what they send.
func TestWaitsAndStreams(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	_, url := serve(t, b.Broker)
	resp, err := http.Get(url + "/topics/t")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if status, _ := call(t, "GET", url+"/topics/t?wait="+resp.Header.Get("ETag")+",300ms", ""); status != 304 {
		t.Errorf("a wait for nothing is answered %d", status)
	}
	if resp, err = http.Get(url + "/metadata/changes"); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	s := scrape(t, url)
	f := func(want float64, name string, labels ...string) {
		t.Helper()
		if got := s.sum(t, name, labels...); got != want {
			t.Errorf("%s %v is %v, want %v", name, labels, got, want)
		}
	}
	f(1, "millrace_http_requests_total", "route=/topics/{topic}", "status=304")
	f(1, "millrace_http_requests_total", "route=/topics/{topic}", "status=200")
	f(1, "millrace_http_request_duration_seconds", "route=/topics/{topic}")
	testkit.Eventually(t, 10*time.Second, "what the stream has sent to be counted", func() bool {
		return scrape(t, url).sum(t, "millrace_http_response_bytes_total", "route=/metadata/changes") >= 20
	})
}
