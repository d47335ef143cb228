package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// A stream whose own records fill the memory waits until Kafka has some, whether they have schemas
// or not.
func TestV3StreamWaitsForMemory(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`"type":"JSON"`, `"type":"AVRO","schema":"\"string\""`} {
		t.Run(data, func(t *testing.T) {
			t.Parallel()
			fake := testkit.Fake(t)
			s := start(t, fake.Broker, withRegistry(t, builtIn(t, fake.Broker)), func(o *stackOptions) { o.batch.BufferBytes = 512 << 10 })
			topic := testkit.CreateTopic(t, fake.Broker, 1)
			record := func(size int) string { return `{"value":{` + data + `,"data":"` + strings.Repeat("x", size) + `"}}` }
			s.do(t, "POST", s.v3(topic)+"/records", record(1), plainJSON).want(t, 200, ok200) // registers the schema
			answer := make(chan struct{})
			fake.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				fake.Cluster.SleepControl(func() { <-answer })
				return nil, nil, false
			})
			go func() {
				testkit.Eventually(t, 20*time.Second, "the memory to be full", func() bool { return s.producer.Stats().Refused > 0 })
				close(answer)
			}()
			const records = 400
			got := s.do(t, "POST", s.v3(topic)+"/records", strings.Repeat(record(8<<10), records), plainJSON).want(t, 200, "")
			if written := strings.Count(got.body, ok200); written != records {
				t.Errorf("%d of %d records are written; the last result is %s", written, records, got.body[strings.LastIndex(got.body, `{"error`):])
			}
		})
	}
}

// duplex is a request of records that is sent while its response is read.
type duplex struct {
	t       testing.TB
	conn    net.Conn
	in      *bufio.Reader
	results *bufio.Reader // of the response, once it has begun
}

// stream begins a chunked request to a path. Headers are "Name: value" lines.
func (s *stack) stream(t testing.TB, path string, headers ...string) *duplex {
	d := &duplex{t: t, conn: s.raw(t)}
	d.in = bufio.NewReader(d.conn)
	headers = append(headers, "Transfer-Encoding: chunked")
	d.write("POST " + path + " HTTP/1.1\r\nHost: x\r\n" + plainJSON + "\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n")
	return d
}

func (d *duplex) write(text string) {
	d.t.Helper()
	if _, err := io.WriteString(d.conn, text); err != nil {
		d.t.Fatal(err)
	}
}

