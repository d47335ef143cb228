package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/cluster"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
	"millrace/server/peer"
)

// impostor is a server that would like to be a node. It remembers what it hears.
type impostor struct {
	*httptest.Server
	mu    sync.Mutex
	heard []string
}

func newImpostor(t *testing.T) *impostor {
	i := &impostor{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := httputil.DumpRequest(r, true)
		i.mu.Lock()
		defer i.mu.Unlock()
		i.heard = append(i.heard, string(text))
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Set-Cookie", "a=b")
		fmt.Fprint(w, "<script>whose origin is this?</script>")
	}))
	t.Cleanup(i.Close)
	return i
}

// silent fails t if the impostor has heard anything.
func (i *impostor) silent(t *testing.T) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, text := range i.heard {
		t.Errorf("the impostor heard\n%s", text)
	}
}

// write writes records to the topic of the nodes, with rights in Kafka, and waits
// until all nodes have read them.
func write(t *testing.T, all []*stack, records ...*kgo.Record) {
	t.Helper()
	for _, r := range records {
		r.Topic = meeting
	}
	if err := testkit.Client(t, all[0].broker).ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		beat := s.node.Beat()
		// A heartbeat that was sent after the records were read back comes after them.
		testkit.Eventually(t, 20*time.Second, "the records to be read", func() bool {
			p, ok := s.node.Peer(s.node.ID())
			return ok && p.Beat > beat
		})
	}
}

func record(key, value string) *kgo.Record {
	r := &kgo.Record{Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

// written returns the records of the topic of the nodes with the key, the last one last.
func written(t *testing.T, b testkit.Broker, key string) (all []*kgo.Record) {
	t.Helper()
	end := logEnd(t, b, meeting)
	cl := testkit.Client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{meeting: {0: kgo.NewOffset().AtStart()}}))
	for at := int64(0); at < end; {
		cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			if at = r.Offset + 1; string(r.Key) == key {
				all = append(all, &kgo.Record{Key: r.Key, Value: r.Value, Headers: r.Headers})
			}
		})
	}
	return all
}

// instanceKeyOf is the key of an instance's records, by its path.
func instanceKeyOf(path string) string {
	parts := strings.Split(path, "/") // "", consumers, GROUP, instances, NAME
	key, _ := json.Marshal([]string{"instance", parts[2], parts[4]})
	return string(key)
}

var credentials = []string{"Authorization: Basic dTpw", "Cookie: session=1", "X-Api-Key: k", "Proxy-Authorization: Basic dTpw"}

// A Kafka client that may write the topic cannot make itself a node.
func TestForgedRecordsDoNotCount(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	evil := newImpostor(t)
	i, topic := prepare(t, all, "assignments", "", 10)
	key := instanceKeyOf(i)
	node := record(`["node","evil"]`, fmt.Sprintf(`{"url":%q,"run":"R","beat":1,"lease_ms":600000}`, evil.URL))
	vic := record(`["instance","g","vic"]`, `{"owner":"evil","epoch":1,"born":"B1","definition":{}}`)
	genuine := written(t, b, key)
	born := struct{ Born string }{}
	if err := json.Unmarshal(genuine[0].Value, &born); err != nil {
		t.Fatal(err)
	}
	taken := record(key, fmt.Sprintf(`{"owner":"evil","epoch":1000,"born":%q,"definition":{}}`, born.Born))
	gone := record(key, fmt.Sprintf(`{"owner":"","epoch":1001,"born":%q,"deleted":true}`, born.Born))
	// A MAC that is none, one of another secret, and one of another record.
	sealed := func(r *kgo.Record, headers []kgo.RecordHeader) *kgo.Record {
		return &kgo.Record{Key: r.Key, Value: r.Value, Headers: headers}
	}
	random := []kgo.RecordHeader{{Key: genuine[0].Headers[0].Key, Value: bytes.Repeat([]byte{7}, 32)}}
	for _, headers := range [][]kgo.RecordHeader{nil, random, genuine[0].Headers, {{Key: genuine[0].Headers[0].Key}}} {
		write(t, all, sealed(node, headers), sealed(vic, headers), sealed(taken, headers), sealed(gone, headers), sealed(record(key, ""), headers),
			sealed(record(`["node","node-a"]`, fmt.Sprintf(`{"url":%q,"run":%q,"beat":1000000,"lease_ms":600000,"started":9999999999999}`, evil.URL, all[0].node.Run())), headers),
			sealed(record(`["node","node-b"]`, ""), headers))
		for _, s := range all {
			s.do(t, "GET", "/consumers/g/instances/vic/records", "", append(credentials, "Accept: application/vnd.kafka.json.v2+json")...).want(t, 404, "40403")
			s.do(t, "GET", i+"/assignments", "", credentials...).want(t, 200, topic)
		}
	}
	got := tally{}
	got.readAll(t, all, i, 10)
	for _, s := range all {
		if st := s.node.Stats(); st.Nodes != 2 || st.Instances != 1 || st.RefusedRecords == 0 || !st.Leased {
			t.Errorf("after the forged records the figures are %+v", st)
		}
	}
	// A node that comes later believes them no more, and finds what is true.
	late := start(t, b, asNode("node-c"))
	late.do(t, "GET", i+"/assignments", "", credentials...).want(t, 200, topic)
	late.do(t, "GET", "/consumers/g/instances/vic/assignments", "", credentials...).want(t, 404, "40403")
	evil.silent(t)
	all[0].do(t, "GET", "/metrics", "").want(t, 200, "")
}

