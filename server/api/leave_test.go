package api_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// TestMembersLeaveWhateverTheyAreDoing has five instances of one group each
// created, subscribed, unsubscribed and deleted by two clients at once. After
// that the group must have no member, and a new consumer its partitions at once.
//
// One interleaving that leaves a dead member behind:
//
//	client A: POST …/subscription {"topics":[]}   the session leaves the group:
//	                                              LeaveGroup is about to be sent
//	client B: DELETE …                            ends the instance, and with it
//	                                              all that its calls wait for
//	A's call: its LeaveGroup is cancelled; the Kafka client is closed without one
//
// The other is in [TestLeavingWhileAJoinIsHeld]. Kafka's own delay of a first
// rebalance makes both likely, so the real broker of this test has it.
func TestMembersLeaveWhateverTheyAreDoing(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	real := func(t *testing.T) testkit.Broker {
		return testkit.StartKafka(t, testkit.KafkaOptions{Properties: map[string]string{"group.initial.rebalance.delay.ms": "3000"}}).Broker
	}
	fake := func(t *testing.T) testkit.Broker { return testkit.Fake(t).Broker }
	for name, broker := range map[string]func(*testing.T) testkit.Broker{"kfake": fake, "kafka": real} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := broker(t)
			for _, protocol := range []string{"classic", "consumer"} {
				t.Run(protocol, func(t *testing.T) { leaveInTheMiddle(t, b, protocol) })
			}
		})
	}
}

// TestLeavingWhileAJoinIsHeld deletes an instance while Kafka holds the answer
// to its join, because another member of the group has not joined anew. The
// interleaving that leaves a dead member behind:
//
//	instance: JoinGroup ->     Kafka waits for the other member
//	DELETE:                    the library waits for the answer before it leaves
//	after 5 s: the Kafka client is closed without a LeaveGroup
//	Kafka: <- JoinGroup        completes the join of a member that is gone
func TestLeavingWhileAJoinIsHeld(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic, group := testkit.CreateTopic(t, b, 1), testkit.Group(t)
		joinAndFallSilent(t, b, group, topic)
		s.do(t, "POST", "/consumers/"+group, `{"name":"i"}`, plainV2).want(t, 200, "")
		s.do(t, "POST", instancePath(group, "i")+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
		testkit.Eventually(t, 20*time.Second, "the instance is in the group", func() bool { return groupMembers(t, b, group) == 2 })
		begun := time.Now()
		s.do(t, "DELETE", instancePath(group, "i"), "").want(t, 204, "")
		if took := time.Since(begun); took > 4500*time.Millisecond {
			t.Errorf("DELETE took %v", took)
		}
		if n := groupMembers(t, b, group); n != 1 {
			t.Errorf("the group has %d members, not just the one that is silent", n)
		}
	})
}