// send sends one chunk.
func (d *duplex) send(text string) {
	d.t.Helper()
	d.write(fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
}

// end sends the last chunk.
func (d *duplex) end() { d.write("0\r\n\r\n") }

// begun reads the header of the response.
func (d *duplex) begun() *http.Response {
	d.t.Helper()
	resp, err := http.ReadResponse(d.in, &http.Request{Method: "POST"})
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode == 200 {
		d.results = bufio.NewReader(resp.Body)
	}
	return resp
}

// result reads one result.
func (d *duplex) result() string {
	d.t.Helper()
	if d.results == nil {
		if resp := d.begun(); resp.StatusCode != 200 {
			d.t.Fatalf("the status is %s", resp.Status)
		}
	}
	line, err := d.results.ReadString('\n')
	if err != nil {
		d.t.Fatalf("no result, but %q, %v", line, err)
	}
	if !strings.HasSuffix(line, "}\r\n") {
		d.t.Fatalf("a result is %q", line)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// want reads one result and checks that it contains each of the texts.
func (d *duplex) want(texts ...string) {
	d.t.Helper()
	got := d.result()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			d.t.Errorf("a result is %s, without %q", got, text)
		}
	}
}

// wantEnd checks that the response ends properly, and returns whether the connection does.
func (d *duplex) wantEnd() (closed bool) {
	d.t.Helper()
	if rest, err := io.ReadAll(d.results); err != nil || len(rest) > 0 {
		d.t.Errorf("behind the last result there is %q, %v", rest, err)
	}
	_ = d.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, err := d.in.ReadByte()
	_ = d.conn.SetReadDeadline(time.Now().Add(time.Minute))
	return err == io.EOF
}

const ok200 = `{"error_code":200,"cluster_id":"`

func value(v any) string { return fmt.Sprintf(`{"value":{"type":"JSON","data":%v}}`, v) }

func TestV3Stream(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 1)
		records := s.v3(topic) + "/records"
		t.Run("each record is answered before the next is sent", func(t *testing.T) {
			d := s.stream(t, records)
			if d.begun().Header.Get("Content-Type") != "application/json" {
				t.Error("the response is not JSON")
			}
			for i := range 3 {
				d.send(value(i))
				d.want(ok200, `"topic_name":"`+topic+`","partition_id":0,"offset":`, `"value":{"type":"JSON","size":1}}`)
			}
			d.end()
			if d.wantEnd() {
				t.Error("the connection was closed")
			}
			d.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			if resp := d.begun(); resp.StatusCode != 200 {
				t.Errorf("after a stream: %s", resp.Status)
			}
		})
		t.Run("a bad record does not end the stream", func(t *testing.T) {
			d := s.stream(t, records)
			d.send(value(1) + "\n" + `{"value":{"type":"BINARY","data":"@@"}}null` + value(3) + " 5 " + `{"x":[{"value":1}]}` + value(`{"a":"}"}`))
			d.end()
			d.want(ok200)
			d.want(`{"error_code":400,"message":"Bad Request: the data of the value is not a valid base64 string`)
			d.want(`{"error_code":400,"message":"A record must be a JSON object`)
			d.want(ok200)
			d.want(`{"error_code":400,`)
			d.want(`{"error_code":400,"message":"Unrecognized field \"x\"`)
			d.want(ok200, `"size":9}}`)
			d.wantEnd()
		})
		t.Run("malformed JSON ends it", func(t *testing.T) {
			d := s.stream(t, records)
			d.send(value(1) + `{"value":{"type":"JSON","data":tru}}` + value(2))
			d.want(ok200)
			d.want(`{"error_code":400,"message":"Record 2 is not valid JSON: invalid literal. The stream ends here."}`)
			if !d.wantEnd() {
				t.Error("the connection is still open")
			}
		})
		t.Run("a body that ends within a record", func(t *testing.T) {
			d := s.stream(t, records)
			d.send(value(1) + `{"value":{"type":"JSON","da`)
			d.want(ok200)
			d.end()
			d.want(`{"error_code":400,"message":"The body ends within record 2."}`)
			d.wantEnd()
		})
		t.Run("byte by byte", func(t *testing.T) {
			d := s.stream(t, records)
			text := "\ufeff" + value(`"\"}{é"`) + "\n\ufeff" + value(1)
			for i := range len(text) {
				d.send(text[i : i+1])
			}
			d.want(ok200, `"size":8}}`)
			d.want(ok200, `"size":1}}`)
			d.end()
			d.wantEnd()
		})
		t.Run("no body", func(t *testing.T) {
			r := s.do(t, "POST", records, "", plainJSON)
			if r.status != 200 || r.body != "" {
				t.Errorf("%d %q", r.status, r.body)
			}
			d := s.stream(t, records)
			d.end()
			d.begun()
			d.wantEnd()
		})
	})
}

// Of a body with a Content-Length, too, the first records are answered before the rest comes.
func TestV3StreamOfKnownLength(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b)
	topic := testkit.CreateTopic(t, b, 1)
	for _, length := range []int{200, 20 << 20} { // in all, which may be more than request.max.bytes
		d := &duplex{t: t, conn: s.raw(t)}
		d.in = bufio.NewReader(d.conn)
		d.write(fmt.Sprintf("POST %s/records HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", s.v3(topic), plainJSON, length))
		text := value(1)
		d.write(text)
		d.want(ok200)
		d.write(text + strings.Repeat(" ", length-3*len(text)))
		d.want(ok200)
		d.write(text)
		d.want(ok200)
		if d.wantEnd() {
			t.Error("the connection was closed")
		}
	}
}

