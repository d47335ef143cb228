package loadtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// consumed is what a run of 400 records with one consumer found, against a
// stub that delivers as deliver has it.
func consumed(t *testing.T, expect string, deliver func([]stubDelivery) []stubDelivery) *Result {
	t.Helper()
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	stub := newStub(t, &b.Broker, topic)
	stub.deliver = deliver
	s := scenario(t, `
warmup: 0s
duration: 200ms
timeout: 1m
flows:
  - {do: produce, topic: `+topic+`, records: 10, rate: 200}
  - {do: consume, topic: `+topic+expect+`}
`)
	return mustRun(t, s, Options{URL: stub.URL, Kafka: kafka.Settings{Brokers: b.Addrs}, enough: stub.drained})
}

// at changes the batch that the record with the given offset is in.
func at(offset int64, change func(batch []stubDelivery, i int) []stubDelivery) func([]stubDelivery) []stubDelivery {
	return func(batch []stubDelivery) []stubDelivery {
		for i := range batch {
			if batch[i].offset == offset {
				return change(batch, i)
			}
		}
		return batch
	}
}

func without(batch []stubDelivery, i int) []stubDelivery { return append(batch[:i:i], batch[i+1:]...) }

func twice(batch []stubDelivery, i int) []stubDelivery { return append(batch, batch[i]) }

// TestPlantedDeliveries has a proxy that reads wrongly in each way, while all
// that was produced is in Kafka, and wants each found.
func TestPlantedDeliveries(t *testing.T) {
	f := func(what, expect string, deliver func([]stubDelivery) []stubDelivery, want Delivery, verdict string) {
		t.Helper()
		res := consumed(t, expect, deliver)
		have := *res.Flows[1].Delivery
		if len(have.Examples) == 0 && have.Reordered+have.Misplaced+have.Undelivered > 0 {
			t.Errorf("%s: no example", what)
		}
		have.Examples, have.Group, want.Compared = nil, "", true
		if fmt.Sprint(have) != fmt.Sprint(want) {
			t.Errorf("%s:\nhave %+v\nwant %+v", what, have, want)
		}
		if res.Verdict() != verdict {
			t.Errorf("%s: have %q, want %q", what, res.Verdict(), verdict)
		}
		if v := res.Verification; v.Acknowledged != 400 || v.Lost+v.Doubled+v.Reordered+v.Misplaced != 0 {
			t.Errorf("%s: producing was without fault: %+v", what, v)
		}
	}
	const never, order, others = "consume: records never delivered", "consume: records delivered out of order", "consume: records delivered as others"
	f("nothing", ", expect: {repeated: 0}", nil, Delivery{Delivered: 400}, "PASSED")
	f("the first lost", "", at(0, without), Delivery{Delivered: 399, Undelivered: 1}, "FAILED: "+never)
	f("one in the middle lost", "", at(117, without), Delivery{Delivered: 399, Undelivered: 1}, "FAILED: "+never)
	f("the last lost", "", at(399, without), Delivery{Delivered: 399, Undelivered: 1}, "FAILED: "+never)
	f("all lost", "", func([]stubDelivery) []stubDelivery { return nil }, Delivery{Undelivered: 400}, "FAILED: "+never)
	f("doubled", "", at(117, twice), Delivery{Delivered: 400, Repeated: 1}, "PASSED")
	f("doubled beyond what is allowed", ", expect: {repeated: 0}", at(117, twice), Delivery{Delivered: 400, Repeated: 1},
		"FAILED: consume: records delivered again")
	f("out of order", "", at(117, func(batch []stubDelivery, i int) []stubDelivery {
		return append(without(batch, i), batch[i]) // behind the others of its answer
	}), Delivery{Delivered: 400, Reordered: 1}, "FAILED: "+order)
	f("two exchanged", "", at(117, func(batch []stubDelivery, i int) []stubDelivery {
		j := (i + 1) % len(batch)
		batch[i].value, batch[j].value = batch[j].value, batch[i].value
		return batch
	}), Delivery{Delivered: 400, Misplaced: 2}, "FAILED: "+others)
	f("a wrong offset", "", at(117, func(batch []stubDelivery, i int) []stubDelivery {
		batch[i].offset = 1 << 40
		return batch
	}), Delivery{Delivered: 400, Misplaced: 1, Undelivered: 1, Reordered: 1}, "FAILED: "+order+", "+never+", "+others)
	f("a wrong partition", "", at(117, func(batch []stubDelivery, i int) []stubDelivery {
		batch[i].partition = 7
		return batch
	}), Delivery{Delivered: 400, Misplaced: 1, Undelivered: 1}, "FAILED: "+never+", "+others)
}