// Records that verified once do not bring back what they said.
func TestRecordsThatComeAgain(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	former := newImpostor(t) // has the address of a node that has moved since
	moved := start(t, b, asNode("node-x"), func(o *stackOptions) { o.via = func(string) string { return former.URL } })
	testkit.Eventually(t, 20*time.Second, "the node to take part", func() bool { return moved.node.Stats().Leased })
	path := createConsumer(t, moved, `,"auto.commit.enable":"false"`)
	moved.drain(t)
	x := start(t, b, asNode("node-x"), func(o *stackOptions) { // whose own heartbeats do not make up for anything soon
		o.node.Heartbeat, o.node.Lease = 3*time.Second, 30*time.Second
		o.peer.Lease = o.node.Lease
	})
	other := start(t, b, asNode("node-y"))
	all := []*stack{x, other}
	seeEachOther(t, all...)
	x.do(t, "GET", path+"/assignments", "").want(t, 200, "partitions")
	topic := testkit.CreateTopic(t, b, 1)
	x.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	gone := createConsumer(t, x, "")
	x.do(t, "DELETE", gone, "").want(t, 204, "")
	again := createConsumer(t, other, "")
	other.do(t, "POST", again+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	other.do(t, "DELETE", again, "").want(t, 204, "")
	group, _, _ := strings.Cut(again, "/instances/")
	testkit.Eventually(t, 20*time.Second, "the name to be free", func() bool { // x hears of the deletion
		return x.do(t, "POST", group, `{"name":"i","format":"binary"}`, plainV2).status == 200
	})

	heartbeats := written(t, b, `["node","node-x"]`)
	changes := slices.Concat(written(t, b, instanceKeyOf(path)), written(t, b, instanceKeyOf(gone)), written(t, b, instanceKeyOf(again)))
	for range 3 { // in any order, as often as one likes
		write(t, all[1:], slices.Concat(heartbeats[:len(heartbeats)-1], changes, heartbeats[:2])...)
		if p, ok := other.node.Peer("node-x"); !ok || p.URL != x.base {
			t.Errorf("the node is taken to be at %+v, not %s", p, x.base)
		}
		slices.Reverse(changes)
		for _, s := range all {
			s.do(t, "GET", path+"/assignments", "", credentials...).want(t, 200, topic)
			s.do(t, "GET", gone+"/assignments", "", credentials...).want(t, 404, "40403")
			s.do(t, "GET", again+"/records?timeout=10", "", append(credentials, "Accept: application/vnd.kafka.binary.v2+json")...).want(t, 409, "40903") // of the one before: 406
		}
	}
	if place, err := other.node.Find(t.Context(), strings.TrimPrefix(group, "/consumers/"), "i", ""); err != nil || place.Node != "node-x" {
		t.Errorf("the instance is taken to be at %+v (%v)", place, err)
	}
	former.silent(t)
}

// tap stands before a node and remembers what is said to it. It may change what
// the node answers.
type tap struct {
	net.Listener
	mu     sync.Mutex
	said   bytes.Buffer
	answer func(*http.Response)
}

func newTap(t *testing.T) *tap {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &tap{Listener: ln}
}

// before puts the tap before a node; see stackOptions.via.
func (p *tap) before(t *testing.T) func(base string) string {
	return func(base string) string {
		to, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		through := &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.URL.RawQuery = r.In.URL.RawQuery },
			ModifyResponse: func(r *http.Response) error {
				p.mu.Lock()
				defer p.mu.Unlock()
				if p.answer != nil {
					p.answer(r)
				}
				return nil
			},
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, _ := httputil.DumpRequest(r, true)
			p.mu.Lock()
			p.said.Write(text)
			p.mu.Unlock()
			through.ServeHTTP(w, r)
		})}
		go func() { _ = s.Serve(p.Listener) }()
		t.Cleanup(func() { s.Close() })
		return "http://" + p.Addr().String()
	}
}

