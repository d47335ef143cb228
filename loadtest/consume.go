package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// pollWait is how long a poll waits for records, in milliseconds.
const pollWait = 1000

// consumers makes the requests of a consume flow: a number of instances of one
// group, each polling again as soon as it was answered.
type consumers struct {
	to     *endpoint
	accept string
	paths  []string    // of the instances
	free   chan string // poll URLs of instances with no poll under way
}

// newConsumers creates and subscribes the instances. The group settles during
// the warm-up.
func newConsumers(ctx context.Context, to *endpoint, f *Flow, run string) (*consumers, error) {
	c := &consumers{to: to, accept: mediaOf(f.Format), free: make(chan string, f.Instances)}
	for i := range f.Instances {
		if err := c.add(ctx, f, "loadtest-"+run, fmt.Sprintf("%s-%d", f.Name, i)); err != nil {
			c.close()
			return nil, fmt.Errorf("cannot set up consumer %d of flow %s: %w", i+1, f.Name, err)
		}
	}
	return c, nil
}

func (c *consumers) add(ctx context.Context, f *Flow, group, name string) error {
	body, err := json.Marshal(map[string]string{"name": name, "format": f.Format, "auto.offset.reset": "latest"})
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
	if body, err = json.Marshal(map[string][]string{"topics": {f.Topic}}); err != nil {
		return err
	}
	if _, err = c.do(ctx, http.MethodPost, path+"/subscription", string(body)); err != nil {
		return err
	}
	c.free <- fmt.Sprintf("%s%s/records?timeout=%d", c.to.base, path, pollWait)
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
	t.Header = c.to.header("Accept", c.accept)
	return nil
}

// taken implements source.
func (c *consumers) taken(res *vegeta.Result) outcome {
	c.free <- res.URL
	if res.Code != http.StatusOK {
		return c.to.refused(res)
	}
	var records []struct{}
	if err := json.Unmarshal(res.Body, &records); err != nil {
		return outcome{failures: []failure{{Status: int(res.Code), Kind: "not a list of records"}}, message: err.Error()}
	}
	return outcome{ok: true, records: len(records)}
}

// sent implements source.
func (c *consumers) sent(uint64) {}

// close deletes the instances, as well as it can.
func (c *consumers) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, path := range c.paths {
		_, _ = c.do(ctx, http.MethodDelete, path, "")
	}
}
