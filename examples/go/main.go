// Command go writes three JSON records through millrace, reads them back as a member of a
// consumer group, and reads them once more directly from their partition.
//
//	go run ./examples/go [URL [TOPIC]]
package main

import (
	"fmt"
	"os"
)

// reading is the value of a record.
type reading struct {
	Celsius float64 `json:"celsius"`
}

// record is a record as it is written and as it is read.
type record struct {
	Key   string  `json:"key"`
	Value reading `json:"value"`
}

// slot tells about one record of a produce request: its offset, or why there is none.
type slot struct {
	Partition int     `json:"partition"`
	Offset    *int64  `json:"offset"`
	Error     *string `json:"error"`
}

func main() {
	url, topic := "http://localhost:8082", "readings"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if len(os.Args) > 2 {
		topic = os.Args[2]
	}
	if err := run(url, topic); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(url, topic string) error {
	// Records with one key go to one partition, where their order is kept.
	records := []record{
		{"sensor-7", reading{20.5}},
		{"sensor-7", reading{21.25}},
		{"sensor-7", reading{22.5}},
	}
	written, err := produce(url, topic, records)
	if err != nil {
		return err
	}
	for _, s := range written {
		fmt.Printf("written: partition %d, offset %d\n", s.Partition, *s.Offset)
	}
	if err := consume(url, topic, len(records)); err != nil {
		return err
	}
	var page []record
	direct := fmt.Sprintf("%s/topics/%s/partitions/%d/records?offset=%d&timeout=1000",
		url, topic, written[0].Partition, *written[0].Offset)
	if err := call(request{method: "GET", url: direct, accept: recordsType}, &page); err != nil {
		return err
	}
	for _, r := range page {
		fmt.Printf("direct: %s %v\n", r.Key, r.Value.Celsius)
	}
	return nil
}

// produce writes records and returns the slot of each. It fails if one was not written; the
// others of the request are written all the same.
func produce(url, topic string, records []record) ([]slot, error) {
	var response struct {
		Offsets []slot `json:"offsets"`
	}
	body := map[string]any{"records": records}
	err := call(request{method: "POST", url: url + "/topics/" + topic, body: body, contentType: recordsType}, &response)
	if err != nil {
		return nil, err
	}
	for _, s := range response.Offsets {
		if s.Offset == nil {
			return nil, fmt.Errorf("a record was not written: %s", *s.Error)
		}
	}
	return response.Offsets, nil
}

// consume prints records as a member of a consumer group, and commits them.
func consume(url, topic string, count int) (err error) {
	var instance struct {
		URL string `json:"base_uri"`
	}
	settings := map[string]string{"format": "json", "auto.offset.reset": "earliest"}
	if err := call(request{method: "POST", url: url + "/consumers/" + topic + "-readers", body: settings}, &instance); err != nil {
		return err
	}
	defer func() {
		if e := call(request{method: "DELETE", url: instance.URL}, nil); err == nil {
			err = e
		}
	}()
	subscription := map[string][]string{"topics": {topic}}
	if err := call(request{method: "POST", url: instance.URL + "/subscription", body: subscription}, nil); err != nil {
		return err
	}
	for count > 0 {
		// A read waits for the partitions and for records, and answers as soon as it has some.
		var page []record
		if err := call(request{method: "GET", url: instance.URL + "/records?timeout=10000", accept: recordsType}, &page); err != nil {
			return err
		}
		for _, r := range page {
			fmt.Printf("consumer: %s %v\n", r.Key, r.Value.Celsius)
		}
		count -= len(page)
	}
	// Without a body this commits all that was read.
	return call(request{method: "POST", url: instance.URL + "/offsets"}, nil)
}
