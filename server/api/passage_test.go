package api_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// A page that a node has delivered before its orderly end is confirmed: a commit through another
// node commits it.
func TestPageOutlivesTheNodeThatSentItOn(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 3)
	i, topic := prepare(t, all, "subscription", `,"auto.commit.enable":"false"`, 100)
	got := tally{}
	got.readAll(t, all[1:2], i, 100)
	all[1].drain(t)
	all[2].doMoved(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "[]")
	all[2].do(t, "GET", i+"/offsets?topic="+topic+"&partition=0&partition=1", "").want(t, 200, `"partition":1,"offset":50`).want(t, 200, `"partition":0,"offset":50`)
	produceNumbers(t, b, topic, 100, 10)
	got.readAll(t, all[2:], i, 110)
	if n := got.repeated(); n != 0 {
		t.Errorf("%d records came again", n)
	}
}

// The same without a commit: the next read confirms the page.
func TestReadOnAfterTheNodeThatSentItOn(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 3)
	i, topic := prepare(t, all, "assignments", "", 100)
	got := tally{}
	got.readAll(t, all[1:2], i, 100)
	all[1].drain(t)
	produceNumbers(t, b, topic, 100, 10)
	got.readAll(t, all[2:], i, 110)
	if n := got.repeated(); n != 0 {
		t.Errorf("%d records came again", n)
	}
}

// readAsNode reads as a node does that forwards a client's request, and returns its connection
// when the response has arrived.
func readAsNode(t *testing.T, owner *stack, i string) net.Conn {
	t.Helper()
	return readOver(t, owner.raw(t), owner, i)
}

func readOver(t *testing.T, conn net.Conn, owner *stack, i string) net.Conn {
	t.Helper()
	if err := owner.asNode(t, "GET", i+"/records?timeout=1000", "", "Accept: application/vnd.kafka.json.v2+json").Write(conn); err != nil {
		t.Fatal(err)
	}
	if first, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(first, "200") {
		t.Fatalf("the read was answered %q (%v)", first, err)
	}
	return conn
}

// A node that dies loses two kinds of responses: those that it had not forwarded yet, and those
// that it had forwarded without reporting it. The owner cannot distinguish them. It commits
// neither, and reports no commit.
func TestAnswerLostWithTheNodeThatSentItOn(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	owner := start(t, b, asNode("node-a"))
	i, topic := prepare(t, []*stack{owner}, "subscription", `,"auto.commit.enable":"false"`, 100)
	got := tally{}
	got.readAll(t, []*stack{owner}, i, 100)
	produceNumbers(t, b, topic, 100, 100)
	readAsNode(t, owner, i).Close()
	r := owner.do(t, "POST", i+"/offsets", "", plainV2).want(t, 503, `"error_code":50308`)
	if r.header.Get("Retry-After") == "" {
		t.Error("nothing says when to try again")
	}
	owner.do(t, "POST", i+"/offsets?async=true", "", plainV2).want(t, 503, `"error_code":50308`)
	owner.do(t, "GET", i+"/offsets?topic="+topic+"&partition=0", "").want(t, 200, `{"offsets":[]}`)
	got.readAll(t, []*stack{owner}, i, 200)
	if n := got.repeated(); n != 0 {
		t.Errorf("%d records came again", n)
	}
	owner.do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
	owner.do(t, "GET", i+"/offsets?topic="+topic+"&partition=0", "").want(t, 200, `"offset":100`)
}

// A client that hangs up at another node while its read waits there does not get the records, and
// that node reports it.
func TestClientThatHangsUpAtAnotherNode(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	patient := func(o *stackOptions) { o.consumer.RequestTimeout = 20 * time.Second }
	all := []*stack{start(t, b, asNode("node-a"), patient), start(t, b, asNode("node-b"), patient)}
	i, topic := prepare(t, all, "subscription", `,"auto.commit.enable":"false"`, 100)
	got := tally{}
	got.readAll(t, all, i, 100)
	all[0].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
	conn := all[1].raw(t)
	all[1].waitingRead(t, conn, i+"/records", "application/vnd.kafka.json.v2+json")
	conn.Close()
	produceNumbers(t, b, topic, 100, 10)
	// The other node notices the hang-up before the answer or after it.
	testkit.Eventually(t, 20*time.Second, "the end of the read at both nodes", func() bool { return all[0].inFlight(t)+all[1].inFlight(t) == 0 })
	// Where it ends the forwarded read while the owner answers, the owner cannot know: then a commit
	// is refused until the next read.
	if r := all[0].do(t, "POST", i+"/offsets", "", plainV2); r.status != 200 {
		r.want(t, 503, `"error_code":50308`)
	}
	all[0].do(t, "GET", i+"/offsets?topic="+topic+"&partition=0", "").want(t, 200, `"offset":50`)
	got.readAll(t, all[:1], i, 110)
	if n := got.repeated(); n != 0 {
		t.Errorf("%d records came again", n)
	}
}

