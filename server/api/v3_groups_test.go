package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

// filled returns a topic of two partitions with five records in the first.
func (s *v3) filled(t *testing.T) string {
	t.Helper()
	topic := testkit.CreateTopic(t, s.stack.broker, 2)
	client := testkit.Client(t, s.stack.broker, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 5 {
		r := &kgo.Record{Topic: topic, Partition: 0, Value: []byte("1")}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	return topic
}

// Offsets of a group are moved and deleted, and the group deleted; Kafka has the same by itself.
func TestV3GroupsAreChanged(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		topic, group := s.filled(t), testkit.Group(t)
		var offsets kadm.Offsets
		offsets.AddOffset(topic, 0, 3, -1)
		if err := s.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
			t.Fatal(err)
		}
		at := func(want int64) {
			t.Helper()
			all, err := s.admin.FetchOffsets(t.Context(), group)
			if o, ok := all.Lookup(topic, 0); err != nil || !ok || o.At != want {
				t.Errorf("Kafka has %v, %v, want %d", all, err, want)
			}
		}
		path := "/consumer-groups/" + group
		s.call(t, "GET", path, "").want(t, 200, `"is_simple":true`).wantAt(t, "state", "EMPTY").wantAt(t, "type", "CLASSIC")
		s.call(t, "GET", path+"/lags", "").wantAt(t, "data/0/lag", 2).wantAt(t, "data/0/consumer_id", "")
		s.call(t, "GET", path+"/lag-summary", "").wantAt(t, "total_lag", 2)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"earliest","validate_only":true}`).wantAt(t, "data/0/current_offset", 3).wantAt(t, "data/0/new_offset", 0)
		at(3)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"earliest"}`).want(t, 200, "")
		at(0)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"shift","shift":4}`).want(t, 200, "")
		at(4)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"shift","shift":400}`).want(t, 200, "")
		at(5)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"timestamp","timestamp":0}`).want(t, 200, "")
		at(0)
		s.call(t, "POST", path+"/offsets:reset", fmt.Sprintf(`{"to":"offsets","data":[{"topic_name":%q,"partition_id":0,"offset":2}]}`, topic)).want(t, 200, "")
		at(2)
		s.byFile(t, path+"/offsets:reset", topic, at)
		s.call(t, "POST", path+"/offsets:reset", `{"to":"yesterday"}`).want(t, 400, "")
		s.call(t, "DELETE", path+"/offsets/"+topic+"/partitions/0", "").want(t, 204, "")
		s.call(t, "GET", path+"/lags", "").want(t, 404, `"error_code":404`)
		s.call(t, "DELETE", path+"/offsets/"+topic, "").want(t, 404, "")
		if err := s.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil { // a group without offsets may end
			t.Fatal(err)
		}
		s.call(t, "DELETE", path, "").want(t, 204, "")
		s.call(t, "GET", path, "").want(t, 404, `"error_code":404`)
		s.call(t, "DELETE", path, "").want(t, 404, "")
	})
}

// byFile moves the offset of a topic's partition from 2 to 4 by a file as kafka-consumer-groups
// --export writes it.
func (s *v3) byFile(t *testing.T, path, topic string, at func(int64)) {
	t.Helper()
	const csv = "Content-Type: text/csv; charset=utf-8"
	file := fmt.Sprintf("%q,0,4\r\n", topic)
	s.do(t, "POST", s.cluster+path+"?validate_only=true", file, csv).want(t, 200, "").wantAt(t, "data/0/new_offset", 4)
	at(2)
	s.do(t, "POST", s.cluster+path, file, csv).want(t, 200, "").wantAt(t, "data/0/current_offset", 2)
	at(4)
	for body, want := range map[string]string{
		topic + ",0":                           "topic, partition and offset",
		topic + ",0,1\n" + topic + ",x,1":      "Line 2 of the file: ",
		topic + ",0,-1":                        "offset",
		"":                                     "data is missing or empty",
		strings.Repeat(topic+",0,1\n", 10_001): "may have 10000 elements",
	} {
		if r := s.do(t, "POST", s.cluster+path, body, csv); r.status != 400 && r.status != 422 || !strings.Contains(r.body, want) {
			t.Errorf("%.40q: %d %s", body, r.status, r.body)
		}
	}
	s.do(t, "POST", s.cluster+path, "x", "Content-Type: text/plain").want(t, 415, "text/csv")
	at(4)
}

// A group with members is not changed under them.
func TestV3GroupsWithMembers(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		topic, group := testkit.CreateTopic(t, b, 1), testkit.Group(t)
		member := s.caughtUp(t, group, topic, 3)
		path := "/consumer-groups/" + group
		s.call(t, "POST", path+"/offsets:reset", `{"to":"earliest"}`).want(t, 400, "has 1 members")
		s.call(t, "DELETE", path, "").want(t, 400, "has members")
		s.call(t, "GET", path+"/consumers/"+member+"/assignments", "").wantAt(t, "data/0/topic_name", topic)
		s.call(t, "GET", path+"/consumers/nobody", "").want(t, 404, "")
	})
}

// Records are deleted up to an offset, and offsets of partitions are what Kafka says.
func TestV3RecordsAreDeleted(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		topic := s.filled(t)
		offset := "/topics/" + topic + "/partitions/0/offset"
		s.call(t, "GET", offset, "").wantAt(t, "earliest_offset", 0).wantAt(t, "latest_offset", 5)
		s.call(t, "POST", "/topics/"+topic+"/records:delete", `{"data":[{"partition_id":0,"before_offset":2}]}`).wantAt(t, "data/0/earliest_offset", 2)
		starts, err := s.admin.ListStartOffsets(t.Context(), topic)
		if o, _ := starts.Lookup(topic, 0); err != nil || o.Offset != 2 {
			t.Errorf("Kafka has %v, %v", o, err)
		}
		s.call(t, "GET", offset+"?offset_type=earliest", "").wantAt(t, "offset", 2)
		s.call(t, "GET", offset+"?offset_type=timestamp&timestamp=1", "").wantAt(t, "offset", 2)
		s.call(t, "GET", offset+"?offset_type=max_timestamp", "").want(t, 200, `"offset_type":"max_timestamp"`)
		s.call(t, "GET", offset+"?offset_type=last", "").want(t, 400, "")
		s.call(t, "POST", "/topics/"+topic+"/records:delete", `{"data":[{"partition_id":0,"before_offset":99}]}`).want(t, 207, `"error_code":40002`)
		s.call(t, "POST", "/topics/"+topic+"/records:delete", `{"data":[{"partition_id":7}]}`).want(t, 404, "40402")
		s.call(t, "POST", "/topics/"+topic+"/records:delete", `{"data":[{"partition_id":0}]}`).wantAt(t, "data/0/earliest_offset", 5)
		s.call(t, "POST", "/topics/-/partitions/-/leader:elect", fmt.Sprintf(`{"data":[{"topic_name":%q,"partition_id":0}]}`, topic)).want(t, 200, `"failures":[]`)
		partition := "/topics/" + topic + "/partitions/0/reassignment"
		s.call(t, "GET", partition, "").want(t, 404, "")
		s.call(t, "PUT", partition, fmt.Sprintf(`{"replicas":[%d]}`, s.broker)).want(t, 204, "")
		s.call(t, "PUT", partition, `{"replicas":[]}`).want(t, 422, "")
		if b.Name != "kfake" { // which takes any broker
			s.call(t, "PUT", partition, `{"replicas":[12345]}`).want(t, 400, "40002")
			s.call(t, "DELETE", partition, "").want(t, 404, "")
		}
	})
}

// committed returns a group that is at 3 in the first partition of a topic of five records.
func (s *v3) committed(t *testing.T) (group, topic string) {
	t.Helper()
	topic, group = s.filled(t), testkit.Group(t)
	var offsets kadm.Offsets
	offsets.AddOffset(topic, 0, 3, -1)
	if err := s.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
	return group, topic
}

// A shift beyond what a number can hold stops at the end of the log, as a lesser one does.
func TestV3ShiftBeyondTheEnd(t *testing.T) {
	t.Parallel()
	s := startV3(t, testkit.Fake(t).Broker)
	group, _ := s.committed(t)
	for shift, want := range map[string]int{"9223372036854775807": 5, "-9223372036854775807": 0} {
		s.call(t, "POST", "/consumer-groups/"+group+"/offsets:reset", `{"to":"shift","validate_only":true,"shift":`+shift+`}`).wantAt(t, "data/0/new_offset", want)
	}
}

// A request whose page cannot be is refused before it changes anything.
func TestV3ResetWithABadPage(t *testing.T) {
	t.Parallel()
	s := startV3(t, testkit.Fake(t).Broker)
	group, topic := s.committed(t)
	for _, query := range []string{"page_size=0", "page_size=x", "page_token=%21"} {
		s.call(t, "POST", "/consumer-groups/"+group+"/offsets:reset?"+query, `{"to":"earliest"}`).want(t, 400, "page_")
		if all, err := s.admin.FetchOffsets(t.Context(), group); err != nil || all[topic][0].At != 3 {
			t.Errorf("%s: Kafka has %v, %v", query, all, err)
		}
	}
}

// Offsets are moved all or none: a partition that does not exist is named before.
func TestV3ResetOfAPartitionThatIsNotThere(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b)
		group, topic := s.committed(t)
		for other, want := range map[string]string{
			fmt.Sprintf(`"topic_name":%q,"partition_id":99`, topic): "40402",
			`"topic_name":"no-such-topic","partition_id":0`:         "40401",
		} {
			body := fmt.Sprintf(`{"to":"offsets","data":[{"topic_name":%q,"partition_id":0,"offset":1},{%s,"offset":5}]`, topic, other)
			for _, end := range []string{`}`, `,"validate_only":true}`} {
				s.call(t, "POST", "/consumer-groups/"+group+"/offsets:reset", body+end).want(t, 404, want)
			}
		}
		if all, err := s.admin.FetchOffsets(t.Context(), group); err != nil || all[topic][0].At != 3 {
			t.Errorf("Kafka has %v, %v", all, err)
		}
	})
}