func (p *tap) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

func (p *tap) change(answer func(*http.Response)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// A request between nodes has neither the secret nor the client's credentials.
func TestNothingOfTheClientGoesAlong(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	p := newTap(t)
	owner := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = p.before(t) })
	other := start(t, b, asNode("node-b"), func(o *stackOptions) { o.server.AllowOrigin = "http://page.example" })
	i, topic := prepare(t, []*stack{owner}, "assignments", "", 10)
	got := tally{}
	got.readAll(t, []*stack{other}, i, 10)
	other.do(t, "GET", i+"/assignments", "", append(credentials, "X-Forwarded-For: 10.0.0.1", "Origin: http://page.example", "Accept: application/vnd.kafka.v2+json", "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")...).want(t, 200, topic)
	text := p.text()
	for _, secret := range []string{clusterSecret, "Authorization", "Cookie", "dTpw", "session=1", "X-Api-Key", "page.example", "10.0.0.1", "X-Millrace-Secret"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q went from node to node:\n%s", secret, text)
		}
	}
	for _, needed := range []string{"Accept: application/vnd.kafka.v2+json", "Traceparent: 00-4bf9", "X-Millrace-Method: GET", "X-Millrace-Proof: v1 "} {
		if !strings.Contains(text, needed) {
			t.Errorf("%q is missing:\n%s", needed, text)
		}
	}
}

// A response from the address of a node that is not proven to be the node's does not reach the
// client.
func TestResponsesAreThoseOfTheNode(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	p := newTap(t)
	owner := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = p.before(t) })
	other := start(t, b, asNode("node-b"))
	i, _ := prepare(t, []*stack{owner}, "assignments", "", 10)
	other.do(t, "GET", i+"/assignments", "").want(t, 200, "partitions")
	changes := map[string]func(*http.Response){
		"type":      func(r *http.Response) { r.Header.Set("Content-Type", "text/html") },
		"status":    func(r *http.Response) { r.StatusCode = 404 },
		"encoding":  func(r *http.Response) { r.Header.Set("Content-Encoding", "br") },
		"no-proof":  func(r *http.Response) { r.Header.Del("X-Millrace-Proof") },
		"its-proof": func(r *http.Response) { r.Header.Set("X-Millrace-Proof", strings.Repeat("0", 64)) },
		"elsewhere": func(r *http.Response) { r.Header.Set("X-Millrace-Elsewhere", "true") },
	}
	p.change(func(r *http.Response) {
		if change := changes[r.Request.URL.RawQuery]; change != nil { // nodes ask each other, too
			change(r)
		}
	})
	var wg sync.WaitGroup
	for name := range changes {
		wg.Go(func() {
			r, err := other.try("GET", i+"/assignments?"+name, "")
			if err != nil || r.status != 503 || r.header.Get("Retry-After") == "" || strings.Contains(r.header.Get("Content-Type"), "html") {
				t.Errorf("with another %s: %+v (%v)", name, r, err)
			}
		})
	}
	wg.Wait()
	p.change(func(r *http.Response) {
		r.Header.Set("Set-Cookie", "a=b")
		r.Header.Set("Access-Control-Allow-Origin", "*")
	})
	r := other.do(t, "GET", i+"/assignments", "").want(t, 200, "partitions")
	if r.header.Get("Set-Cookie") != "" || r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers of a stranger came along: %v", r.header)
	}
	if _, distrusted := other.server.Forwarder.Refused(); distrusted < 6 {
		t.Errorf("%d responses were refused", distrusted)
	}
}

