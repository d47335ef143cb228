package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/internal/testkit"
	"millrace/server"
	"millrace/server/intake"
)

const produceHead = "POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Type: application/vnd.kafka.json.v2+json\r\n"

// answerOn reads one answer.
func answerOn(t testing.TB, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// closed reports whether the other side ended the connection.
func closed(r *bufio.Reader) bool {
	_, err := r.ReadByte()
	return err == io.EOF
}

// budgeted sets what bounds bodies.
func budgeted(change func(*server.Settings)) func(*stackOptions) {
	return func(o *stackOptions) {
		o.server.MaxBodyBytes = 1 << 20
		change(&o.server)
		o.server.Bodies.Largest = int64(o.server.MaxBodyBytes)
		o.adminOn, o.ui = true, true
	}
}

// A body that ends early, and one with a broken chunk, are 400 on every route, and the
// end of their connection: nothing of them may be taken for a request.
func TestBrokenBodiesOnEveryRoute(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, budgeted(func(*server.Settings) {}))
	for route := range everything().Routes() {
		method, path := route.Method, route.Path
		path = strings.NewReplacer("{partition}", "0", "{topic}", "t", "{group}", "g", "{instance}", "i", "{cluster_id}", "kfake").Replace(path)
		if route.Streamed {
			continue // its body is read while it is answered: see TestV3Stream
		}
		media := server.MediaJSON
		switch { // else the body is not read
		case strings.HasPrefix(path, "/topics"):
			media = "application/vnd.kafka.json.v2+json"
		case strings.HasPrefix(path, "/consumers"):
			media = "application/vnd.kafka.v2+json"
		}
		head := method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + media + "\r\n"
		for what, request := range map[string]string{
			"a small body that is cut off":        head + "Content-Length: 100\r\n\r\n{\"records\":[]}",
			"a large body that is cut off":        head + "Content-Length: 30000\r\n\r\n" + strings.Repeat(" ", 20_000),
			"a chunked body that is cut off":      head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{}   \r\n",
			"a chunk that is cut off":             head + "Transfer-Encoding: chunked\r\n\r\n500\r\n{}   ",
			"a chunk without a size":              head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nxyz\r\n",
			"a chunk that is longer than it says": head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}{}\r\n0\r\n\r\n",
		} {
			conn := s.raw(t)
			fmt.Fprint(conn, request)
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(conn)
			resp, text := answerOn(t, r, method)
			if resp.StatusCode != 400 || !resp.Close || !closed(r) {
				t.Errorf("%s %s, %s: %d %s (closing: %v)", method, path, what, resp.StatusCode, text, resp.Close)
			}
			conn.Close()
		}
	}
}

