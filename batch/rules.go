package batch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

const (
	// rulesFor is how long what is known of a topic's settings refuses records. They may change,
	// so a broker has to refuse a record every so often, or nothing is refused here.
	rulesFor = 10 * time.Second
	// clockMargin is how far the clocks of brokers may be from ours.
	clockMargin = 10 * time.Second
)

// rules are the settings of a topic for which Kafka refuses single records. They are asked for
// once a broker has refused one: with them the next bad records fail before they enter a batch,
// which then need not be sent twice. A topic that gets no bad records costs nothing. It is
// immutable.
type rules struct {
	until         time.Time
	compacted     bool  // a key is needed
	ownTime       bool  // timestamps are the clients'
	before, after int64 // milliseconds that a timestamp may differ from the broker's clock
	maxBytes      int   // of a batch; 0: not known
}

// ruleNames are the settings that rules are made of. Kafka before 3.6 has the last one in place
// of two.
var ruleNames = []string{
	"cleanup.policy", "message.timestamp.type", "max.message.bytes",
	"message.timestamp.before.max.ms", "message.timestamp.after.max.ms", "message.timestamp.difference.max.ms",
}

// parseRules reads rules. A missing setting refuses nothing.
func parseRules(configs []kmsg.DescribeConfigsResponseResourceConfig, until time.Time) *rules {
	values := map[string]string{}
	for i := range configs {
		if configs[i].Value != nil {
			values[configs[i].Name] = *configs[i].Value
		}
	}
	millis := func(names ...string) int64 {
		for _, name := range names {
			if n, err := strconv.ParseInt(values[name], 10, 64); err == nil {
				return n
			}
		}
		return -1
	}
	const either = "message.timestamp.difference.max.ms"
	return &rules{
		until:     until,
		compacted: slices.Contains(strings.Split(values["cleanup.policy"], ","), "compact"),
		ownTime:   values["message.timestamp.type"] == "CreateTime",
		before:    millis("message.timestamp.before.max.ms", either),
		after:     millis("message.timestamp.after.max.ms", either),
		maxBytes:  int(max(millis("max.message.bytes"), 0)),
	}
}

// refuse returns why Kafka would refuse a record, the request's record i, at now in milliseconds,
// or nil.
func (r *rules) refuse(rec *kgo.Record, i int, now int64) error {
	if r.compacted && rec.Key == nil {
		return culpritError(kerr.InvalidRecord, int32(i), culprit{text: "The topic is compacted and needs a key in each record."})
	}
	if rec.Timestamp.IsZero() || !r.ownTime {
		return nil
	}
	at, margin := rec.Timestamp.UnixMilli(), clockMargin.Milliseconds()
	if r.before >= 0 && now-at-margin > r.before || r.after >= 0 && at-now-margin > r.after {
		return culpritError(kerr.InvalidTimestamp, int32(i), culprit{text: fmt.Sprintf("Timestamp %d is out of range.", at)})
	}
	return nil
}

// screen fails the records of the job that Kafka would refuse, and returns how many are left.
func (j *Job) screen(t *topic, valid int) int {
	r := t.rules.Load()
	if r == nil || j.ready.After(r.until) {
		return valid
	}
	for i := range j.Slab.Records {
		rec := &j.Slab.Records[i]
		if rec.Partition == failedRecord {
			continue
		}
		if err := r.refuse(rec, i, j.stamp); err != nil {
			j.fail(i, err)
			rec.Partition = failedRecord
			valid--
		}
	}
	return valid
}

// askRules has the rules of a topic looked up, unless they are known or being asked for.
func (t *topic) askRules(now time.Time) {
	if r := t.rules.Load(); r != nil && now.Before(r.until) || !t.asking.CompareAndSwap(false, true) {
		return
	}
	t.producer.tasks.Go(func() { // ends with askTimeout at the latest
		defer t.asking.Store(false)
		t.findRules()
	})
}

// findRules asks for the topic's settings. Without the right to read them there are no rules.
func (t *topic) findRules() {
	ctx, cancel := context.WithTimeout(t.producer.ctx, askTimeout)
	defer cancel()
	of := kmsg.NewDescribeConfigsRequestResource()
	of.ResourceType, of.ResourceName, of.ConfigNames = kmsg.ConfigResourceTypeTopic, t.name, ruleNames
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = append(req.Resources, of)
	resp, err := t.producer.client.Ask(ctx, req)
	if err != nil {
		return
	}
	for _, found := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if found.ErrorCode != 0 || found.ResourceName != t.name {
			continue
		}
		r := parseRules(found.Configs, time.Now().Add(rulesFor))
		t.rules.Store(r)
		if r.maxBytes > 0 && !t.producer.compresses() {
			t.limit.Store(int64(r.maxBytes))
		}
	}
}

// tooLarge is the error of a record that is too large alone.
func (t *topic) tooLarge(b *batch, cause error) error {
	what := "max.message.bytes of topic " + t.name
	if r := t.rules.Load(); r != nil && r.maxBytes > 0 {
		what += fmt.Sprintf(", which is %d", r.maxBytes)
	}
	return apierr.BodyTooLarge.Wrap(cause, "The record takes %d bytes in Kafka, which is more than %s.", b.wireLen(), what)
}
