package check

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

const (
	// pollWait is how long a read waits for records, in milliseconds.
	pollWait = 250
	// pageBytes bounds a page, so that there are many.
	pageBytes = 8 << 10

	// 404s that speak of something else than the instance.
	topicNotFound, partitionNotFound = 40401, 40402
)

// instance is one consuming client: an instance of a group, which reads pages and commits
// some of them.
type instance struct {
	run    *traffic
	group  *group
	client int
	line   *line
	format string
	seq    int // of its requests
	names  int // how many instances it has made
	name   string
	joined bool
	stale  bool // name may exist, and is not used: it must go, or it keeps partitions
}

// consume reads until the group has been given all of its topics or gives up. An instance
// that the proxy has lost is made again, under another name.
func (c *instance) consume(ctx context.Context) {
	defer c.line.close()
	for !c.group.finished() {
		if !c.joined && !c.join(ctx) {
			pause(ctx, retryPause)
			continue
		}
		switch page := c.read(ctx); {
		case page.Status == http.StatusNotFound && page.Code != topicNotFound && page.Code != partitionNotFound:
			c.lost(page)
		case page.Outcome != OK:
			pause(ctx, retryPause)
		case len(page.Page) > 0 && c.seq%3 > 0: // some pages are not committed
			if c.commit(ctx).Outcome == OK {
				c.run.observe(ctx, c.group.name, c.client)
			}
		}
	}
	if c.joined || c.stale {
		c.leave(ctx)
	}
}

// path is one of the instance's resources.
func (c *instance) path(resource string) string {
	return "/consumers/" + url.PathEscape(c.group.name) + "/instances/" + url.PathEscape(c.name) + resource
}

// call makes one request and notes it. parse may read the body of a response of 200.
func (c *instance) call(ctx context.Context, kind Kind, q request, parse func(*Op, []byte) error) Op {
	h := c.run.history
	op := Op{Kind: kind, Client: c.client, Seq: c.seq, Group: c.group.name, Instance: c.name}
	c.seq++
	op.Sent = h.Now()
	r := c.line.do(context.WithoutCancel(ctx), q)
	op.Done, op.Conn = h.Now(), c.line.number
	op.settle(r)
	if op.Outcome == OK && parse != nil {
		if err := parse(&op, r.body); err != nil {
			op.malformed(err)
		}
	}
	h.Append(op)
	return op
}

// join makes the instance and subscribes it. Its path is built here and not taken from
// base_uri, which may name a host that nobody meant to send headers to.
func (c *instance) join(ctx context.Context) bool {
	if c.stale && !c.leave(ctx) {
		return false
	}
	c.names++
	c.name = fmt.Sprintf("check-%d-%d", c.client, c.names)
	create, _ := json.Marshal(map[string]string{
		"name": c.name, "format": c.format, "auto.offset.reset": "earliest", "auto.commit.enable": "false",
	})
	subscribe, _ := json.Marshal(map[string][]string{"topics": c.run.Topics})
	made := c.call(ctx, Join, request{
		method: http.MethodPost, path: "/consumers/" + url.PathEscape(c.group.name), contentType: mediaV2, accept: mediaV2, body: create,
	}, nil)
	c.stale = made.Outcome != Failed
	if made.Outcome != OK {
		return false
	}
	c.joined = c.call(ctx, Join, request{
		method: http.MethodPost, path: c.path("/subscription"), contentType: mediaV2, accept: mediaV2, body: subscribe,
	}, nil).Outcome == OK
	return c.joined
}

// leave deletes the instance, and reports whether it is gone.
func (c *instance) leave(ctx context.Context) bool {
	op := c.call(ctx, Leave, request{method: http.MethodDelete, path: c.path(""), contentType: mediaV2}, nil)
	gone := op.Outcome == OK || op.Status == http.StatusNotFound
	c.joined, c.stale = false, !gone
	return gone
}

// lost notes that the proxy does not know the instance any more, as its answer said.
func (c *instance) lost(answer Op) {
	c.joined, c.stale = false, false
	c.run.history.Append(Op{
		Kind: Leave, Client: c.client, Conn: answer.Conn, Seq: c.seq, Sent: answer.Sent, Done: c.run.history.Now(),
		Outcome: OK, Status: answer.Status, Code: answer.Code, Group: c.group.name, Instance: c.name,
	})
	c.seq++
}

func (c *instance) commit(ctx context.Context) Op {
	return c.call(ctx, Commit, request{method: http.MethodPost, path: c.path("/offsets"), contentType: mediaV2, accept: mediaV2}, nil)
}

func (c *instance) read(ctx context.Context) Op {
	path := c.path(fmt.Sprintf("/records?timeout=%d&max_bytes=%d", pollWait, pageBytes))
	op := c.call(ctx, Read, request{method: http.MethodGet, path: path, accept: mediaOf(c.format)}, c.page)
	c.group.note(op.Page)
	return op
}

// page reads the records of a response into op.
func (c *instance) page(op *Op, body []byte) error {
	var records []struct {
		Topic     *string         `json:"topic"`
		Partition *int32          `json:"partition"`
		Offset    *int64          `json:"offset"`
		Value     json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(body, &records); err != nil {
		return err
	}
	page := make([]Given, 0, len(records))
	for i, r := range records {
		if r.Topic == nil || r.Partition == nil || r.Offset == nil {
			return fmt.Errorf("record %d of the page has no place", i)
		}
		value := []byte(r.Value)
		if c.format == "binary" {
			var text []byte
			if json.Unmarshal(r.Value, &text) == nil { // base64; else it is foreign as it is
				value = text
			}
		}
		given := Given{Place: Place{Partition{*r.Topic, *r.Partition}, *r.Offset}}
		var ours bool
		if given.ID, ours = ParseValue(c.run.history.Run, value); !ours {
			given.Foreign = preview(value)
		}
		page = append(page, given)
	}
	op.Page = page
	return nil
}
