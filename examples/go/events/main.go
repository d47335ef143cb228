// Command events sends events as an app does that is offline at times: each is kept in a file until
// it is sent, and what cannot be sent is left for the next run.
//
//	go run ./examples/go/events QUEUE [URL] < EVENTS
//
// Events are read as JSON lines.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

const (
	batch    = 500 // events of a request
	attempts = 5   // of a request
)

func main() {
	queue, url := "events.queue", "http://localhost:8082/ingest/app"
	if len(os.Args) > 1 {
		queue = os.Args[1]
	}
	if len(os.Args) > 2 {
		url = os.Args[2]
	}
	left, err := run(queue, url, os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if left > 0 {
		fmt.Fprintf(os.Stderr, "%d events are left for the next run\n", left)
		os.Exit(1)
	}
}

// run adds the events of in to the queue, sends what is in it, and returns how many are left.
func run(queue, url string, in io.Reader) (left int, err error) {
	if err := add(queue, in); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(queue)
	if err != nil {
		return 0, err
	}
	events := slices.DeleteFunc(bytes.Split(text, []byte("\n")), isBlank)
	s := sender{url: url}
	for len(events) > 0 {
		rest, sent := s.send(events[:min(batch, len(events))])
		events = append(rest, events[min(batch, len(events)):]...)
		if err := keep(queue, events); err != nil {
			return len(events), err
		}
		if !sent {
			break
		}
	}
	return len(events), nil
}

// isBlank reports whether a line has no event. An answer does not count such lines.
func isBlank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }

// add appends events to the queue. They outlive the process when it returns. They begin a line: the
// last one may be of a process that died as it wrote.
func add(queue string, in io.Reader) error {
	f, err := os.OpenFile(queue, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.Size() > 0 {
		if _, err := f.WriteString("\n"); err != nil {
			return err
		}
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if _, err := f.Write(append(lines.Bytes(), '\n')); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return f.Sync()
}

// keep makes events all that is in the queue, at once: a process that dies leaves the old queue or
// the new one.
func keep(queue string, events [][]byte) error {
	text := bytes.Join(events, []byte("\n"))
	if len(events) > 0 {
		text = append(text, '\n')
	}
	if err := os.WriteFile(queue+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(queue+".new", queue)
}

// send sends events, and those again that the answer says, until all are done or it gives up. It
// returns the events that are left.
func (s *sender) send(events [][]byte) (left [][]byte, sent bool) {
	key := newKey()
	for attempt := 1; ; attempt++ {
		o := s.post(events, key)
		if o.split {
			half := len(events) / 2
			if left, sent = s.send(events[:half]); !sent {
				return slices.Concat(left, events[half:]), false
			}
			return s.send(events[half:])
		}
		if len(o.again) == 0 {
			return nil, true
		}
		if o.settled {
			key = newKey() // what is left is another request
		}
		if events = o.again; attempt == attempts {
			return events, false
		}
		if o.wait == 0 {
			o.wait = time.Duration(rand.Int64N(int64(time.Second) << attempt / 16))
		}
		time.Sleep(o.wait)
	}
}
