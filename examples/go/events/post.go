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

// answer is what a node says of events.
type answer struct {
	Errors []struct {
		Index   int    `json:"index"`
		Message string `json:"message"`
		Retry   bool   `json:"retry"`
	} `json:"errors"`
}

// post sends events once. It returns those that are to be sent again, and how long to wait before
// that, 0 where the node has not said it. answered says that the request was carried out.
func (s *sender) post(events [][]byte, key string) (again [][]byte, wait time.Duration, answered bool) {
	resp, err := s.request(events, key)
	if err != nil { // no network, or no node
		fmt.Fprintln(os.Stderr, err)
		return events, 0, false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return events, 0, false
	}
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		wait = time.Duration(after) * time.Second
	}
	switch {
	case resp.StatusCode < 300:
		return s.refused(events, text), wait, true
	case wait > 0 || resp.StatusCode >= 502 && resp.StatusCode <= 504:
		return events, wait, resp.StatusCode == http.StatusGatewayTimeout
	}
	fmt.Fprintf(os.Stderr, "%d events are refused: %s %s\n", len(events), resp.Status, text)
	return nil, 0, true
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
// refused. An answer without a body has none.
func (s *sender) refused(events [][]byte, text []byte) (again [][]byte) {
	var a answer
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a); err != nil {
			fmt.Fprintf(os.Stderr, "the answer is not of a node: %v\n", err)
		}
	}
	for _, e := range a.Errors {
		if e.Retry && e.Index < len(events) {
			again = append(again, events[e.Index])
			continue
		}
		fmt.Fprintf(os.Stderr, "an event is refused: %s\n", e.Message)
	}
	return again
}
