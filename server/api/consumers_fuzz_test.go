package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"millrace/internal/testkit"
)

// The calls of FuzzCallsOfConsumers come from this many clients, each with an instance of its own
// name in one of two groups. One input makes so many calls.
const fuzzClients, fuzzCalls = 8, 24

// spot is a partition of a topic.
type spot struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// world is what a node should know, after the calls so far: the model of FuzzCallsOfConsumers.
type world struct {
	t         testing.TB
	s         *stack
	places    []spot
	log       map[spot][]string          // values, by offset
	groups    [2]string                  // of this input only
	committed [2]map[spot]int64          // the next offset to read, by group
	instances [fuzzClients]*fuzzInstance // nil: does not exist
}

type fuzzInstance struct {
	at    map[spot]int64 // positions of the assigned partitions
	moved map[spot]bool  // read or sought since the last commit
}

// call makes a request and returns the reply to a client's instance.
func (w *world) call(client int, method, path, body string) reply {
	w.t.Helper()
	header := []string{plainV2}
	if method == "GET" {
		header = []string{"Accept: application/vnd.kafka.json.v2+json, application/vnd.kafka.v2+json"}
	}
	return w.s.do(w.t, method, w.path(client)+path, body, header...)
}

func (w *world) path(client int) string {
	return fmt.Sprintf("/consumers/%s/instances/i%d", w.groups[client%2], client)
}

// expect ends the test unless the reply has the status.
func (w *world) expect(r reply, status int, what string, args ...any) {
	w.t.Helper()
	if r.status != status {
		w.t.Fatalf("%s: %d %s, want %d", fmt.Sprintf(what, args...), r.status, r.body, status)
	}
}

// step makes one call, of a client that must have an instance or be told that it has none.
func (w *world) step(op, arg byte) {
	client := int(op) % fuzzClients
	i := w.instances[client]
	p := w.places[int(arg)%len(w.places)]
	switch kind := int(op) / fuzzClients % 9; {
	case kind == 0:
		w.produce(p, int(arg)%5+1)
	case kind == 1:
		w.create(client)
	case i == nil:
		r := w.call(client, [...]string{"DELETE", "GET", "GET"}[kind%3], [...]string{"", "/records?timeout=1", "/assignments"}[kind%3], "")
		w.expect(r, http.StatusNotFound, "i%d does not exist", client)
	case kind == 2 && arg%3 == 0:
		w.expect(w.call(client, "DELETE", "", ""), http.StatusNoContent, "DELETE i%d", client)
		w.instances[client] = nil
	case kind <= 3:
		w.assign(client, i, arg)
	case kind == 4:
		w.seek(client, i, p, arg)
	case kind == 5:
		w.commit(client, i)
	case kind == 6:
		w.commitOne(client, i, p, int64(arg)%16)
	default:
		w.read(client, i, arg)
	}
}

func (w *world) produce(p spot, n int) {
	var records []string
	for range n {
		value := fmt.Sprintf(`{"n":"%s/%d/%d"}`, p.Topic, p.Partition, len(w.log[p]))
		w.log[p] = append(w.log[p], value)
		records = append(records, `{"value":`+value+`}`)
	}
	r := w.s.do(w.t, "POST", fmt.Sprintf("/topics/%s/partitions/%d", p.Topic, p.Partition), `{"records":[`+strings.Join(records, ",")+`]}`, jsonV2)
	w.expect(r, http.StatusOK, "produce")
}

func (w *world) create(client int) {
	body := fmt.Sprintf(`{"name":"i%d","format":"json","auto.offset.reset":"earliest","auto.commit.enable":false}`, client)
	r := w.s.do(w.t, "POST", "/consumers/"+w.groups[client%2], body, plainV2)
	if w.instances[client] != nil {
		w.expect(r, http.StatusConflict, "create i%d again", client)
		return
	}
	w.expect(r, http.StatusOK, "create i%d", client)
	w.instances[client] = &fuzzInstance{at: map[spot]int64{}, moved: map[spot]bool{}}
}

