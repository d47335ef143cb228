package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// What a commit has made void of a seek is void for who adopts the instance,
// also where the group is back at the offset that it had before the seek.
func TestCommitAfterSeekOutlivesItsNode(t *testing.T) {
	for _, how := range []string{"subscription", "assignments"} {
		for _, end := range []struct {
			name string
			end  func(*stack, *testing.T)
		}{{"drained", (*stack).drain}, {"cut off", (*stack).cut}} {
			t.Run(how+" "+end.name, func(t *testing.T) {
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

// A v1 instance is read, committed and deleted by way of any node, and outlives its own.
func TestAnyNodeServesAnInstanceOfV1(t *testing.T) {
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

// values are the values of the records in an answer, as they stand there.
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
