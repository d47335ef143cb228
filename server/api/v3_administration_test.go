package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// Limits of clients are set and taken; Kafka has the same by itself.
func TestV3ClientQuotas(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		user := testkit.Topic(t)
		has := func(want string) {
			t.Helper()
			found, err := s.admin.DescribeClientQuotas(t.Context(), false, []kadm.DescribeClientQuotaComponent{{Type: "user", MatchName: &user}})
			var all []string
			for _, q := range found {
				all = append(all, fmt.Sprint(q.Entity, q.Values))
			}
			if got := strings.Join(all, " "); err != nil || got != want {
				t.Errorf("Kafka has %s, %v, want %s", got, err, want)
			}
		}
		alter := func(body string) reply {
			t.Helper()
			return s.call(t, "POST", "/client-quotas:alter", strings.ReplaceAll(body, "USER", user))
		}
		const set = `{"data":[{"client":[{"type":"user","name":"USER"}],"limits":[{"name":"producer_byte_rate","value":1024},{"name":"request_percentage","value":"12.5"}]}]`
		alter(set+`,"validate_only":true}`).want(t, 204, "")
		has("")
		alter(set+`}`).want(t, 204, "")
		list := s.call(t, "GET", "/client-quotas?user="+user, "").
			wantAt(t, "data/0/client/0/name", user).wantAt(t, "data/0/client/0/is_default", false).
			wantAt(t, "data/0/limits/0/value", "1024").wantAt(t, "data/0/limits/1/value", "12.5")
		if n := len(list.at(t, "data").([]any)); n != 1 {
			t.Errorf("%d clients are listed, want 1: %s", n, list.body)
		}
		s.call(t, "GET", "/client-quotas?user=nobody-"+user, "").want(t, 200, `"data":[]`)
		alter(`{"data":[{"client":[{"type":"user","name":"USER"}],"limits":[{"name":"request_percentage","operation":"DELETE"}]}]}`).want(t, 204, "")
		has(fmt.Sprintf("{user=%s} [producer_byte_rate=1024.000000]", user))
		alter(`{"data":[{"client":[{"type":"user","name":"USER"}],"limits":[{"name":"producer_byte_rate","operation":"DELETE"}]}]}`).want(t, 204, "")
		has("")
		for _, bad := range []string{
			`{}`, `{"data":[]}`,
			`{"data":[{"client":[{"type":"user"}],"limits":[{"name":"producer_byte_rate","value":1}]}]}`,
			`{"data":[{"client":[{"type":"user","name":"USER","is_default":true}],"limits":[{"name":"producer_byte_rate","value":1}]}]}`,
			`{"data":[{"client":[],"limits":[{"name":"producer_byte_rate","value":1}]}]}`,
			`{"data":[{"client":[{"type":"user","name":"USER"}],"limits":[]}]}`,
			`{"data":[{"client":[{"type":"user","name":"USER"}],"limits":[{"name":"producer_byte_rate"}]}]}`,
			set[:len(set)-1] + "," + set[len(`{"data":[`):] + `}`,
		} {
			alter(bad).want(t, 422, "")
		}
		alter(`{"data":[{"client":[{"type":"user","name":"USER"}],"limits":[{"name":"producer_byte_rate","value":"much"}]}]}`).want(t, 400, "not a number")
		has("")
		if b.Name == "kfake" { // which takes any name
			return
		}
		alter(`{"data":[{"client":[{"type":"user","name":"USER"}],"limits":[{"name":"producer_byte_rate","value":7}]},{"client":[{"type":"planet","name":"mars"}],"limits":[{"name":"producer_byte_rate","value":1}]}]}`).
			want(t, 207, "").wantAt(t, "failures/0/client/0/type", "planet").wantAt(t, "failures/0/error_code", "40002")
		has(fmt.Sprintf("{user=%s} [producer_byte_rate=7.000000]", user))
		alter(`{"data":[{"client":[{"type":"user","name":"USER"}],"limits":[{"name":"producer_byte_rate","operation":"delete"}]}]}`).want(t, 204, "")
	})
}