// A request of a node holds as it is, at the node that it is for, once.
func TestRequestsOfNodesHoldOnce(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	s := all[0]
	i, topic := prepare(t, all, "assignments", "", 10)
	body := fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":1}]}`, topic)
	refused := func(t *testing.T, req *http.Request, text string) {
		t.Helper()
		req.Body, req.ContentLength = http.NoBody, 0
		if text != "" {
			again, _ := http.NewRequest("POST", "http://h/", strings.NewReader(text))
			req.Body, req.ContentLength = again.Body, again.ContentLength
		}
		r, _ := send(t, req)
		r.want(t, 403, "40301")
	}
	for name, change := range map[string]func(req *http.Request) string{
		"path": func(req *http.Request) string {
			req.URL.Path = strings.Replace(req.URL.Path, "/positions", "/offsets", 1)
			return body
		},
		"query":   func(req *http.Request) string { req.URL.RawQuery = "async=true"; return body },
		"body":    func(req *http.Request) string { return strings.Replace(body, `"offset":1`, `"offset":2`, 1) },
		"no body": func(req *http.Request) string { return "" },
		"method":  func(req *http.Request) string { req.Header.Set("X-Millrace-Method", "DELETE"); return body },
		"type": func(req *http.Request) string {
			req.Header.Set("Content-Type", "application/vnd.kafka.v1+json")
			return body
		},
		"again":   func(req *http.Request) string { req.Header.Set("X-Millrace-Again", "true"); return body },
		"notices": func(req *http.Request) string { req.Header.Set("X-Millrace-Notices", "true"); return body },
		"target":  func(req *http.Request) string { req.URL.Host = all[1].addr; return body },
		"cut": func(req *http.Request) string {
			req.Header.Set("X-Millrace-Proof", req.Header.Get("X-Millrace-Proof")[:40])
			return body
		},
		"nonsense": func(req *http.Request) string { req.Header.Set("X-Millrace-Proof", "v1 a b c d e"); return body },
		"number": func(req *http.Request) string {
			parts := strings.Split(req.Header.Get("X-Millrace-Proof"), " ")
			parts[2] = "9" + parts[2]
			req.Header.Set("X-Millrace-Proof", strings.Join(parts, " "))
			return body
		},
		"age": func(req *http.Request) string {
			parts := strings.Split(req.Header.Get("X-Millrace-Proof"), " ")
			parts[3] = "9" + parts[3]
			req.Header.Set("X-Millrace-Proof", strings.Join(parts, " "))
			return body
		},
		"twice": func(req *http.Request) string {
			r, _ := send(t, req.Clone(t.Context()))
			r.want(t, 204, "")
			return body
		},
	} {
		t.Run(name, func(t *testing.T) {
			req := s.asNode(t, "POST", i+"/positions", body, plainV2)
			refused(t, req, change(req))
		})
	}
	t.Run("secret", func(t *testing.T) {
		node, err := cluster.New(kafka.Settings{Brokers: []string{"127.0.0.1:1"}}, cluster.Settings{ID: "guesses"})
		if err != nil {
			t.Fatal(err)
		}
		node.Close(t.Context(), false)
		req, err := http.NewRequest("POST", s.base+i+"/positions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Millrace-Method", "POST")
		prove(peer.NewProver(node, clusterSecret+"?"), req, body, s.node)
		refused(t, req, body)
	})
	if requests, _ := s.server.Forwarder.Refused(); requests == 0 {
		t.Error("nothing counts what was refused")
	}
	s.do(t, "GET", i+"/assignments", "").want(t, 200, topic)
}

// A request overheard between two nodes cannot be replayed to either of them, nor to a later
// node of the same name.
func TestOverheardRequestsAreWorthNothing(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	p := newTap(t)
	owner := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = p.before(t) })
	other := start(t, b, asNode("node-b"))
	i, _ := prepare(t, []*stack{owner}, "assignments", "", 10)
	other.do(t, "GET", i+"/assignments", "").want(t, 200, "partitions")
	var proof string
	for line := range strings.Lines(p.text()) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name == "X-Millrace-Proof" {
			proof = value
		}
	}
	replay := func(s *stack, method string) reply {
		return s.do(t, "POST", i+"/assignments", "", "X-Millrace-Method: "+method, "X-Millrace-Proof: "+proof)
	}
	replay(owner, "GET").want(t, 403, "40301")
	replay(other, "GET").want(t, 403, "40301")
	replay(owner, "DELETE").want(t, 403, "40301")
	owner.drain(t)
	replay(start(t, b, asNode("node-a")), "GET").want(t, 403, "40301")
}