// While the answer to one record is outstanding, those behind it are on their way; the results are
// in order.
func TestV3StreamHasManyInFlight(t *testing.T) {
	t.Parallel()
	fake := testkit.Fake(t)
	s := start(t, fake.Broker)
	topic := testkit.CreateTopic(t, fake.Broker, 1)
	came, answer := make(chan struct{}, 1), make(chan struct{})
	fake.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case came <- struct{}{}:
		default:
		}
		fake.Cluster.SleepControl(func() { <-answer })
		return nil, nil, false
	})
	d := s.stream(t, s.v3(topic)+"/records")
	d.send(value(0))
	<-came
	const more = 5000
	d.send(strings.Repeat(value(1), more/2))
	d.send(strings.Repeat(value(1), more/2))
	testkit.Eventually(t, 20*time.Second, "the records behind the first to be buffered", func() bool { return s.producer.Buffered() == more+1 })
	close(answer)
	for i := range more + 1 {
		d.want(ok200, fmt.Sprintf(`"offset":%d,`, i))
	}
	d.end()
	d.wantEnd()
}

func TestV3RecordMembers(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic := testkit.CreateTopic(t, b, 2)
		r := s.do(t, "POST", s.v3(topic)+"/records", `
			{"partition_id":1,"headers":[{"name":"h1","value":"eA=="},{"name":"h2","value":null},{"name":"h1","value":"eQ=="}],
			 "timestamp":"2021-02-05T20:14:42+01:00","key":{"data":"k\u00e9y","type":"STRING"},"value":{"type":"JSON","data":{"a" : 1}}}
			{"partition_id":"1","timestamp":1612552482.25,"value":{"type":"JSON","data":null}}
			{"partition_id":7}{"partition_id":1}`, plainJSON)
		lines := strings.Split(strings.TrimSpace(r.body), "\r\n")
		wants := []string{
			`"partition_id":1,"offset":0,"timestamp":"2021-02-05T19:14:42Z","key":{"type":"STRING","size":4},"value":{"type":"JSON","size":7}}`,
			`"partition_id":1,"offset":1,"timestamp":"2021-02-05T19:14:42.250Z","value":{"type":"JSON","size":-1}}`,
			`{"error_code":40402,"message":"Topic ` + topic + ` has no partition 7`,
			`"partition_id":1,"offset":2,"timestamp":"2`,
		}
		if len(lines) != len(wants) {
			t.Fatalf("%d results: %s", len(lines), r.body)
		}
		for i, want := range wants {
			if !strings.Contains(lines[i], want) {
				t.Errorf("result %d is %s\nwant %s", i, lines[i], want)
			}
		}
		if strings.Contains(lines[3], "value") || strings.Contains(lines[3], "key") {
			t.Errorf("an empty record has data: %s", lines[3])
		}
		got := testkit.ReadTopic(t, b, topic, 3)
		h := got[0].Headers
		if string(got[0].Key) != "kéy" || string(got[0].Value) != `{"a":1}` || got[0].Timestamp.UnixMilli() != 1612552482000 ||
			len(h) != 3 || h[0].Key != "h1" || string(h[0].Value) != "x" || h[1].Value != nil || string(h[2].Value) != "y" {
			t.Errorf("the first record is %+v", got[0])
		}
		if got[1].Value != nil || got[1].Timestamp.UnixMilli() != 1612552482250 || got[2].Value != nil {
			t.Errorf("the others are %+v and %+v", got[1], got[2])
		}
	})
}