// The versions of features are listed, and a change is checked without being made.
func TestV3Features(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		version := func() (used, highest string) {
			t.Helper()
			r := s.call(t, "GET", "/features", "").want(t, 200, `"kind":"KafkaFeatureList"`)
			for _, d := range r.at(t, "data").([]any) {
				if f := d.(map[string]any); f["feature_name"] == "metadata.version" {
					return fmt.Sprint(f["version"]), fmt.Sprint(f["max_version"])
				}
			}
			t.Fatalf("there is no metadata.version: %s", r.body)
			return "", ""
		}
		used, highest := version()
		if used == "0" || highest == "0" {
			t.Errorf("the version is %s of %s", used, highest)
		}
		update := func(body string) reply {
			t.Helper()
			return s.call(t, "POST", "/features:update", body)
		}
		update(`{"validate_only":true,"data":[{"feature_name":"metadata.version","version":"`+highest+`"}]}`).want(t, 204, "")
		update(`{"data":[{"feature_name":"metadata.version","version":30000}]}`).want(t, 400, "40002")
		update(`{"data":[{"feature_name":"metadata.version","version":1}]}`).want(t, 400, "40002")
		update(`{"data":[{"feature_name":"no.such.version","version":1}]}`).want(t, 400, "40002")
		update(`{"data":[{"feature_name":"metadata.version","version":40000}]}`).want(t, 400, "version must be")
		update(`{"data":[{"feature_name":"metadata.version","version":7,"type":"SIDEGRADE"}]}`).want(t, 400, "type must be")
		update(`{"data":[{"feature_name":"metadata.version"}]}`).want(t, 422, "")
		update(`{"data":[{"feature_name":"a","version":1},{"feature_name":"a","version":2}]}`).want(t, 422, "once")
		if now, _ := version(); now != used {
			t.Errorf("the version is %s, want %s as before", now, used)
		}
	})
}

// An update of a feature is made, and the next list shows it.
func TestV3FeaturesAreUpdated(t *testing.T) {
	t.Parallel()
	s := startV3(t, testkit.Fake(t).Broker)
	for _, version := range []string{"0", "1"} {
		how := map[string]string{"0": "safe_downgrade", "1": "upgrade"}[version]
		s.call(t, "POST", "/features:update", `{"data":[{"feature_name":"share.version","version":`+version+`,"type":"`+how+`"}]}`).want(t, 204, "")
		s.call(t, "GET", "/features", "").want(t, 200, `"feature_name":"share.version","version":`+version+`,`)
	}
}

// inTransaction writes a record in a transaction that stays open, and returns its offset.
func inTransaction(t *testing.T, b testkit.Broker, topic, id string) (start int64) {
	t.Helper()
	client := testkit.Client(t, b, kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	r := &kgo.Record{Topic: topic, Value: []byte("open")}
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // what a test has aborted cannot be
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = client.EndTransaction(ctx, kgo.TryAbort)
	})
	return r.Offset
}

// stable returns where those stop who read only what is committed.
func (s *v3) stable(t *testing.T, topic string) int64 {
	t.Helper()
	all, err := s.admin.ListCommittedOffsets(t.Context(), topic)
	o, ok := all.Lookup(topic, 0)
	if err != nil || !ok || o.Err != nil {
		t.Fatalf("%v, %v", o, err)
	}
	return o.Offset
}

// Transactions are listed and described. One that its coordinator knows does not hang.
func TestV3Transactions(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		topic := s.filled(t)
		id := testkit.Topic(t)
		start := inTransaction(t, b, topic, id)
		for _, path := range []string{"/transactions", "/transactions?state=ongoing"} {
			s.call(t, "GET", path, "").want(t, 200, `"transactional_id":"`+id+`","state":"ONGOING"`)
		}
		if r := s.call(t, "GET", "/transactions?state=EMPTY", ""); strings.Contains(r.body, id) {
			t.Errorf("an open transaction is listed as empty: %s", r.body)
		}
		one := s.call(t, "GET", "/transactions/"+id, "").wantAt(t, "state", "ONGOING").
			wantAt(t, "partitions/0/topic_name", topic).wantAt(t, "partitions/0/partition_id", 0)
		coordinator, _ := one.at(t, "coordinator/related").(string)
		s.do(t, "GET", strings.TrimPrefix(coordinator, s.base), "").want(t, 200, "KafkaBroker")
		if began, ok := one.at(t, "start_timestamp").(fmt.Stringer); !ok || began.String() == "0" {
			t.Errorf("it began at %v", one.at(t, "start_timestamp"))
		}
		s.call(t, "GET", "/transactions/none-"+id, "").want(t, 404, `"error_code":404`)
		hanging := "/topics/" + topic + "/hanging-transactions"
		s.call(t, "GET", hanging+"?idle_ms=0", "").want(t, 200, `"data":[]`)
		s.call(t, "GET", hanging+"?idle_ms=-1", "").want(t, 400, "idle_ms")
		s.call(t, "GET", "/topics/none/hanging-transactions", "").want(t, 404, "40401")
		if at := s.stable(t, topic); at != start {
			t.Errorf("committed up to %d, want %d", at, start)
		}
	})
}