// Only the loss of a response to a read makes records be read again.
func TestOnlyReadsAreTakenBack(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	owner := start(t, b, asNode("node-a"))
	i, topic := prepare(t, []*stack{owner}, "assignments", `,"auto.commit.enable":"false"`, 10)
	readAsNode(t, owner, i).Close()
	got := tally{}
	got.readAll(t, []*stack{owner}, i, 10)
	again := func(path string, more ...string) {
		t.Helper()
		conn := owner.raw(t)
		if err := owner.asNode(t, "GET", i+path, "", append(more, "X-Millrace-Again: true")...).Write(conn); err != nil {
			t.Fatal(err)
		}
		if first, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(first, "200") {
			t.Fatalf("it was answered %q (%v)", first, err)
		}
	}
	again("/assignments")
	again("/offsets?topic=" + topic + "&partition=0")
	got.readFrom(t, owner, i).want(t, 200, "[]")
	// Nor does the response before it, where that went to the client itself.
	produceNumbers(t, b, topic, 10, 10)
	got.readAll(t, []*stack{owner}, i, 20)
	again("/records?timeout=1", "Accept: application/vnd.kafka.json.v2+json")
	got.readFrom(t, owner, i).want(t, 200, "[]")
	if n := got.repeated(); n != 0 {
		t.Errorf("%d records came again", n)
	}
}

// A DELETE that succeeded though its response was lost gets the response of success.
func TestDeleteWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	way := newLossy(t)
	owner := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = way.before })
	other := start(t, b, asNode("node-b"))
	i, _ := prepare(t, []*stack{owner}, "assignments", "", 10)
	other.do(t, "GET", i+"/assignments", "").want(t, 200, "partitions")
	way.lose.Store(1)
	other.do(t, "DELETE", i, "").want(t, 204, "")
	other.do(t, "DELETE", i, "").want(t, 404, "40403")
}

// Two nodes that reach Kafka, and not each other, do not let clients hang.
func TestWayBetweenNodesThatIsCut(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	way := newLossy(t)
	owner := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = way.before })
	other := start(t, b, asNode("node-b"))
	i, _ := prepare(t, []*stack{owner}, "assignments", "", 10)
	got := tally{}
	got.readAll(t, []*stack{other}, i, 10)
	way.drop.Store(true)
	began := time.Now()
	other.do(t, "GET", i+"/assignments", "").want(t, 503, "50307")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the answer took %v", took)
	}
	owner.do(t, "GET", i+"/assignments", "").want(t, 200, "partitions") // it lives
	way.drop.Store(false)
	testkit.Eventually(t, 20*time.Second, "the way to work again", func() bool {
		return other.do(t, "GET", i+"/assignments", "").status == 200
	})
}

// A node that drains ends the forwarded stream of another one between two records.
func TestDrainOfTheNodeThatSendsAStreamOn(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	way := newLossy(t)
	owner := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = way.before })
	other := start(t, b, asNode("node-b"), func(o *stackOptions) { o.peer.Lease = time.Minute })
	i, topic := prepare(t, []*stack{owner}, "assignments", "", 0)
	resp, err := client.Get(other.base + i + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	gate := make(chan struct{})
	way.gate.Store(&gate)
	long := &kgo.Record{Topic: topic, Value: bytes.Repeat([]byte("1"), 100<<10)} // half of it comes through
	if err := testkit.Client(t, b).ProduceSync(t.Context(), long).FirstErr(); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 20<<10)
	if _, err := io.ReadFull(resp.Body, text); err != nil {
		t.Fatal(err)
	}
	other.server.Drain()
	close(gate)
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
	if text = append(text, rest...); len(text) < len(long.Value) || !strings.HasSuffix(string(text), "}\n") {
		t.Errorf("it ends with %q", text[len(text)-20:])
	}
}
