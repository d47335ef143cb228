package codec

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
)

func TestAppendRecord(t *testing.T) {
	record := kgo.Record{
		Topic: "t", Partition: 2, Offset: 9, Key: []byte(`"k"`), Value: []byte(`{"a":1}`),
		Timestamp: time.UnixMilli(1700000000123),
		Headers:   []kgo.RecordHeader{{Key: "h\"1", Value: []byte("x")}, {Key: "h2"}},
	}
	f := func(r kgo.Record, format Format, x Extras, want string) {
		t.Helper()
		got, err := AppendRecord([]byte("["), &r, format, x)
		if err != nil || string(got) != "["+want {
			t.Errorf("got %s, %v\nwant [%s", got, err, want)
		}
	}
	f(record, JSON, Extras{}, `{"topic":"t","key":"k","value":{"a":1},"partition":2,"offset":9}`)
	f(record, Binary, Extras{}, `{"topic":"t","key":"Imsi","value":"eyJhIjoxfQ==","partition":2,"offset":9}`)
	f(record, JSON, Extras{Headers: true, Timestamp: true},
		`{"topic":"t","key":"k","value":{"a":1},"partition":2,"offset":9,"headers":[{"key":"h\"1","value":"eA=="},{"key":"h2","value":null}],"timestamp":1700000000123}`)
	f(record, JSON, Extras{Layout: TopicLast}, `{"key":"k","value":{"a":1},"partition":2,"offset":9,"topic":"t"}`)
	f(record, JSON, Extras{Layout: NoTopic}, `{"key":"k","value":{"a":1},"partition":2,"offset":9}`)
	f(kgo.Record{Topic: "t"}, JSON, Extras{}, `{"topic":"t","key":null,"value":null,"partition":0,"offset":0}`)
	f(kgo.Record{Topic: "t", Value: []byte{}}, Binary, Extras{}, `{"topic":"t","key":null,"value":"","partition":0,"offset":0}`)

	refuse := func(r kgo.Record, says string) {
		t.Helper()
		got, err := AppendRecord([]byte("["), &r, JSON, Extras{})
		if string(got) != "[" || !apierr.Undecodable.Is(err) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %s, %v; want an error saying %q", got, err, says)
		}
	}
	refuse(kgo.Record{Topic: "t", Offset: 7, Value: []byte("\x00\x01")}, "value of the record at offset 7 of partition 0 of topic t")
	refuse(kgo.Record{Topic: "t", Key: []byte{}, Value: []byte("1")}, "key of the record")
	refuse(kgo.Record{Topic: "t", Value: []byte("1 2")}, "value")
	refuse(kgo.Record{Topic: "t", Value: []byte("\"a\xff\"")}, "value")
}
