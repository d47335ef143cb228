package loadtest

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"millrace/codec/json"
)

// pollWait is how long a poll waits for records, in milliseconds.
const pollWait = 1000

// consumers makes the requests of a consume flow: a number of instances of one
// group, each polling again as soon as it was answered.
type consumers struct {
	to        *endpoint
	flow      *Flow
	paths     []string       // of the instances
	instances map[string]int // by poll URL
	free      chan string    // poll URLs of instances with no poll under way
	got       *deliveries
	scratch   sync.Pool // of *[]given
}

// groupOf names the group of a consume flow.
func groupOf(f *Flow, run string) string { return "loadtest-" + run + "-" + f.Name }

// newConsumers creates and subscribes the instances. The group settles during
// the warm-up.
func newConsumers(ctx context.Context, to *endpoint, f *Flow, run string) (*consumers, error) {
	group := groupOf(f, run)
	c := &consumers{
		to: to, flow: f, free: make(chan string, f.Instances), instances: map[string]int{},
		got: newDeliveries(run, f.Topic, group), scratch: sync.Pool{New: func() any { return new([]given) }},
	}
	for i := range f.Instances {
		if err := c.add(ctx, group, fmt.Sprintf("%s-%d", f.Name, i)); err != nil {
			c.close()
			return nil, fmt.Errorf("cannot set up consumer %d of flow %s: %w", i+1, f.Name, err)
		}
	}
	return c, nil
}

func (c *consumers) add(ctx context.Context, group, name string) error {
	body, err := json.Marshal(map[string]string{"name": name, "format": c.flow.Format, "auto.offset.reset": "latest"})
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, "/consumers/"+url.PathEscape(group), string(body))
	if err != nil {
		return err
	}
	// The path is built here rather than taken from base_uri: our headers go
	// to no other host than the one that was named.
	path := "/consumers/" + url.PathEscape(group) + "/instances/" + url.PathEscape(name)
	c.paths = append(c.paths, path)
	if body, err = json.Marshal(map[string][]string{"topics": {c.flow.Topic}}); err != nil {
		return err
	}
	if _, err = c.do(ctx, http.MethodPost, path+"/subscription", string(body)); err != nil {
		return err
	}
	poll := fmt.Sprintf("%s%s/records?timeout=%d", c.to.base, path, pollWait)
	c.instances[poll] = len(c.instances)
	c.free <- poll
	return nil
}

func (c *consumers) do(ctx context.Context, method, path, body string) ([]byte, error) {
	status, answer, err := c.to.call(ctx, method, path, mediaV2, body)
	if err == nil && status/100 != 2 {
		code, message := parseError(answer)
		err = fmt.Errorf("%s %s was answered %d, error_code %d: %s", method, path, status, code, c.to.redact(message))
	}
	return answer, err
}

// target implements source. It waits for an instance: vegeta's worker hands in
// its result, which frees the instance, before the collector has seen it.
func (c *consumers) target(t *vegeta.Target) error {
	t.Method, t.URL = http.MethodGet, <-c.free
	t.Header = c.to.header("Accept", mediaOf(c.flow.Format))
	return nil
}

// taken implements source. The instance is free only when its answer is noted,
// for the next one must not overtake it.
func (c *consumers) taken(res *vegeta.Result) outcome {
	defer func() { c.free <- res.URL }()
	if res.Code != http.StatusOK {
		return c.to.refused(res)
	}
	scratch := c.scratch.Get().(*[]given)
	defer c.scratch.Put(scratch)
	records, err := c.parse(res.Body, (*scratch)[:0])
	*scratch = records
	if err != nil {
		return outcome{failures: []failure{{Status: int(res.Code), Kind: "not a list of records"}}, message: err.Error()}
	}
	c.got.note(c.instances[res.URL], records)
	return outcome{ok: true, records: len(records)}
}

// sent implements source.
func (c *consumers) sent(uint64) {}

// parse appends the records of an answer, which it may change.
func (c *consumers) parse(body []byte, out []given) ([]given, error) {
	w := json.NewWalker(body)
	if !w.Enter('[') {
		return out, fmt.Errorf("the answer is no array")
	}
	for w.Element() {
		r, err := c.parseRecord(&w)
		if err != nil {
			return out, fmt.Errorf("record %d of the answer: %w", len(out)+1, err)
		}
		out = append(out, r)
	}
	w.End()
	if err := w.Err(); err != nil {
		return out, err
	}
	return out, nil
}

func (c *consumers) parseRecord(w *json.Walker) (r given, err error) {
	r = given{partition: -1, offset: -1, mark: foreignMark, elsewhere: "no topic"}
	if !w.Enter('{') {
		return r, fmt.Errorf("it is no object")
	}
	for w.Member() {
		name, value := w.Name(), w.Value()
		switch string(name) {
		case "topic":
			if r.elsewhere = ""; len(value) < 2 || string(json.Unquote(value)) != c.flow.Topic {
				r.elsewhere = string(value)
			}
		case "partition":
			var n int64
			n, err = strconv.ParseInt(string(value), 10, 32)
			r.partition = int32(n)
		case "offset":
			r.offset, err = strconv.ParseInt(string(value), 10, 64)
		case "value":
			r.mark = c.markOf(value)
		}
		if err != nil {
			return r, fmt.Errorf("cannot read %s: %w", name, err)
		}
	}
	return r, nil
}

// markOf is the mark of a value as JSON has it.
func (c *consumers) markOf(value []byte) uint16 {
	if c.flow.Format == "binary" && len(value) > 2 {
		decoded, err := base64.StdEncoding.AppendDecode(nil, value[1:len(value)-1])
		if err != nil {
			return foreignMark
		}
		value = decoded
	}
	return markOf(c.got.run, value)
}

// close deletes the instances, as well as it can.
func (c *consumers) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, path := range c.paths {
		_, _ = c.do(ctx, http.MethodDelete, path, "")
	}
}