// assign gives an instance the partitions of the bits of set. Those that it has keep their
// positions, others begin where the group has committed, or at the start.
func (w *world) assign(client int, i *fuzzInstance, set byte) {
	at, moved, list := map[spot]int64{}, map[spot]bool{}, []spot{}
	for n, p := range w.places {
		if set>>n&1 == 0 {
			continue
		}
		list = append(list, p)
		was, ok := i.at[p]
		if !ok {
			was = w.committed[client%2][p]
		}
		at[p], moved[p] = was, i.moved[p] && ok
	}
	body, _ := json.Marshal(map[string]any{"partitions": list})
	w.expect(w.call(client, "POST", "/assignments", string(body)), http.StatusNoContent, "assign %s to i%d", body, client)
	i.at, i.moved = at, moved
	var got struct{ Partitions []spot }
	r := w.call(client, "GET", "/assignments", "")
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || !slices.Equal(got.Partitions, list) {
		w.t.Fatalf("i%d has the assignment %s, want %v", client, r.body, list)
	}
}

func (w *world) seek(client int, i *fuzzInstance, p spot, arg byte) {
	end := int64(len(w.log[p]))
	path, body, to := "/positions/beginning", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":%d}]}`, p.Topic, p.Partition), int64(0)
	switch arg / 64 {
	case 0:
		path, to = "/positions/end", end
	case 1:
	default:
		to = int64(arg/8) % (end + 1)
		path, body = "/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":%d,"offset":%d}]}`, p.Topic, p.Partition, to)
	}
	r := w.call(client, "POST", path, body)
	if _, ok := i.at[p]; !ok {
		w.expect(r, http.StatusConflict, "seek of i%d in %v, which it does not have", client, p)
		return
	}
	w.expect(r, http.StatusNoContent, "seek of i%d in %v to %d", client, p, to)
	i.at[p], i.moved[p] = to, true
}

// commit commits all that was answered: no more than that, and no less.
func (w *world) commit(client int, i *fuzzInstance) {
	w.expect(w.call(client, "POST", "/offsets", ""), http.StatusOK, "commit of i%d", client)
	now, before := w.askCommitted(client), w.committed[client%2]
	for _, p := range w.places {
		at, has := i.at[p]
		if i.moved[p] && now[p] != at || now[p] != before[p] && (!has || now[p] != at) {
			w.t.Fatalf("i%d at %d of %v has committed %d, where %d was", client, at, p, now[p], before[p])
		}
		delete(i.moved, p)
	}
	w.committed[client%2] = now
}

// commitOne commits an offset that the client names, and with it that the next is to be read.
func (w *world) commitOne(client int, i *fuzzInstance, p spot, offset int64) {
	if offset >= int64(len(w.log[p])) {
		return
	}
	body := fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":%d,"offset":%d}]}`, p.Topic, p.Partition, offset)
	w.expect(w.call(client, "POST", "/offsets", body), http.StatusOK, "commit of %d by i%d", offset, client)
	w.committed[client%2][p] = offset + 1
	delete(i.moved, p)
	if now := w.askCommitted(client); !maps.Equal(now, w.committed[client%2]) {
		w.t.Fatalf("the group of i%d has committed %v, want %v", client, now, w.committed[client%2])
	}
}

// askCommitted asks what the group of a client has committed.
func (w *world) askCommitted(client int) map[spot]int64 {
	body, _ := json.Marshal(map[string]any{"partitions": w.places})
	r := w.s.do(w.t, "GET", w.path(client)+"/offsets", string(body), plainV2)
	w.expect(r, http.StatusOK, "offsets of i%d", client)
	var got struct {
		Offsets []struct {
			spot
			Offset int64
		}
	}
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		w.t.Fatal(err)
	}
	committed := map[spot]int64{}
	for _, o := range got.Offsets {
		committed[o.spot] = o.Offset
	}
	return committed
}

