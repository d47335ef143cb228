package api_test

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/internal/testkit"
)

func TestAnyNodeServesAnInstance(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 2)
	all := nodes(t, b, 3)
	i := createConsumer(t, all[0], "")
	all[1].do(t, "POST", i+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
	all[2].do(t, "GET", i+"/subscription", "").want(t, 200, topic)
	produceNumbers(t, b, topic, 0, 1000)
	got := tally{}
	got.readAll(t, all, i, 1000)
	if n := got.repeated(); n != 0 {
		t.Errorf("%d records came again though nothing went wrong", n)
	}
	all[2].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "[]")
	all[1].do(t, "GET", i+"/offsets?topic="+topic+"&partition=0", "").want(t, 200, `"offset":500`)
	all[1].do(t, "HEAD", i+"/records", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, "")
	all[1].do(t, "DELETE", i, "").want(t, 204, "")
	for _, s := range all {
		s.do(t, "GET", i+"/records", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 404, "40403")
	}
	if answered, _, lost := all[1].server.Forwarder.Forwards(); answered == 0 || lost != 0 {
		t.Errorf("node b has forwarded %d requests and lost %d", answered, lost)
	}
}

func TestOneNameOnTwoNodes(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 3)
	for round := range 10 {
		path := fmt.Sprintf("/consumers/%s-%d", testkit.Group(t), round)
		statuses := make([]int, len(all))
		var wg sync.WaitGroup
		for n, s := range all {
			wg.Go(func() {
				r, err := s.try("POST", path, `{"name":"i"}`, plainV2)
				if err != nil {
					t.Error(err)
				}
				statuses[n] = r.status
			})
		}
		wg.Wait()
		slices.Sort(statuses)
		if !slices.Equal(statuses, []int{200, 409, 409}) {
			t.Fatalf("round %d: three nodes were asked for one name and answered %v", round, statuses)
		}
	}
}

func TestNodesTrustOnlyTheirSecret(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	i := createConsumer(t, all[0], "")
	all[0].do(t, "POST", i+"/subscription", `{}`, plainV2, "X-Millrace-Secret: guessed", "X-Millrace-Method: DELETE").want(t, 403, "40301")
	// Nor the secret as it is, which somebody may have heard of a former version.
	all[0].do(t, "POST", i+"/subscription", `{}`, plainV2, "X-Millrace-Secret: "+clusterSecret, "X-Millrace-Method: DELETE").want(t, 403, "40301")
	all[0].doAsNode(t, "GET", i+"/subscription", "").want(t, 200, "topics")
	// A request that was forwarded is forwarded no further.
	r := all[1].doAsNode(t, "GET", i+"/subscription", "").want(t, 503, "50307")
	if r.header.Get("X-Millrace-Elsewhere") == "" || r.header.Get("Retry-After") == "" {
		t.Errorf("the refusal does not say that the instance is elsewhere: %v", r.header)
	}
	alone := start(t, b)
	alone.do(t, "GET", "/topics", "", "X-Millrace-Secret: "+clusterSecret, "X-Millrace-Method: POST").want(t, 200, "")
}

func TestInstanceOutlivesItsNode(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"subscription", "assignments"} {
		for _, end := range []struct {
			name string
			end  func(*stack, *testing.T)
		}{{"drained", (*stack).drain}, {"cut off", (*stack).cut}} {
			t.Run(how+" "+end.name, func(t *testing.T) {
				t.Parallel()
				b := testkit.Fake(t).Broker
				all := nodes(t, b, 3)
				i, topic := prepare(t, all, how, `,"auto.commit.enable":"false"`, 1000)
				got := tally{}
				got.readAll(t, all, i, 1000)
				all[1].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
				produceNumbers(t, b, topic, 1000, 10)
				got.readAll(t, all, i, 1010) // returned and not committed
				end.end(all[0], t)
				produceNumbers(t, b, topic, 1010, 500)
				got.readAll(t, all[1:], i, 1510)
				if n := got.repeated(); n > 10 {
					t.Errorf("%d records came again; only 10 were answered and not committed", n)
				}
				all[2].do(t, "GET", i+"/assignments", "").want(t, 200, topic)
				all[2].do(t, "DELETE", i, "").want(t, 204, "")
				all[1].do(t, "DELETE", i, "").want(t, 404, "40403")
			})
		}
	}
}

func TestNodeThatIsCutOffStopsToServe(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	i, _ := prepare(t, all, "subscription", "", 10)
	tally{}.readAll(t, all[:1], i, 10)
	all[0].cut(t)
	testkit.Eventually(t, 10*time.Second, "the node to notice", func() bool {
		return tally{}.readFrom(t, all[0], i).status == http.StatusServiceUnavailable
	})
	tally{}.readFrom(t, all[0], i).want(t, 503, "50303")
}

