package deadletter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"millrace/codec/json"
	"millrace/server"
)

// Replayer posts dead letters to their routes.
type Replayer struct {
	// URL is of a node, and Headers are those of each request, NAME: VALUE.
	URL     string
	Headers []string
	// Topic is where the events are from.
	Topic string
}

// replayAttempts bounds the requests of one event, which a node may ask to send again.
const replayAttempts = 5

// Post posts an event, with what the rules of its route read of the request that it came in. A node
// that says Retry-After is asked again.
func (p *Replayer) Post(ctx context.Context, e Event) error {
	for attempt := 1; ; attempt++ {
		wait, err := p.try(ctx, e)
		if err == nil || wait == 0 || attempt == replayAttempts {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Replayer) try(ctx context.Context, e Event) (wait time.Duration, err error) {
	query := url.Values{}
	for name, value := range e.query {
		query.Set(name, value)
	}
	contentType, body := e.body()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(p.URL, "/")+"/ingest/"+url.PathEscape(e.Route)+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range e.headers {
		req.Header.Set(name, value)
	}
	if e.Index != "" {
		req.Header.Set(server.HeaderEventIndex, e.Index)
	}
	for _, h := range p.Headers {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Set(name, strings.TrimSpace(value))
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || resp.StatusCode < 300 && resp.StatusCode != http.StatusMultiStatus {
		return 0, err
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, fmt.Errorf("%s %s", resp.Status, text)
}

// body returns the event as a request of one event. Of JSON it is the element of an array, since an
// array on its own would be many events.
func (e *Event) body() (contentType string, body []byte) {
	name, _, _ := strings.Cut(strings.ToLower(e.Type), ";")
	name = strings.TrimSpace(name)
	isJSON := strings.HasSuffix(name, "json") || strings.HasSuffix(name, "jsonl") || strings.HasSuffix(name, "jsonlines") || strings.HasSuffix(name, "json-lines") || name == "text/plain"
	switch {
	case e.headers["ce-specversion"] != "" || !isJSON || !json.Valid(e.value):
		return e.Type, e.value
	case strings.HasPrefix(name, "application/cloudevents"):
		return "application/cloudevents-batch+json", array(e.value)
	}
	return "application/json", array(e.value)
}

func array(element []byte) []byte { return append(append([]byte{'['}, element...), ']') }