// read reads a page, which continues each assigned partition where the instance is, and is empty
// only where there is nothing.
func (w *world) read(client int, i *fuzzInstance, arg byte) {
	left := 0
	for p, at := range i.at {
		left += len(w.log[p]) - int(at)
	}
	query := "/records?timeout=1"
	if left > 0 {
		query = "/records?timeout=20000"
	}
	if arg%2 == 1 {
		query += fmt.Sprintf("&max_bytes=%d", int(arg)+1)
	}
	r := w.call(client, "GET", query, "")
	if len(i.at) == 0 {
		w.expect(r, http.StatusConflict, "read of i%d, which has no assignment", client)
		return
	}
	w.expect(r, http.StatusOK, "read of i%d", client)
	var page []struct {
		spot
		Offset int64
		Value  json.RawMessage
	}
	if err := json.Unmarshal([]byte(r.body), &page); err != nil || len(page) == 0 && left > 0 {
		w.t.Fatalf("i%d has %d records before it and reads %q, %v", client, left, r.body, err)
	}
	for _, rec := range page {
		at, ok := i.at[rec.spot]
		if !ok || rec.Offset != at || at >= int64(len(w.log[rec.spot])) || string(rec.Value) != w.log[rec.spot][at] {
			w.t.Fatalf("i%d at %v reads %d of %v: %s", client, i.at, rec.Offset, rec.spot, rec.Value)
		}
		i.at[rec.spot], i.moved[rec.spot] = at+1, true
	}
}

// Eight clients make any calls in any order: each sees its own instance only, reads each partition
// without a gap or a repetition from where it is, commits what it was answered, and has
// no instance after it deleted it. The state of a node is compared with a model after each call.
func FuzzCallsOfConsumers(f *testing.F) {
	for _, seed := range [][]byte{
		{8, 0, 24, 15, 56, 0, 40, 0, 56, 1, 40, 0, 16, 0, 16, 0},                          // create, assign, read, commit, read, delete twice
		{8, 0, 10, 0, 24, 15, 26, 15, 56, 3, 58, 5, 40, 0, 42, 0, 0, 1, 56, 0, 58, 0},     // two of a group
		{9, 0, 25, 3, 57, 0, 48, 2, 49, 2, 25, 12, 25, 15, 57, 0, 41, 0},                  // assignments that change
		{8, 0, 24, 1, 32, 0, 0, 4, 56, 0, 32, 64, 56, 7, 32, 200, 56, 0, 40, 0, 8, 0},     // seeks
		{11, 0, 27, 7, 59, 9, 19, 0, 11, 0, 27, 7, 59, 0, 43, 0, 19, 3, 11, 0, 27, 7, 59}, // gone and again
		{8, 0, 56, 0, 24, 0, 56, 0, 48, 3, 24, 15, 56, 0, 40, 0, 48, 0, 40, 0},            // nothing assigned; an older commit
	} {
		f.Add(seed)
	}
	b := testkit.Fake(f).Broker
	w := &world{s: start(f, b), log: map[spot][]string{}}
	for range 2 {
		topic := testkit.CreateTopic(f, b, 2)
		w.places = append(w.places, spot{topic, 0}, spot{topic, 1})
	}
	slices.SortFunc(w.places, func(a, b spot) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	w.t = f
	for _, p := range w.places {
		w.produce(p, 10)
	}
	var inputs atomic.Int64
	f.Fuzz(func(t *testing.T, calls []byte) {
		w.t, w.instances = t, [fuzzClients]*fuzzInstance{}
		for g := range w.groups {
			w.groups[g] = fmt.Sprintf("g%d-%d-%d", g, os.Getpid(), inputs.Add(1))
			w.committed[g] = map[spot]int64{}
		}
		for n := 0; n+1 < len(calls) && n < 2*fuzzCalls; n += 2 {
			w.step(calls[n], calls[n+1])
		}
		for client, i := range w.instances {
			if i != nil {
				w.expect(w.call(client, "DELETE", "", ""), http.StatusNoContent, "DELETE i%d at the end", client)
			}
		}
	})
}