// A transaction that no coordinator knows hangs: it is found, and an abort lets readers go on.
func TestV3HangingTransactions(t *testing.T) {
	t.Parallel()
	fake := testkit.Fake(t)
	s := startV3(t, fake.Broker)
	topic := s.filled(t)
	start := inTransaction(t, fake.Broker, topic, testkit.Topic(t))
	fake.ControlKey(int16(kmsg.ListTransactions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		return req.ResponseKind(), nil, true // the coordinator has forgotten it
	})
	for _, path := range []string{topic, "-"} {
		s.call(t, "GET", "/topics/"+path+"/hanging-transactions", "").want(t, 200, `"data":[]`) // it wrote just now
		s.call(t, "GET", "/topics/"+path+"/hanging-transactions?idle_ms=0", "").
			wantAt(t, "data/0/topic_name", topic).wantAt(t, "data/0/partition_id", 0).wantAt(t, "data/0/start_offset", start).
			want(t, 200, `"transactional_id":null`)
	}
	abort := "/topics/" + topic + "/partitions/0/transactions:abort"
	s.call(t, "POST", abort, fmt.Sprintf(`{"start_offset":%d}`, start+1)).want(t, 404, "no open transaction")
	s.call(t, "POST", abort, `{}`).want(t, 422, "start_offset")
	if at := s.stable(t, topic); at != start {
		t.Errorf("committed up to %d, want %d", at, start)
	}
	s.call(t, "POST", abort, fmt.Sprintf(`{"start_offset":%d}`, start)).want(t, 204, "")
	if at := s.stable(t, topic); at != start+2 { // the record, and the marker of its end
		t.Errorf("committed up to %d, want %d", at, start+2)
	}
	if log := s.log.String(); !strings.Contains(log, "millrace.v3.transactions.abort") || !strings.Contains(log, "start_offset=") {
		t.Errorf("the abort is not in the audit log:\n%s", log)
	}
}

// The offsets of a share group are listed, moved and deleted; Kafka has the same by itself.
func TestV3ShareGroupsAreChanged(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		topic, group := s.filled(t), testkit.Group(t)
		var offsets kadm.Offsets
		offsets.AddOffset(topic, 0, 3, -1)
		// It makes the group, once the coordinator's view of the metadata has the topic too: Kafka
		// gives it that view after it has begun to serve the topic.
		testkit.Eventually(t, 10*time.Second, "the coordinator knowing the topic", func() bool {
			answer, err := s.admin.AlterShareGroupOffsets(t.Context(), group, offsets)
			return err == nil && answer.Error() == nil
		})
		at := func(want int64) {
			t.Helper()
			testkit.Eventually(t, 10*time.Second, fmt.Sprint("Kafka having the offset ", want), func() bool {
				all, err := s.admin.DescribeShareGroupOffsets(t.Context(), group)
				if err != nil {
					return false
				}
				for _, o := range all[group].Offsets[topic] {
					if o.Partition == 0 && o.StartOffset >= 0 {
						return o.StartOffset == want
					}
				}
				return want < 0
			})
		}
		path := "/consumer-groups/" + group
		s.call(t, "GET", path, "").wantAt(t, "type", "SHARE").wantAt(t, "state", "EMPTY")
		s.call(t, "GET", "/consumer-groups", "").want(t, 200, `"consumer_group_id":"`+group+`"`)
		s.call(t, "GET", path+"/lags", "").wantAt(t, "data/0/current_offset", 3).wantAt(t, "data/0/lag", 2)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"earliest","validate_only":true}`).wantAt(t, "data/0/current_offset", 3).wantAt(t, "data/0/new_offset", 0)
		at(3)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"earliest"}`).want(t, 200, "")
		at(0)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"latest"}`).want(t, 200, "")
		at(5)
		s.call(t, "DELETE", path+"/offsets/"+topic+"/partitions/0", "").want(t, 400, "by topic")
		at(5)
		s.call(t, "DELETE", path+"/offsets/"+topic, "").want(t, 204, "")
		at(-1)
		if answer, err := s.admin.AlterShareGroupOffsets(t.Context(), group, offsets); err != nil || answer.Error() != nil {
			t.Fatal(err, answer.Error()) // a group without offsets may end
		}
		s.call(t, "DELETE", path, "").want(t, 204, "")
		s.call(t, "GET", path, "").want(t, 404, `"error_code":404`)
	})
}

// A change of a setting is answered when it can be seen: the next request shows it, each time.
func TestV3SettingsAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		path := "/topics/" + testkit.CreateTopic(t, b, 1) + "/configs"
		for n := range 20 {
			value := fmt.Sprint(1_000_000 + n)
			s.call(t, "PUT", path+"/retention.ms", `{"value":`+value+`}`).want(t, 204, "")
			s.call(t, "GET", path+"/retention.ms", "").wantAt(t, "value", value)
			s.call(t, "POST", path+":alter", `{"data":[{"name":"retention.ms","operation":"DELETE"},{"name":"max.message.bytes","value":"`+value+`"}]}`).want(t, 204, "")
			s.call(t, "GET", path+"/retention.ms", "").wantAt(t, "is_default", true)
			s.call(t, "GET", path+"/max.message.bytes", "").wantAt(t, "value", value)
		}
	})
}