// Requests whose bodies are small, large and chunked follow one another on a connection,
// sent at once, and each is answered.
func TestBodiesOfAllSizesOnOneConnection(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	plain := start(t, b.Broker, budgeted(func(*server.Settings) {}))
	secure, dial := startTLS(t, b.Broker, budgeted(func(*server.Settings) {}))
	for name, conn := range map[string]net.Conn{"plain": plain.raw(t), "tls": dial(t)} {
		var all bytes.Buffer
		n := 0
		for _, size := range []int{1, 100, 8 << 10, 8<<10 + 1, 16 << 10, 64<<10 + 1, 900_000} {
			body := `{"records":[{"value":"` + strings.Repeat("x", size) + `"}]}`
			fmt.Fprintf(&all, "%sContent-Length: %d\r\n\r\n%s", produceHead, len(body), body)
			fmt.Fprintf(&all, "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", produceHead, 10, body[:10], len(body)-10, body[10:])
			fmt.Fprint(&all, "GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
			n += 3
		}
		go conn.Write(all.Bytes())
		r := bufio.NewReader(conn)
		for i := range n {
			if resp, text := answerOn(t, r, "POST"); resp.StatusCode != 200 {
				t.Fatalf("%s, request %d: %d %s", name, i, resp.StatusCode, text)
			}
		}
	}
	for _, s := range []*stack{plain, secure} {
		testkit.Eventually(t, 10*time.Second, "that nothing is charged", func() bool { return s.server.Stats().Bodies.Used == 0 })
	}
}

// Chunk extensions of megabytes are refused; small chunks, and a few extensions, are not.
func TestChunkExtensionsAreBounded(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	plain := start(t, b.Broker, budgeted(func(*server.Settings) {}))
	_, dial := startTLS(t, b.Broker, budgeted(func(*server.Settings) {}))
	for name, open := range map[string]func(testing.TB) net.Conn{"plain": plain.raw, "tls": dial} {
		const body = `{"records":[{"value":1}]}`
		conn := open(t)
		fmt.Fprint(conn, produceHead+"Transfer-Encoding: chunked\r\n\r\n")
		for _, c := range []byte(body) {
			fmt.Fprintf(conn, "1;name=value\r\n%c\r\n", c)
		}
		fmt.Fprint(conn, "0\r\n\r\n")
		if resp, text := answerOn(t, bufio.NewReader(conn), "POST"); resp.StatusCode != 200 {
			t.Errorf("%s, chunks of a byte: %d %s", name, resp.StatusCode, text)
		}
		conn = open(t)
		var sent atomic.Int64
		go func() {
			fmt.Fprint(conn, produceHead+"Transfer-Encoding: chunked\r\n\r\n2;")
			for part := bytes.Repeat([]byte("x"), 4096); sent.Load() < 32<<20; {
				n, err := conn.Write(part)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
			fmt.Fprint(conn, "\r\n{}\r\n0\r\n\r\n")
		}()
		resp, text := answerOn(t, bufio.NewReader(conn), "POST")
		if resp.StatusCode != 400 || !strings.Contains(text, "chunk extensions") || !resp.Close {
			t.Errorf("%s, an extension: %d %s", name, resp.StatusCode, text)
		}
		if n := sent.Load(); n > 16<<20 { // what the system buffers is within
			t.Errorf("%s: refused after %d bytes", name, n)
		}
	}
}

// An announced body costs what has come of it.
func TestAnnouncedBodiesTakeNoMemory(t *testing.T) {
	b := testkit.Fake(t)
	s := start(t, b.Broker, budgeted(func(o *server.Settings) { o.MaxBodyBytes = 16 << 20 }))
	before := heap()
	const n = 50
	for range n {
		fmt.Fprintf(s.raw(t), "%sContent-Length: %d\r\n\r\n ", produceHead, 16<<20)
	}
	testkit.Eventually(t, 20*time.Second, "that all have begun", func() bool { return s.server.Stats().Bodies.Used >= n*(16<<10) })
	if used := s.server.Stats().Bodies.Used; used > n*(64<<10) {
		t.Errorf("%d bytes are charged for %d bodies of a byte", used, n)
	}
	if grown := heap() - before; grown > n*(128<<10) {
		t.Errorf("the heap has grown by %d", grown)
	}
}

// Bodies that stop arriving are cut, and until then leave room for small requests; when
// they are gone, so is what they were charged.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, budgeted(func(o *server.Settings) {
		o.Bodies = intake.Settings{Memory: 4 << 20, MinRate: 1024, Grace: time.Second}
	}))
	var conns []net.Conn
	for range 40 {
		conn := s.raw(t)
		conns = append(conns, conn)
		go fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s", produceHead, 1<<20, strings.Repeat(" ", 200_000))
	}
	testkit.Eventually(t, 10*time.Second, "that the budget is short", func() bool { return s.server.Stats().Bodies.Used > 3<<19 })
	for range 50 {
		s.do(t, "POST", "/topics/t", `{"records":[{"value":1}]}`, jsonV2).want(t, 200, `"offset"`)
		if stats := s.server.Stats().Bodies; stats.Used > stats.Limit {
			t.Fatalf("%+v", stats)
		}
	}
	cut := 0
	for _, conn := range conns {
		resp, text := answerOn(t, bufio.NewReader(conn), "POST")
		switch {
		case resp.StatusCode == 408:
			cut++
		case resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "":
			t.Errorf("%d %s", resp.StatusCode, text)
		}
	}
	if stats := s.server.Stats().Bodies; cut == 0 || int(stats.Slow) != cut || stats.Refused == 0 {
		t.Errorf("%d were cut: %+v", cut, stats)
	}
	testkit.Eventually(t, 10*time.Second, "that nothing is charged", func() bool { return s.server.Stats().Bodies.Used == 0 })
}

