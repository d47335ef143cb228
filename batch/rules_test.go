package batch

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

// Once a broker has refused a record, the next that it would refuse enter no batch, for a while;
// what may be right goes to the broker.
func TestBadRecordsEnterNoBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.configs = map[string]string{"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "3600000", "message.timestamp.before.max.ms": "9223372036854775807"}
		p := quick(t, m)
		ahead := func(d time.Duration) string {
			return fmt.Sprintf(`{"records":[{"value":1},{"value":2,"timestamp":%d},{"value":3}]}`, time.Now().Add(d).UnixMilli())
		}
		f := func(text, want string, requests, asked int) {
			t.Helper()
			m.mu.Lock()
			before := m.requests
			m.mu.Unlock()
			got, err := produce(t, p, text, 0)
			synctest.Wait()
			sent := m.requests - before
			if rows := strings.Count(want, " 40002 @"); sent == requests+rows { // what is before a record that is left out may be sent first
				sent = requests
			}
			if strings.Count(got, "@") != strings.Count(want, "@") || err != nil || sent != requests || m.asked != asked {
				t.Errorf("%s, %v in %d requests, asked %d times; want %s in %d, %d", got, err, m.requests-before, m.asked, want, requests, asked)
			}
		}
		f(ahead(48*time.Hour), "@ @ @", 1, 0) // the model takes it; nothing is known yet
		f(`{"records":[{"value":"bad"},{"value":2}]}`, "40002 @", 2, 1)
		f(ahead(48*time.Hour), "@ 40002 @", 1, 1)
		f(ahead(time.Hour+clockMargin/2), "@ @ @", 1, 1) // the broker's clock decides
		_, err := produce(t, p, fmt.Sprintf(`{"records":[{"value":2,"timestamp":%d}]}`, time.Now().Add(48*time.Hour).UnixMilli()), 0)
		if !apierr.KafkaInvalid.Is(err) || !strings.Contains(err.Error(), "record 0 of the request: Timestamp") {
			t.Errorf("got %v", err)
		}
		f(fmt.Sprintf(`{"records":[{"value":2,"timestamp":%d},{"partition":9}]}`, time.Now().Add(48*time.Hour).UnixMilli()), "40002 40402", 0, 1)
		time.Sleep(rulesFor + time.Second)
		f(ahead(48*time.Hour), "@ @ @", 1, 1) // a setting may have changed
	})
}

func TestRules(t *testing.T) {
	f := func(want string, pairs ...string) {
		t.Helper()
		var configs []kmsg.DescribeConfigsResponseResourceConfig
		for _, pair := range pairs {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			name, value, _ := strings.Cut(pair, "=")
			c.Name, c.Value = name, &value
			configs = append(configs, c)
		}
		r := parseRules(configs, time.Time{})
		if got := fmt.Sprint(r.compacted, r.ownTime, r.before, r.after, r.maxBytes); got != want {
			t.Errorf("%q: %s, want %s", pairs, got, want)
		}
	}
	f("false false -1 -1 0")
	f("true true 5 7 1000", "cleanup.policy=delete,compact", "message.timestamp.type=CreateTime", "message.timestamp.before.max.ms=5", "message.timestamp.after.max.ms=7", "max.message.bytes=1000")
	f("false false 9 9 0", "cleanup.policy=delete", "message.timestamp.type=LogAppendTime", "message.timestamp.difference.max.ms=9")
}