func TestPositionsOutliveTheirNode(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"subscription", "assignments"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			b := testkit.Fake(t).Broker
			all := nodes(t, b, 2)
			i, topic := prepare(t, all, how, `,"auto.commit.enable":"false"`, 100)
			tally{}.readAll(t, all, i, 100)
			all[1].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
			all[1].do(t, "POST", i+"/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":1,"offset":40}]}`, topic), plainV2).want(t, 204, "")
			all[0].cut(t)
			got := tally{}
			got.readAll(t, all[1:], i, 10)
			for v := range got {
				if v%2 != 1 || v < 80 {
					t.Errorf("read %d after a seek to offset 40 of partition 1, whose values are odd", v)
				}
			}
			// A commit after the seek outranks the seek.
			all[1].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
			all[1].drain(t)
			again := start(t, b, asNode("node-b"))
			var r reply
			testkit.Eventually(t, 20*time.Second, "the answer", func() bool {
				r = tally{}.readFrom(t, again, i)
				return r.status != http.StatusServiceUnavailable
			})
			r.want(t, 200, "[]")
		})
	}
}

// An instance that begins at the end of the log must not miss records that arrive between its
// node's death and its adoption.
func TestLatestStaysWhereItBegan(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"subscription", "assignments"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			b := testkit.Fake(t).Broker
			all := nodes(t, b, 2)
			topic := testkit.CreateTopic(t, b, 2)
			produceNumbers(t, b, topic, 0, 10)
			path := "/consumers/" + testkit.Group(t)
			all[0].do(t, "POST", path, `{"name":"i","format":"json","auto.offset.reset":"latest"}`, plainV2).want(t, 200, "")
			i := path + "/instances/i"
			if how == "subscription" {
				all[0].do(t, "POST", i+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
			} else {
				all[0].do(t, "POST", i+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%[1]q,"partition":0},{"topic":%[1]q,"partition":1}]}`, topic), plainV2).want(t, 204, "")
			}
			tally{}.readFrom(t, all[0], i).want(t, 200, "[]")
			all[0].cut(t)
			produceNumbers(t, b, topic, 10, 10)
			got := tally{}
			got.readAll(t, all[1:], i, 10)
			if got[10] != 1 || got[9] != 0 {
				t.Errorf("read %v, want 10 to 19", got)
			}
		})
	}
}

func TestNodeThatComesBackFindsItsInstances(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	first := nodes(t, b, 1)
	i, _ := prepare(t, first, "subscription", `,"auto.commit.enable":"false"`, 10)
	tally{}.readAll(t, first, i, 10)
	first[0].drain(t)
	again := start(t, b, asNode("node-a"))
	again.doMoved(t, "GET", i+"/subscription", "").want(t, 200, "topics")
	tally{}.readAll(t, []*stack{again}, i, 10) // returned, never committed
}

// A page whose response was lost between two nodes is not confirmed.
func TestAnswerLostBetweenNodesComesAgain(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	way := newLossy(t)
	owner := start(t, b, asNode("node-a"), func(o *stackOptions) { o.via = way.before })
	other := start(t, b, asNode("node-b"))
	i, topic := prepare(t, []*stack{owner}, "subscription", "", 100)
	got := tally{}
	got.readAll(t, []*stack{other}, i, 100)
	for round := 1; round <= 3; round++ {
		produceNumbers(t, b, topic, 100*round, 100)
		way.lose.Store(1)
		got.readAll(t, []*stack{other}, i, 100*round+100)
	}
	if _, _, lost := other.server.Forwarder.Forwards(); lost < 3 {
		t.Errorf("%d answers were lost, not 3", lost)
	}
	way.lose.Store(1)
	other.do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
	if n := got.repeated(); n != 0 {
		t.Errorf("%d records were answered more than once", n)
	}
}