// Each piece that a client flushes is answered at once, in every encoding.
func TestV3StreamIsUnpackedAsItComes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b)
	topic := testkit.CreateTopic(t, b, 1)
	d := s.stream(t, s.v3(topic)+"/records", "Content-Encoding: gzip")
	w := gzip.NewWriter(httputil.NewChunkedWriter(d.conn))
	for i := range 3 {
		if _, err := io.WriteString(w, value(i)); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		d.want(ok200, fmt.Sprintf(`"offset":%d,`, i))
	}
	w.Close()
	d.end()
	d.wantEnd()

	d = s.stream(t, s.v3(topic)+"/records", "Content-Encoding: gzip")
	d.send("this is not gzip")
	d.want(`{"error_code":400,"message":"The body is not what its Content-Encoding says."}`)
	d.wantEnd()
	d = s.stream(t, s.v3(topic)+"/records", "Content-Encoding: lzma")
	if resp := d.begun(); resp.StatusCode != 415 {
		t.Errorf("of an unknown encoding: %s", resp.Status)
	}
}

// A record that is too large is refused in its place; the others go on.
func TestV3RecordThatIsTooLarge(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, func(o *stackOptions) { o.server.MaxBodyBytes = 256 << 10 })
	topic := testkit.CreateTopic(t, b, 1)
	var body bytes.Buffer
	body.WriteString(value(1))
	body.WriteString(value(`"` + strings.Repeat("x", 1<<20) + `"`))
	body.WriteString(value(2))
	body.WriteString(value(`"` + strings.Repeat("y", 200<<10) + `"`))
	body.WriteString(value(3))
	r := s.do(t, "POST", s.v3(topic)+"/records", body.String(), plainJSON)
	lines := strings.Split(strings.TrimSpace(r.body), "\r\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[1], `{"error_code":413,"message":"The record is larger than 262144 bytes`) {
		t.Fatalf("%d results: %.2000s", len(lines), r.body)
	}
	for i, want := range map[int]string{0: `"offset":0,`, 2: `"offset":1,`, 3: `"size":204802}`, 4: `"offset":3,`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("result %d is %s, without %s", i, lines[i], want)
		}
	}
	d := s.stream(t, s.v3(topic)+"/records")
	d.send(`{"value":{"type":"JSON","data":"`)
	for range 12 { // the refusal does not wait for the end of the record
		d.send(strings.Repeat("x", 32<<10))
	}
	d.want(`{"error_code":413,`)
	d.end() // within the record that has its result, and no other came
	d.wantEnd()
}

// A node that drains ends its streams, after the results of all that came.
func TestV3StreamIsDrained(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b)
	topic := testkit.CreateTopic(t, b, 1)
	d := s.stream(t, s.v3(topic)+"/records")
	d.send(value(1) + `{"value":{`)
	d.want(ok200)
	s.server.Drain()
	d.want(`{"error_code":50302,`)
	if !d.wantEnd() {
		t.Error("the connection is still open")
	}
	if resp := s.stream(t, s.v3(topic)+"/records").begun(); resp.StatusCode != 503 {
		t.Errorf("a stream that begins during a drain: %s", resp.Status)
	}
}

// A stream ends that is silent, or lasts too long, and one of too many does not begin.
func TestV3StreamBounds(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	s := start(t, b, func(o *stackOptions) { o.server.IdleTimeout = 50 * time.Millisecond })
	d := s.stream(t, s.v3(topic)+"/records")
	d.send(value(1))
	d.want(ok200)
	d.want(`{"error_code":408,"message":"Nothing came for 50 ms.`)
	d.wantEnd()
	s = start(t, b, func(o *stackOptions) {
		o.server.StreamTime = 300 * time.Millisecond
		o.server.ReadTimeout = 50 * time.Millisecond // of the header
		o.server.MaxStreams = 1
	})
	d = s.stream(t, s.v3(topic)+"/records")
	d.begun()
	if resp := s.stream(t, s.v3(topic)+"/records").begun(); resp.StatusCode != 503 {
		t.Errorf("a second stream: %s", resp.Status)
	}
	s.do(t, "POST", s.v3(topic)+"/records", value(1), plainJSON).want(t, 200, ok200) // no stream
	d.want(`{"error_code":408,"message":"The stream has been open for as long as one may be.`)
	d.wantEnd()
}