// joinAndFallSilent makes a member of the group that does nothing more, until its
// session is over.
func joinAndFallSilent(t *testing.T, b testkit.Broker, group, topic string) {
	t.Helper()
	cl := testkit.Client(t, b)
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis, join.ProtocolType = group, 45_000, 60_000, "consumer"
	metadata := kmsg.NewConsumerMemberMetadata()
	metadata.Topics = []string{topic}
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = kgo.CooperativeStickyBalancer().ProtocolName(), metadata.AppendTo(nil)
	join.Protocols = append(join.Protocols, protocol)
	resp, err := join.RequestWith(t.Context(), cl)
	if err == nil && resp.ErrorCode == kerr.MemberIDRequired.Code {
		join.MemberID = resp.MemberID
		resp, err = join.RequestWith(t.Context(), cl)
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		t.Fatalf("cannot join the group: %v", err)
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = group, resp.MemberID, resp.Generation
	assignment := kmsg.NewSyncGroupRequestGroupAssignment()
	assignment.MemberID = resp.MemberID
	sync.GroupAssignment = append(sync.GroupAssignment, assignment)
	if _, err := sync.RequestWith(t.Context(), cl); err != nil {
		t.Fatalf("cannot complete the join: %v", err)
	}
}

func leaveInTheMiddle(t *testing.T, b testkit.Broker, protocol string) {
	const instances, clients, churn = 5, 2, 6 * time.Second
	s := start(t, b, func(o *stackOptions) { o.fetch.GroupProtocol = protocol })
	topic := testkit.CreateTopic(t, b, 4)
	group := testkit.Group(t)
	var busy sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	answers := make(map[string]int)
	for until, n := time.Now().Add(churn), 0; n < instances*clients; n++ {
		name := fmt.Sprintf("i%d", n%instances)
		busy.Go(func() {
			for time.Now().Before(until) {
				begun := time.Now()
				call, r := churnOnce(s, group, name, topic)
				mu.Lock()
				slowest = max(slowest, time.Since(begun))
				answers[fmt.Sprintf("%s %d", call, r.status)]++
				mu.Unlock()
				if r.status >= 500 {
					t.Errorf("%s: %d %s", call, r.status, r.body)
				}
			}
		})
	}
	busy.Wait()
	t.Logf("answers %v; the slowest took %v", answers, slowest)
	if slowest > 30*time.Second { // a session's timeout is 45 s
		t.Errorf("a call took %v", slowest)
	}
	for n := range instances {
		s.try("DELETE", instancePath(group, fmt.Sprintf("i%d", n)), "")
	}
	if left := groupMembers(t, b, group); left != 0 {
		t.Errorf("the group has %d members left", left)
	}
	begun := time.Now()
	s.do(t, "POST", "/consumers/"+group, `{"name":"sole","auto.offset.reset":"earliest","format":"json"}`, plainV2).want(t, 200, "sole")
	s.do(t, "POST", instancePath(group, "sole")+"/subscription", `{"topics":["`+topic+`"]}`, plainV2).want(t, 204, "")
	testkit.Eventually(t, 90*time.Second, "the only consumer has its partitions", func() bool {
		return s.do(t, "GET", instancePath(group, "sole")+"/assignments", "").body == `{"partitions":[`+fourPartitions(topic)+`]}`
	})
	took := time.Since(begun)
	t.Logf("a new consumer waited %v for its partitions", took)
	if took > 30*time.Second {
		t.Errorf("a new consumer waited %v for its partitions", took)
	}
	s.do(t, "DELETE", instancePath(group, "sole"), "").want(t, 204, "")
	if left := groupMembers(t, b, group); left != 0 {
		t.Errorf("the group has %d members left", left)
	}
}

func instancePath(group, name string) string { return "/consumers/" + group + "/instances/" + name }

func fourPartitions(topic string) (text string) {
	for p := range 4 {
		if p > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"topic":%q,"partition":%d}`, topic, p)
	}
	return text
}

// churnOnce makes one call at random about the instance.
func churnOnce(s *stack, group, name, topic string) (call string, r reply) {
	var err error
	switch path := instancePath(group, name); rand.IntN(4) {
	case 0:
		call = "create"
		r, err = s.try("POST", "/consumers/"+group, `{"name":"`+name+`"}`, plainV2)
	case 1:
		call = "subscribe"
		r, err = s.try("POST", path+"/subscription", `{"topics":["`+topic+`"]}`, plainV2)
	case 2:
		call = "unsubscribe"
		r, err = s.try("POST", path+"/subscription", `{"topics":[]}`, plainV2)
	default:
		call = "delete"
		r, err = s.try("DELETE", path, "")
	}
	if err != nil {
		r = reply{status: 599, body: err.Error()}
	}
	return call, r
}

// groupMembers is how many members the group has, in either protocol.
func groupMembers(t testing.TB, b testkit.Broker, group string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cl := testkit.Client(t, b)
	defer cl.Close()
	groups, err := kadm.NewClient(cl).DescribeGroups(ctx, group)
	if err != nil {
		t.Fatalf("cannot describe the group: %v", err)
	}
	return len(groups[group].Members) + consumerProtocolMembers(ctx, t, cl, group)
}

func consumerProtocolMembers(ctx context.Context, t testing.TB, cl *kgo.Client, group string) (n int) {
	t.Helper()
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		t.Fatalf("cannot describe the group: %v", err)
	}
	for _, g := range resp.Groups {
		n += len(g.Members) // none, with an error, in a group of the classic protocol
	}
	return n
}
