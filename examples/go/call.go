package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	apiType     = "application/vnd.kafka.v2+json"      // requests without records
	recordsType = "application/vnd.kafka.json.v2+json" // records whose values are JSON
	attempts    = 5
)

var client = http.Client{Timeout: 30 * time.Second}

// request is one call of the API. The media types are apiType where they are not given.
type request struct {
	method, url         string
	body                any
	contentType, accept string
}

// call sends a request and decodes the JSON of the response into result, if that is not nil.
// A response with Retry-After is retried: the node could not take the request now, and nothing was
// written. A 504 to a produce request has none: its records may be written, and a retry may write
// them twice.
func call(r request, result any) error {
	for attempt := 1; ; attempt++ {
		wait, err := try(r, result)
		if err == nil || wait == 0 || attempt == attempts {
			return err
		}
		time.Sleep(wait)
	}
}

// try sends a request once. After an error it returns how long to wait for a retry, 0 when
// none would help.
func try(r request, result any) (time.Duration, error) {
	var body bytes.Buffer
	if r.body != nil {
		if err := json.NewEncoder(&body).Encode(r.body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequest(r.method, r.url, &body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", cmp.Or(r.contentType, apiType))
	req.Header.Set("Accept", cmp.Or(r.accept, apiType))
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= 300 {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(seconds) * time.Second, fmt.Errorf("%s %s: %s %s", r.method, r.url, resp.Status, text)
	}
	if result == nil || len(text) == 0 {
		return 0, nil
	}
	return 0, json.Unmarshal(text, result)
}
