package main

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// sender posts events to an ingest route.
type sender struct{ url string }

var client = &http.Client{Timeout: 30 * time.Second}

// newKey returns an Idempotency-Key: a request that is sent again under it is not carried out
// twice, where the answer to the first was lost.
func newKey() string { return rand.Text() }

// answer is what a node says of events. An answer without a code and without a count is of somebody
// else on the way, such as a proxy, or the network of a hotel.
type answer struct {
	Code     int  `json:"error_code"`
	Accepted *int `json:"accepted"`
	Errors   []struct {
		Index   int    `json:"index"`
		Message string `json:"message"`
		Retry   bool   `json:"retry"`
	} `json:"errors"`
}

// writeUnknown is the code of events that may be in Kafka or not.
const writeUnknown = 50401

// outcome is what became of a request.
type outcome struct {
	// again are the events to send again, after wait; that is 0 where the node has not said it.
	again [][]byte
	wait  time.Duration
	// settled says that the same request would get the same answer.
	settled bool
	// split says that fewer events may go in a request.
	split bool
}

// post sends events once.
func (s *sender) post(events [][]byte, key string) outcome {
	resp, err := s.request(events, key)
	if err != nil { // no network, or no node
		fmt.Fprintln(os.Stderr, err)
		return outcome{again: events}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return outcome{again: events}
	}
	var a answer
	fault := json.Unmarshal(text, &a)
	o := outcome{again: events}
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		o.wait = time.Duration(after) * time.Second
	}
	switch status := resp.StatusCode; {
	case status == http.StatusRequestEntityTooLarge && len(events) > 1, status == http.StatusRequestTimeout:
		o.split = len(events) > 1
		return o
	case status == http.StatusNoContent, status < 300 && fault == nil && a.Accepted != nil:
		o.again, o.settled = a.refused(events), true
		return o
	case o.wait > 0, status >= 502 && status <= 504:
		o.settled = a.Code == writeUnknown
		return o
	case a.Code == 0 && status != http.StatusRequestEntityTooLarge:
		fmt.Fprintf(os.Stderr, "the answer is not of a node: %s\n", resp.Status)
		return o
	}
	fmt.Fprintf(os.Stderr, "%d events are refused: %s %s\n", len(events), resp.Status, text)
	return outcome{settled: true}
}

// request sends the request.
func (s *sender) request(events [][]byte, key string) (*http.Response, error) {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	for _, event := range events {
		_, _ = z.Write(append(bytes.Clone(event), '\n')) // a buffer takes all
	}
	_ = z.Close()
	req, err := http.NewRequest(http.MethodPost, s.url, &body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("Idempotency-Key", key)
	return client.Do(req)
}

// refused returns the events that an answer says to send again, and tells of the others that are
// refused.
func (a *answer) refused(events [][]byte) (again [][]byte) {
	for _, e := range a.Errors {
		if e.Retry && e.Index < len(events) {
			again = append(again, events[e.Index])
			continue
		}
		fmt.Fprintf(os.Stderr, "an event is refused: %s\n", e.Message)
	}
	return again
}
