package faults_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/loadtest/check"
)

// walk is a client that makes one call of each kind, with a topic and a group of its own.
type walk struct {
	client       *http.Client
	url          string
	topic, group string

	outcomes map[string]check.Outcome // of each value that it has sent
	faults   []string                 // what was wrong with answers
}

// call sends a request and looks at the answer: a status that the table of errors has, and an error
// that says which.
func (w *walk) call(method, path, body string) (status int, text []byte) {
	req, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.fault("%s %s: %v", method, path, err)
		return 0, nil
	}
	req.Header.Set("Content-Type", "application/vnd.kafka.v2+json")
	if strings.HasPrefix(path, "/topics/") {
		req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	}
	if strings.Contains(path, "/records") {
		req.Header.Set("Accept", "application/vnd.kafka.json.v2+json")
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.fault("%s %s has no answer: %v", method, path, err)
		return 0, nil
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err != nil {
		w.fault("%s %s: the answer ends: %v", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		w.known(method+" "+path, resp.StatusCode, text)
	}
	return resp.StatusCode, text
}

// known reports an error that the table does not have, or that says a defect of ours.
func (w *walk) known(call string, status int, text []byte) {
	var e struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	err := json.Unmarshal(text, &e)
	kind := slices.IndexFunc(apierr.Kinds(), func(k *apierr.Kind) bool { return k.Status == status && k.Code == e.Code })
	if err != nil || e.Message == "" || kind < 0 || apierr.Kinds()[kind] == apierr.Internal {
		w.fault("%s is answered %d %s", call, status, text)
	}
}

func (w *walk) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// produce sends two records, and notes what is known of each.
func (w *walk) produce() (ok bool) {
	values := []string{fmt.Sprintf("%d-a", len(w.outcomes)), fmt.Sprintf("%d-b", len(w.outcomes))}
	status, text := w.call("POST", "/topics/"+w.topic, fmt.Sprintf(`{"records":[{"value":%q},{"value":%q}]}`, values[0], values[1]))
	var answer struct {
		ErrorCode int `json:"error_code"`
		Offsets   []struct {
			Offset    *int64 `json:"offset"`
			ErrorCode *int   `json:"error_code"`
		} `json:"offsets"`
	}
	err := json.Unmarshal(text, &answer)
	if status == 200 && (err != nil || len(answer.Offsets) != len(values)) {
		w.fault("a produce request is answered %s", text)
		return false
	}
	ok = status == 200
	for i, v := range values {
		switch {
		case status == 0:
			w.outcomes[v] = check.Unknown
		case status != 200:
			w.outcomes[v] = check.OutcomeOf(cmp.Or(answer.ErrorCode, status))
		case answer.Offsets[i].ErrorCode != nil:
			ok, w.outcomes[v] = false, check.OutcomeOf(*answer.Offsets[i].ErrorCode)
		case answer.Offsets[i].Offset == nil:
			w.fault("a slot has neither an offset nor an error: %s", text)
		default:
			w.outcomes[v] = check.OK
		}
	}
	return ok
}

// look makes the calls that only ask.
func (w *walk) look() (ok bool) {
	ok = true
	for _, path := range []string{"/topics", "/topics/" + w.topic, "/topics/" + w.topic + "/partitions/0/offsets", "/brokers"} {
		status, _ := w.call("GET", path, "")
		ok = ok && status == 200
	}
	return ok
}

// consume has an instance read the topic, commit and leave.
func (w *walk) consume() (ok bool) {
	status, text := w.call("POST", "/consumers/"+w.group, `{"format":"json","auto.offset.reset":"earliest"}`)
	if status != 200 {
		return false
	}
	var created struct {
		ID string `json:"instance_id"`
	}
	if err := json.Unmarshal(text, &created); err != nil {
		w.fault("an instance is answered %s", text)
	}
	i := "/consumers/" + w.group + "/instances/" + created.ID
	ok = true
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/subscription", fmt.Sprintf(`{"topics":[%q]}`, w.topic), 204},
		{"GET", "/records?timeout=5000", "", 200},
		{"POST", "/offsets", "", 200},
		{"GET", "/offsets?topic=" + w.topic + "&partition=0", "", 200},
		{"DELETE", "", "", 204},
	} {
		status, _ := w.call(c.method, i+c.path, c.body)
		ok = ok && status == c.want
	}
	return ok
}

