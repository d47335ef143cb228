package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
	"millrace/pool"
)

// largeRecords makes a topic with a record of 300 KB for each letter.
func largeRecords(t *testing.T, b testkit.Broker, letters string) (topic string) {
	t.Helper()
	topic = testkit.CreateTopic(t, b, 1)
	for _, letter := range letters {
		value := `"` + strings.Repeat(string(letter), 300_000) + `"`
		if err := testkit.Client(t, b).ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return topic
}

// askFor writes a read of one record, as it is.
func askFor(conn net.Conn, topic string, offset int) {
	fmt.Fprintf(conn, "GET /topics/%s/partitions/0/records?offset=%d&max_bytes=1 HTTP/1.1\r\nHost: h\r\nAccept: application/vnd.kafka.json.v2+json\r\n\r\n", topic, offset)
}

// wantLarge reads the answer.
func wantLarge(t *testing.T, r *bufio.Reader, letter byte) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || bytes.Count(body, []byte{letter}) < 300_000 {
		t.Errorf("status %d, %d bytes, %.80s", resp.StatusCode, len(body), body)
	}
}

// The connection owns a response's buffer until the response is written, also where pipelined
// requests arrive before the responses to earlier ones are read.
func TestLargeAnswersToRequestsThatComeTogether(t *testing.T) {
	b := testkit.Fake(t).Broker
	s := start(t, b)
	topic := largeRecords(t, b, "QWXZ")
	before := pool.Buffers().Out
	conn := s.raw(t)
	const rounds = 10
	for range rounds {
		for offset := range 4 {
			askFor(conn, topic, offset)
		}
	}
	r := bufio.NewReader(conn)
	for range rounds {
		for _, letter := range []byte("QWXZ") {
			wantLarge(t, r, letter)
		}
	}
	// A connection that closes before its response leaves no buffer behind.
	gone := s.raw(t)
	askFor(gone, topic, 0)
	gone.Close()
	conn.Close()
	testkit.Eventually(t, 20*time.Second, "the buffers to be given back", func() bool { return pool.Buffers().Out <= before })
}
