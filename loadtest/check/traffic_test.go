package check

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// A broker that has not heard of a topic says that there is none, while another refuses to make it
// again.
func TestTopicThatABrokerHasNotHeardOf(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 3)
	var asked atomic.Int32
	b.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		named := r.(*kmsg.MetadataRequest).Topics
		if len(named) != 1 || asked.Add(1) > 2 {
			return nil, nil, false
		}
		resp := r.ResponseKind().(*kmsg.MetadataResponse)
		answer := kmsg.NewMetadataResponseTopic()
		answer.Topic, answer.ErrorCode = named[0].Topic, kerr.UnknownTopicOrPartition.Code
		resp.Topics = append(resp.Topics, answer)
		return resp, nil, true
	})
	partitions, made, err := makeTopic(t.Context(), kadm.NewClient(testkit.Client(t, b.Broker)), topic, 5)
	if err != nil || made || partitions != 3 {
		t.Errorf("the topic of 3 partitions has %d, made: %v, %v", partitions, made, err)
	}
	if asked.Load() < 2 {
		t.Errorf("the topic was looked for %d times", asked.Load())
	}
}