// ways are the kinds of calls. Each needs APIs of Kafka's.
var ways = map[string]func(*walk) bool{"produce": (*walk).produce, "look": (*walk).look, "consume": (*walk).consume}

// stored are the errors that come from a leader which has stored the records. The client library
// sends them again under their old epoch, by which the broker knows them, even if a refused batch
// of another partition has raised the epoch meanwhile. Kafka then accepts the old one in this
// partition, kfake in none; so nothing else may be refused at the same time.
var stored = []*kerr.Error{kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend}

// codes are all errors that the client library knows.
func codes() (all []*kerr.Error) {
	for n := math.MinInt16; n <= math.MaxInt16; n++ {
		if e := kerr.TypedErrorForCode(int16(n)); e != nil && int(e.Code) == n {
			all = append(all, e)
		}
	}
	return all
}

// atOnce is how many walks are made at the same time: they wait more than they compute.
const atOnce = 64

// trial is what the subtests share.
type trial struct {
	broker *testkit.FakeKafka
	admin  *kadm.Client
	node   string
	client *http.Client
	slots  chan bool
}

// TestEveryErrorOfEveryAPI has Kafka answer each request that a node sends with each of its errors,
// once: the client hears of it in the API's words or not at all, what was acknowledged is stored
// once, what was refused is not, and the next call is served.
func TestEveryErrorOfEveryAPI(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_FAULTS", "every error of every API of Kafka was not tried; `make faults-short` does, in a minute")
	broker := testkit.Fake(t)
	node := testkit.StartMillrace(t, "serve", "--set=bootstrap.servers="+strings.Join(broker.Addrs, ","), "--set=listeners=http://127.0.0.1:0",
		"--set=metadata.max.age.ms=0")
	tr := &trial{
		broker: broker, admin: kadm.NewClient(testkit.Client(t, broker.Broker)),
		node:   node.WaitLine(t, `msg=serving addresses=\[(http://[^\]]+)\]`, time.Minute)[1],
		client: &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}},
		slots:  make(chan bool, atOnce),
	}
	t.Cleanup(tr.client.CloseIdleConnections)
	apis := tr.apis(t)
	tr.createTopics(t, apis)
	tr.run(t, "produce", kmsg.Produce, stored, 1)
	var all sync.WaitGroup
	for way, keys := range apis {
		for _, api := range keys {
			codes := codes()
			switch api {
			case kmsg.ApiVersions:
				continue
			case kmsg.Produce:
				codes = slices.DeleteFunc(codes, func(e *kerr.Error) bool { return slices.Contains(stored, e) })
			}
			all.Go(func() { tr.run(t, way, api, codes, atOnce) })
		}
	}
	all.Wait()
	// Whose connection it is nobody can choose, so the others would not be well meanwhile.
	for way, keys := range apis {
		if slices.Contains(keys, kmsg.ApiVersions) {
			tr.run(t, way, kmsg.ApiVersions, codes(), atOnce)
		}
	}
}

// topicOf is the topic of one walk.
func topicOf(way string, api kmsg.Key, code *kerr.Error) string {
	return fmt.Sprintf("%s-%d-%d", way, api, code.Code)
}

// createTopics creates those of all walks, before anything fails.
func (tr *trial) createTopics(t *testing.T, apis map[string][]kmsg.Key) {
	t.Helper()
	var topics []string
	for way, keys := range apis {
		for _, api := range keys {
			for _, code := range codes() {
				topics = append(topics, topicOf(way, api, code))
			}
		}
	}
	if _, err := tr.admin.CreateTopics(t.Context(), 1, 1, nil, topics...); err != nil {
		t.Fatal(err)
	}
}

func (tr *trial) walk(name string) *walk {
	return &walk{client: tr.client, url: tr.node, topic: name, group: "group-" + name, outcomes: map[string]check.Outcome{}}
}

