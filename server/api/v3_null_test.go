package api_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// A null in a list of brokers is not the broker 0: the request is refused before Kafka hears of it.
// A number that may be left out may be null.
func TestV3NullIsNoBroker(t *testing.T) {
	t.Parallel()
	f := testkit.Fake(t, kfake.SeedTopics(1, "readings"))
	s := startV3(t, f.Broker)
	asked := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.AlterPartitionAssignments, kmsg.CreateTopics}, Observe: true, Count: -1})
	s.call(t, "PUT", "/topics/readings/partitions/0/reassignment", `{"replicas":[null]}`).want(t, 400, "")
	s.call(t, "POST", "/topics", `{"topic_name":"t","replicas_assignments":{"0":[null]}}`).want(t, 400, "")
	s.call(t, "POST", "/topics", `{"topic_name":"v","partitions_count":null,"replication_factor":null}`).want(t, 201, "")
	if n := asked.Hits(); n != 1 {
		t.Errorf("%d changes were sent", n)
	}
}