// A client that hangs up leaves nothing behind, whatever its stream was doing.
func TestV3ClientThatIsGone(t *testing.T) {
	t.Parallel()
	fake := testkit.Fake(t)
	s := start(t, fake.Broker)
	topic := testkit.CreateTopic(t, fake.Broker, 1)
	answer := make(chan struct{})
	fake.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.Cluster.SleepControl(func() { <-answer })
		return nil, nil, false
	})
	for range 3 {
		d := s.stream(t, s.v3(topic)+"/records")
		d.send(strings.Repeat(value(1), 100) + `{"value`)
		testkit.Eventually(t, 10*time.Second, "records on their way", func() bool { return s.producer.Buffered()%100 == 0 && s.producer.Buffered() > 0 })
		_ = d.conn.(*net.TCPConn).SetLinger(0)
		d.conn.Close()
	}
	close(answer)
	testkit.Eventually(t, 20*time.Second, "everything to be given back", func() bool {
		stats := s.producer.Stats()
		return stats.Held == 0 && stats.Jobs.Out == 0 && s.server.Metrics().Streams.Load() == 0 && s.server.Stats().Connections == 0
	})
}

// Refusals that look at no record come with their own status, and end the connection of a stream.
func TestV3Refusals(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b)
	topic := testkit.CreateTopic(t, b, 1)
	records := s.v3(topic) + "/records"
	s.do(t, "POST", "/v3/clusters/nope/topics/"+topic+"/records", value(1), plainJSON).want(t, 404, `{"error_code":404,"message":"There is no cluster \"nope\"`)
	s.do(t, "POST", records, value(1), jsonV2).want(t, 415, `"error_code":415`)
	s.do(t, "POST", records, value(1)).want(t, 415, `"error_code":415`)
	s.do(t, "POST", records, value(1), plainJSON, "Accept: text/html").want(t, 406, `"error_code":406`)
	s.do(t, "POST", records+"/", value(1), plainJSON+"; charset=utf-8", "Accept: text/html, */*;q=0.1").want(t, 200, ok200)
	s.do(t, "GET", records, "").want(t, 405, `"error_code":405`)
	s.do(t, "POST", s.v3("no%20such%20topic")+"/records", value(1), plainJSON).want(t, 200, `{"error_code":4`)
	d := s.stream(t, "/v3/clusters/nope/topics/t/records")
	if resp := d.begun(); resp.StatusCode != 404 || !resp.Close {
		t.Errorf("%s, %v", resp.Status, resp.Header)
	}
	s.do(t, "POST", strings.Replace(records, "/records", "/rec%6Frds", 1), value(1), plainJSON).want(t, 404, "There is nothing at")
	// An origin in front of a proxy may send the target as a whole URL (RFC 9112 §3.2.2).
	d = s.stream(t, s.base+records)
	d.send(value(1))
	d.end()
	d.want(ok200)
}

// A client of HTTP/1.0 has no chunks; it gets the results when all are there.
func TestV3ForHTTP10(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b)
	topic := testkit.CreateTopic(t, b, 1)
	conn := s.raw(t)
	body := strings.Repeat(value(1), 300)
	fmt.Fprintf(conn, "POST %s/records HTTP/1.0\r\n%s\r\nContent-Length: %d\r\n\r\n%s", s.v3(topic), plainJSON, len(body), body)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if n := strings.Count(string(text), ok200); err != nil || resp.StatusCode != 200 || n != 300 || len(resp.TransferEncoding) > 0 {
		t.Errorf("%s with %d results, %v, %v", resp.Status, n, resp.TransferEncoding, err)
	}
}