// run makes the calls of a way once for each error, of which the API answers one of its requests,
// so many at the same time.
func (tr *trial) run(t *testing.T, way string, api kmsg.Key, codes []*kerr.Error, atOnce int) {
	t.Run(fmt.Sprintf("%s/%s/%d", way, kmsg.NameForKey(int16(api)), len(codes)), func(t *testing.T) {
		walks := map[string]*walk{}
		var all sync.WaitGroup
		mine := make(chan bool, atOnce)
		for _, code := range codes {
			w := tr.walk(topicOf(way, api, code))
			walks[w.topic] = w
			mine <- true
			all.Go(func() {
				tr.slots <- true
				defer func() { <-tr.slots; <-mine }()
				tr.inject(t, w, api, code, ways[way])
			})
		}
		all.Wait()
		verify(t, tr.broker, walks)
	})
}

// served is how long it may take until a call is served, on a machine that is busy.
const served = 2 * time.Minute

// inject makes the calls of a way until an API has answered one of them with an error, and until
// all are served after that.
func (tr *trial) inject(t *testing.T, w *walk, api kmsg.Key, code *kerr.Error, way func(*walk) bool) {
	deadline := time.Now().Add(served)
	for !w.produce() && time.Now().Before(deadline) { // there is something to read
	}
	fault := kfake.Fault{Keys: []kmsg.Key{api}, Err: code}
	ofTopic, ofResource, ofGroup, whole := fault, fault, fault, fault
	ofTopic.Topic, ofResource.Resource, ofGroup.Group, whole.Group, whole.TopLevel = w.topic, w.topic, w.group, w.group, true
	h := tr.broker.Fault(ofTopic, ofResource, ofGroup, whole)
	for way(w); h.Hits() == 0 && api != kmsg.ApiVersions; way(w) { // a look-up may have been shared, a page empty
		if time.Now().After(deadline) {
			t.Errorf("%s: no request was answered with it", code.Message)
			break
		}
	}
	h.Remove()
	for !way(w) {
		if time.Now().After(deadline) {
			t.Errorf("%s: the calls after it are not served", code.Message)
			break
		}
	}
	for _, f := range w.faults {
		t.Errorf("%s: %s", code.Message, f)
	}
}

// verify holds what was said of each record against the log.
func verify(t *testing.T, broker *testkit.FakeKafka, walks map[string]*walk) {
	t.Helper()
	topics := slices.Collect(maps.Keys(walks))
	client := testkit.Client(t, broker.Broker, kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topics...)
	if err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	copies := map[string]int{}
	for ctx := t.Context(); left > 0; {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			copies[r.Topic+" "+string(r.Value)]++
			left--
		})
	}
	for topic, w := range walks {
		if strings.HasSuffix(topic, fmt.Sprintf("-%d-%d", kmsg.Produce, kerr.DuplicateSequenceNumber.Code)) {
			continue // it says that the records are stored already
		}
		for value, outcome := range w.outcomes {
			n := copies[fmt.Sprintf("%s %q", topic, value)]
			if n > 1 || outcome == check.OK && n != 1 || outcome == check.Failed && n != 0 {
				t.Errorf("%s of topic %s is stored %d times, and its outcome was %s", value, topic, n, outcome)
			}
		}
	}
}

// apis finds out which APIs each way needs, in a run where all goes well.
func (tr *trial) apis(t *testing.T) map[string][]kmsg.Key {
	t.Helper()
	found := map[string][]kmsg.Key{}
	for _, name := range []string{"produce", "look", "consume"} {
		w := tr.walk("well")
		w.produce() // there is something to read
		seen := map[kmsg.Key]*kfake.FaultHandle{}
		for key := range kmsg.Key(kmsg.MaxKey + 1) {
			seen[key] = tr.broker.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Observe: true, Count: -1})
		}
		if !ways[name](w) {
			t.Fatalf("%s does not work where all is well: %s", name, w.faults)
		}
		for key, h := range seen {
			if h.Hits() > 0 {
				found[name] = append(found[name], key)
			}
			h.Remove()
		}
		slices.Sort(found[name])
	}
	return found
}