// A large body that finds no room is given that of one that has stalled.
func TestSlowestBodyMakesRoom(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, budgeted(func(o *server.Settings) {
		o.Bodies = intake.Settings{Memory: 2 << 20, MinRate: 0, Grace: time.Minute}
	}))
	slow := s.raw(t)
	go fmt.Fprintf(slow, "%sContent-Length: %d\r\n\r\n%s", produceHead, 1<<20, strings.Repeat(" ", 1<<20-1))
	testkit.Eventually(t, 10*time.Second, "that it has come", func() bool { return s.server.Stats().Bodies.Used >= 1<<20 })
	body := `{"records":[{"value":"` + strings.Repeat("x", 900_000) + `"}]}`
	testkit.Eventually(t, 10*time.Second, "that its rate has fallen", func() bool {
		r, err := s.try("POST", "/topics/t", body, jsonV2)
		return err == nil && r.status == 200
	})
	if resp, text := answerOn(t, bufio.NewReader(slow), "POST"); resp.StatusCode != 503 || !strings.Contains(text, `"error_code":50310`) {
		t.Errorf("the slow one: %d %s", resp.StatusCode, text)
	}
}

// One address holds no more than its share, and leaves the rest to others.
func TestShareOfAnAddress(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, budgeted(func(o *server.Settings) {
		o.Bodies = intake.Settings{Memory: 8 << 20, Share: 25}
	}))
	for range 2 {
		go fmt.Fprintf(s.raw(t), "%sContent-Length: %d\r\n\r\n%s", produceHead, 1<<20, strings.Repeat(" ", 1<<20-1))
	}
	testkit.Eventually(t, 10*time.Second, "that they have come", func() bool { return s.server.Stats().Bodies.Used >= 2<<20-64<<10 })
	request := fmt.Sprintf("%sContent-Length: %d\r\n\r\n", produceHead, 500_000)
	conn := s.raw(t)
	fmt.Fprint(conn, request+" ")
	resp, text := answerOn(t, bufio.NewReader(conn), "POST")
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the share: %d %s", resp.StatusCode, text)
	}
	other, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	fmt.Fprint(other, request+`{"records":[{"value":1}]}`+strings.Repeat(" ", 500_000-25))
	if resp, text := answerOn(t, bufio.NewReader(other), "POST"); resp.StatusCode != 200 {
		t.Errorf("another address: %d %s", resp.StatusCode, text)
	}
}

// A body that cannot be taken is refused by its headers, before a byte of it came, and before a
// client that asks is told to send it.
func TestRefusedUnread(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, budgeted(func(o *server.Settings) {
		o.MaxBodyBytes = 64 << 20
		o.Bodies.Memory = 1 << 20
	}), func(o *stackOptions) { o.batch.BufferBytes = 400_000 })
	for _, c := range []struct {
		path, media string
		size        int
		status      int
		text        string
	}{
		{"/topics/t", jsonV2, 65 << 20, 413, "request.max.bytes"},
		{"/consumers/g", plainV2, 65 << 20, 413, "request.max.bytes"},
		{"/consumers/g", plainV2, 2 << 20, 413, "request.buffer.memory"},
		{"/topics/t", jsonV2, 500_000, 413, "producer.buffer.memory"},
	} {
		for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
			conn := s.raw(t)
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\n%s\r\n%sContent-Length: %d\r\n\r\n", c.path, c.media, expect, c.size)
			if expect == "" && c.size < 64<<20 {
				fmt.Fprint(conn, " ")
			}
			resp, text := answerOn(t, bufio.NewReader(conn), "POST")
			if resp.StatusCode != c.status || !strings.Contains(text, c.text) || !resp.Close {
				t.Errorf("%d bytes to %s, %q: %d %s", c.size, c.path, expect, resp.StatusCode, text)
			}
		}
	}
	conn := s.raw(t)
	fmt.Fprintf(conn, "%sExpect: 100-continue\r\nContent-Length: 25\r\n\r\n", produceHead)
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatal(line, err)
	}
	_, _ = r.ReadString('\n')
	fmt.Fprint(conn, `{"records":[{"value":1}]}`)
	if resp, text := answerOn(t, r, "POST"); resp.StatusCode != 200 {
		t.Errorf("after 100 Continue: %d %s", resp.StatusCode, text)
	}
}

// Compressed bodies are charged for what they unpack to, of the same budget.
func TestCompressedBodiesAreCharged(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	s := start(t, b.Broker, budgeted(func(o *server.Settings) {
		o.MaxBodyBytes = 4 << 20
		o.Bodies.Memory = 2 << 20
	}))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(bytes.Repeat([]byte(" "), 3<<20))
	_ = w.Close()
	s.do(t, "POST", "/topics/t", packed.String(), jsonV2, "Content-Encoding: gzip").want(t, 413, "request.buffer.memory")
	if used := s.server.Stats().Bodies.Used; used != 0 {
		t.Errorf("%d bytes are charged", used)
	}
}
