package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/cluster"
	"millrace/consumer"
	"millrace/internal/testkit"
)

// A commit that made a seek void makes it void for the adopting node too, also where the group is
// back at the offset that it had before the seek.
func TestCommitAfterSeekOutlivesItsNode(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"subscription", "assignments"} {
		for _, end := range []struct {
			name string
			end  func(*stack, *testing.T)
		}{{"drained", (*stack).drain}, {"cut off", (*stack).cut}} {
			t.Run(how+" "+end.name, func(t *testing.T) {
				t.Parallel()
				b := testkit.Fake(t).Broker
				all := nodes(t, b, 2)
				i, topic := prepare(t, all, how, `,"auto.commit.enable":"false"`, 100)
				tally{}.readAll(t, all[:1], i, 100)
				all[0].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
				all[0].do(t, "POST", i+"/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":1,"offset":40}]}`, topic), plainV2).want(t, 204, "")
				tally{}.readAll(t, all[:1], i, 10)
				all[0].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "[]")
				end.end(all[0], t)
				produceNumbers(t, b, topic, 100, 2)
				got := tally{}
				got.readAll(t, all[1:], i, 2)
				if len(got) != 2 || got.repeated() != 0 {
					t.Errorf("%d records came again though all were committed", len(got)-2)
				}
			})
		}
	}
}

// The same where auto-commit makes the seek void at a drain.
func TestAutoCommitAfterSeekOutlivesADrain(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	i, topic := prepare(t, all, "assignments", "", 100)
	tally{}.readAll(t, all[:1], i, 100)
	all[0].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
	all[0].do(t, "POST", i+"/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":1,"offset":40}]}`, topic), plainV2).want(t, 204, "")
	tally{}.readAll(t, all[:1], i, 10)
	tally{}.readFrom(t, all[0], i).want(t, 200, "[]") // confirms them
	all[0].drain(t)
	produceNumbers(t, b, topic, 100, 2)
	got := tally{}
	got.readAll(t, all[1:], i, 2)
	if len(got) != 2 {
		t.Errorf("%d records came again though all were committed", len(got)-2)
	}
}

// A v1 instance is read, committed and deleted through any node, and outlives its own.
func TestAnyNodeServesAnInstanceOfV1(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 3)
	topic := testkit.CreateTopic(t, b, 2)
	group := "/consumers/" + testkit.Group(t)
	const plainV1, acceptV1 = "Content-Type: application/vnd.kafka.v1+json", "Accept: application/vnd.kafka.binary.v1+json"
	all[0].do(t, "POST", group, `{"name":"i","auto.offset.reset":"smallest","auto.commit.enable":"false"}`, plainV1).want(t, 200, `"instance_id":"i"`)
	i := group + "/instances/i"
	read := func(through []*stack, want int) map[string]int {
		t.Helper()
		got := map[string]int{}
		turn := 0
		testkit.Eventually(t, 40*time.Second, fmt.Sprint(want, " records"), func() bool {
			r := through[turn%len(through)].do(t, "GET", i+"/topics/"+topic, "", acceptV1)
			turn++
			if r.status == http.StatusServiceUnavailable {
				return false
			}
			for _, v := range values(t, r.want(t, 200, "").body) {
				got[v]++
			}
			return len(got) >= want
		})
		return got
	}
	produceNumbers(t, b, topic, 0, 100)
	read(all[1:], 100)
	all[2].do(t, "POST", i+"/offsets", "", plainV1).want(t, 200, `"consumed":49,"committed":49`)
	all[0].cut(t)
	produceNumbers(t, b, topic, 100, 100)
	if got := read(all[1:], 100); len(got) != 100 {
		t.Errorf("read %d records, of which %d were committed before", len(got), len(got)-100)
	}
	all[1].do(t, "DELETE", i, "", plainV1).want(t, 204, "")
	all[2].do(t, "GET", i+"/topics/"+topic, "", acceptV1).want(t, 404, "40403")
}

// values returns the values of the records in a response, as written there.
func values(t *testing.T, answer string) (all []string) {
	t.Helper()
	var records []struct{ Value json.RawMessage }
	if err := json.Unmarshal([]byte(answer), &records); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	for _, r := range records {
		all = append(all, string(r.Value))
	}
	return all
}

// Interleaving: a node's lease ends, another node adopts the instance, the first node gets a
// commit before it has learned of that. It must commit nothing: an assignment has no membership
// by which Kafka could fence it.
func TestLateCommitOfAnAssignmentIsFenced(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	all := nodes(t, b, 2)
	i, topic := prepare(t, all, "assignments", `,"auto.commit.enable":"false"`, 100)
	tally{}.readAll(t, all[:1], i, 100)
	former, err := all[0].consumers.Get(strings.Split(i, "/")[2], "i")
	if err != nil {
		t.Fatal(err)
	}
	all[0].cut(t)
	tally{}.readAll(t, all[1:], i, 100)
	all[1].do(t, "POST", i+"/offsets", "", plainV2).want(t, 200, "")
	low := []consumer.Offset{{TopicPartition: consumer.TopicPartition{Topic: topic}, Offset: 9}}
	if err := former.Commit(t.Context(), low); !errors.Is(err, cluster.ErrCutOff) {
		t.Errorf("the former owner's commit: %v", err)
	}
	all[1].do(t, "GET", i+"/offsets?topic="+topic+"&partition=0", "").want(t, 200, `"offset":50`)
}

// Any node tells a client that its instance has expired.
func TestExpiredInstanceSaysWhy(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	brief := func(o *stackOptions) { o.consumer.InstanceTimeout = time.Second }
	all := []*stack{start(t, b, asNode("node-a"), brief), start(t, b, asNode("node-b"), brief)}
	alone := start(t, b, brief)
	i, _ := prepare(t, all, "assignments", "", 10)
	own := createConsumer(t, alone, "")
	testkit.Eventually(t, 20*time.Second, "the instances to expire", func() bool { return all[0].consumers.Count()+alone.consumers.Count() == 0 })
	for path, through := range map[string][]*stack{i: all, own: {alone}} {
		for _, s := range through {
			s.do(t, "GET", path+"/assignments", "").want(t, 404, `"error_code":40403`).want(t, 404, "has expired")
		}
	}
	alone.do(t, "GET", own+"x/assignments", "").want(t, 404, "not found")
	alone.do(t, "POST", strings.TrimSuffix(own, "/instances/i"), `{"name":"i"}`, plainV2).want(t, 200, "")
	alone.do(t, "DELETE", own, "").want(t, 204, "")
	alone.do(t, "GET", own+"/assignments", "").want(t, 404, "not found") // not that it had expired
}