// A run that may not fill the memory is told what was left out.
func TestDeliveriesAreBounded(t *testing.T) {
	d := newDeliveries("run", "t", "g")
	d.limit = 2
	for offset := range int64(3 * pageSize) {
		d.note(0, []given{{offset: offset, mark: recordID{"run", 0, uint64(offset)}.mark()}})
	}
	for offset := range int64(3 * pageSize) {
		d.compare(&kgo.Record{Topic: "t", Offset: offset, Value: appendValue(nil, recordID{"run", 0, uint64(offset)}, []byte("}"))})
	}
	d.finish(nil)
	if have := d.result; have.Delivered != 2*pageSize || have.Unnoted != pageSize || have.Undelivered+have.Misplaced+have.Reordered != 0 {
		t.Errorf("have %+v", have)
	}
	checks := deliveryChecks("", Flow{}, &Scenario{}, &d.result)
	if last := checks[len(checks)-1]; last.Held {
		t.Errorf("deliveries that were not compared must fail the run: %+v", checks)
	}
}

// Two consumers of a group have an order each, and what one was given again
// after a rebalance is in no wrong order.
func TestDeliveryOrder(t *testing.T) {
	d := newDeliveries("run", "t", "g")
	give := func(consumer int, offsets ...int64) {
		for _, o := range offsets {
			d.note(consumer, []given{{offset: o, mark: 9}})
		}
	}
	give(0, 0, 1, 2, 5)
	give(1, 3, 4, 5, 6) // committed was 3
	if have := d.result; have.Delivered != 7 || have.Repeated != 1 || have.Reordered != 0 {
		t.Errorf("have %+v", have)
	}
	give(1, 9, 8)
	if d.result.Reordered != 1 {
		t.Errorf("have %+v", d.result)
	}
}

func TestParseDeliveries(t *testing.T) {
	c := &consumers{flow: &Flow{Topic: "t", Format: "binary"}, got: newDeliveries("run", "t", "g")}
	mine := recordID{"run", 1, 2}.mark()
	have, err := c.parse([]byte(` [ {"offset":5,"value":"eyJfbHQiOiJydW4uMS4yIn0=","key":"a","partition":3,"topic":"t","more":[{}]},
		{"topic":"u","key":null,"value":null,"partition":0,"offset":0} ]`), nil)
	if want := []given{{"", 3, 5, mine}, {`"u"`, 0, 0, foreignMark}}; err != nil || fmt.Sprint(have) != fmt.Sprint(want) {
		t.Errorf("have %v, want %v: %v", have, want, err)
	}
	c.flow.Format = "json"
	have, err = c.parse([]byte(`[{"topic":"t","key":null,"value":{ "a":1, "_lt": "run.1.2"},"partition":0,"offset":0}]`), nil)
	if err != nil || len(have) != 1 || have[0].mark != mine {
		t.Errorf("a value written anew has another mark: %v, %v", have, err)
	}
	for _, body := range []string{``, `{}`, `[1]`, `[{"partition":"x"}]`, `[{"offset":1.5}]`, `[{}`, `[]]`, `{"error_code":1}`} {
		if have, err := c.parse([]byte(body), nil); err == nil {
			t.Errorf("%s was read as %v", body, have)
		}
	}
}

// A consumer whose polls fail is told apart from one that is given nothing.
func TestFailingPolls(t *testing.T) {
	b := testkit.Fake(t)
	topic := testkit.CreateTopic(t, b.Broker, 1)
	stub := newStub(t, &b.Broker, topic)
	stub.pollStatus = http.StatusServiceUnavailable
	s := scenario(t, "{warmup: 0s, duration: 100ms, timeout: 500ms, flows: [{do: produce, topic: "+topic+", rate: 50}, {do: consume, topic: "+topic+", expect: {errors: 0%}}]}")
	began := time.Now()
	res := mustRun(t, s, Options{URL: stub.URL, Kafka: kafka.Settings{Brokers: b.Addrs}})
	f := res.Flows[1]
	if f.Failed == 0 || len(f.Errors) != 1 || f.Errors[0].Status != http.StatusServiceUnavailable || f.Delivery.Undelivered != 5 {
		t.Errorf("have %+v, %+v", f, f.Delivery)
	}
	if !strings.Contains(res.Verdict(), "consume: errors") || !strings.Contains(res.Verdict(), "never delivered") {
		t.Errorf("have %s", res.Verdict())
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v to give up", took)
	}
}
