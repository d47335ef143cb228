package batch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// errAbsent stands for the library's error for a partition that it does not know.
var errAbsent = errors.New("a choice of 2 from 2 available")

// attempt is what the sink answers to one lending: an error for each record that it holds then.
type attempt []error

// produceIn produces a body to t, of which each look-up afresh finds so many partitions, and
// returns the response, and how many records were lent in each attempt.
func produceIn(t *testing.T, body string, partitions int32, attempts ...attempt) (out string, lent []int, recreated int, err error) {
	t.Helper()
	s, c := &sink{}, cluster
	c.Recreated = func(string) { recreated++ }
	c.Afresh = func(context.Context, string) (string, int32, error) {
		if partitions == 0 {
			return "", 0, apierr.TopicNotFound.New("Topic t not found.")
		}
		return "t", partitions, nil
	}
	first := c.Topic
	looked := 0
	c.Topic = func(ctx context.Context, name string) (string, int32, error) {
		if looked++; looked > 1 && partitions == 0 {
			return "", 0, apierr.TopicNotFound.New("Topic t not found.")
		}
		return first(ctx, name)
	}
	synctest.Test(t, func(t *testing.T) {
		p := New(s, c, Settings{BufferBytes: 1 << 20, Timeout: againFor})
		done := make(chan struct{})
		go func() {
			defer close(done)
			var dst []byte
			dst, err = p.Produce(fill(t, p, body), "t", AnyPartition, nil, results)
			out = string(dst)
		}()
		for _, errs := range attempts {
			synctest.Wait()
			for !s.holds(1) && !s.holds(2) {
				select {
				case <-done:
					return
				default:
					time.Sleep(time.Millisecond)
				}
			}
			lent = append(lent, len(s.records))
			records := s.records
			s.finish(func(i int) error {
				if errs[i] == errAbsent {
					kafka.Partitioner(1).ForTopic("t").Partition(records[i].Record, int(records[i].Partition))
				}
				return errs[i]
			})
		}
		<-done
		if p.Held() != 0 {
			t.Errorf("%d bytes are held", p.Held())
		}
	})
	return out, lent, recreated, err
}

// The records of a topic that was recreated, or of a partition that the client library does not
// know yet, are sent again by the node, and no other with them.
func TestRecordsAreSentAgain(t *testing.T) {
	const two = `{"records":[{"value":1},{"value":2}]}`
	out, lent, recreated, err := produceIn(t, two, 3, attempt{kerr.UnknownTopicID, nil}, attempt{nil})
	if want := "0@100 0@101 "; err != nil || out != want || len(lent) != 2 || lent[1] != 1 || recreated != 1 {
		t.Errorf("recreated: %q %v, lent %v, told %d times", out, err, lent, recreated)
	}
	out, lent, _, err = produceIn(t, `{"records":[{"value":1,"partition":2}]}`, 3, attempt{errAbsent}, attempt{errAbsent}, attempt{nil})
	if want := "2@100 "; err != nil || out != want || len(lent) != 3 {
		t.Errorf("added: %q %v, lent %v", out, err, lent)
	}
	// A record that cannot be repeated as it was asked is left to the client.
	for name, f := range map[string]struct {
		body       string
		partitions int32
		kind       *apierr.Kind
	}{
		"other partitions": {`{"records":[{"value":1}]}`, 4, apierr.KafkaRetriable},
		"own timestamp":    {`{"records":[{"value":1,"timestamp":5}]}`, 3, apierr.KafkaRetriable},
		"deleted":          {`{"records":[{"value":1}]}`, 0, apierr.TopicNotFound},
	} {
		if _, lent, _, err := produceIn(t, f.body, f.partitions, attempt{kerr.UnknownTopicID}); !f.kind.Is(err) || len(lent) != 1 {
			t.Errorf("%s: %v, lent %v", name, err, lent)
		}
	}
}

// A partition that the cached topic lacks is looked up once more before it is denied, and written
// at once if it exists.
func TestAbsentPartitionIsLookedUpAgain(t *testing.T) {
	out, _, _, err := produceIn(t, `{"records":[{"value":1,"partition":3}]}`, 4, attempt{nil})
	if err != nil || out != "3@100 " {
		t.Errorf("%q %v", out, err)
	}
	if _, lent, _, err := produceIn(t, `{"records":[{"value":1,"partition":4}]}`, 4, attempt{nil}); !apierr.PartitionNotFound.Is(err) || len(lent) != 0 {
		t.Errorf("%v, lent %v", err, lent)
	}
}