// A change of an instance's node is no rebalance: the other members keep their partitions.
func TestAdoptionIsNoRebalance(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		place := "_" + testkit.Topic(t)
		own := func(o *stackOptions) {
			// Nobody dies here, and a busy machine must not look so.
			o.node.Topic, o.node.Heartbeat, o.node.Lease = place, 500*time.Millisecond, 20*time.Second
		}
		var all []*stack
		for _, id := range []string{"a", "b", "c"} {
			all = append(all, start(t, b, asNode(id), own))
		}
		i, topic := prepare(t, all, "subscription", "", 100)
		group := strings.TrimSuffix(i, "/instances/i")
		all[1].do(t, "POST", group, `{"name":"bystander","format":"json","auto.offset.reset":"earliest"}`, plainV2).want(t, 200, "")
		bystander := group + "/instances/bystander"
		all[1].do(t, "POST", bystander+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic), plainV2).want(t, 204, "")
		parts := func(s *stack, path string) int {
			return strings.Count(s.do(t, "GET", path+"/assignments", "").body, `"partition":`)
		}
		got := tally{}
		testkit.Eventually(t, 40*time.Second, "a partition each", func() bool {
			got.readFrom(t, all[0], i)
			got.readFrom(t, all[1], bystander)
			return parts(all[0], i) == 1 && parts(all[1], bystander) == 1
		})
		before := all[1].consumers.Stats()
		all[0].drain(t)
		testkit.Eventually(t, 40*time.Second, "the adopter to have the partition", func() bool {
			got.readFrom(t, all[2], i)
			return parts(all[2], i) == 1
		})
		produceNumbers(t, b, topic, 100, 100)
		testkit.Eventually(t, 40*time.Second, "all records", func() bool {
			got.readFrom(t, all[2], i)
			got.readFrom(t, all[1], bystander)
			return len(got) == 200
		})
		if after := all[1].consumers.Stats(); after.Assigned != before.Assigned || after.Revoked != before.Revoked || after.Dropped != before.Dropped {
			t.Errorf("the other member was rebalanced: %+v, then %+v", before, after)
		}
		if st := all[2].node.Stats(); st.Adopted != 1 {
			t.Errorf("the third node has adopted %d instances", st.Adopted)
		}
	})
}

func TestInstanceThatCannotBeRecovered(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	i, topic := prepare(t, all, "assignments", "", 10)
	testkit.RecreateTopic(t, b, topic, 1) // one of its two partitions
	all[0].drain(t)
	testkit.Eventually(t, 20*time.Second, "the answer", func() bool {
		return tally{}.readFrom(t, all[1], i).status != http.StatusServiceUnavailable
	})
	tally{}.readFrom(t, all[1], i).want(t, 404, `"error_code":40403`).want(t, 404, "cannot be recovered").want(t, 404, topic)
}

func TestInstancesOfOneClientAreBounded(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, func(o *stackOptions) { o.consumer.MaxPerClient = 2 })
	for n := range 2 {
		s.do(t, "POST", "/consumers/g", fmt.Sprintf(`{"name":"%d"}`, n), plainV2).want(t, 200, "")
	}
	r := s.do(t, "POST", "/consumers/g", `{"name":"2"}`, plainV2).want(t, 429, "42904")
	r.want(t, 429, "consumer.instances.max.per.client")
	if r.header.Get("Retry-After") == "" {
		t.Error("nothing says when to try again")
	}
	s.do(t, "DELETE", "/consumers/g/instances/0", "").want(t, 204, "")
	s.do(t, "POST", "/consumers/g", `{"name":"2"}`, plainV2).want(t, 200, "")
}

func TestStreamOfAnotherNode(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	i, topic := prepare(t, all, "subscription", "", 100)
	req, err := http.NewRequestWithContext(t.Context(), "GET", all[1].base+i+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func(want int) {
		t.Helper()
		for range want {
			if !lines.Scan() {
				t.Fatalf("the stream has ended (%d %v)", resp.StatusCode, lines.Err())
			}
			if !strings.Contains(lines.Text(), `"value":`) {
				t.Fatalf("the line %q is no record", lines.Text())
			}
		}
	}
	next(100)
	produceNumbers(t, b, topic, 100, 10) // while it is open
	next(10)
}

// Where the broker assigns, the adoption is a member that leaves and another that joins.
func TestAdoptionWithTheBrokersOwnGroups(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		place := "_" + testkit.Topic(t)
		own := func(o *stackOptions) {
			o.node.Topic, o.node.Heartbeat, o.node.Lease = place, 500*time.Millisecond, 20*time.Second
			o.fetch.GroupProtocol = "consumer"
		}
		all := []*stack{start(t, b, asNode("a"), own), start(t, b, asNode("b"), own)}
		i, topic := prepare(t, all, "subscription", `,"auto.commit.enable":"false"`, 100)
		got := tally{}
		got.readAll(t, all, i, 100)
		all[0].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
		all[0].drain(t)
		produceNumbers(t, b, topic, 100, 100)
		got.readAll(t, all[1:], i, 200)
		if n := got.repeated(); n != 0 {
			t.Errorf("%d records came again though all were committed", n)
		}
	})
}

// A DELETE that a node retries, because it got no response, succeeds.
func TestRepeatedDelete(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := nodes(t, b, 1)[0]
	i := createConsumer(t, s, "")
	s.do(t, "DELETE", i, "").want(t, 204, "")
	s.do(t, "DELETE", i, "", "X-Millrace-Again: true").want(t, 404, "40403") // not a node
	s.doAsNode(t, "DELETE", i, "", "X-Millrace-Again: true").want(t, 204, "")
	s.doAsNode(t, "DELETE", i, "").want(t, 404, "40403")
}
