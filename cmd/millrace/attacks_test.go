package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/lab"
	"millrace/internal/testkit"
)

// attack is what is done to a program, beside honest requests, while its memory is
// measured. It runs until done is closed.
type attack struct {
	name string
	// stuck has Kafka answer no produce request, so that the producer's buffer fills.
	stuck bool
	// asked has the program ask callers who they are; honest ones have a key.
	asked bool
	run   func(a *attacked, done <-chan struct{})
}

var attacks = []attack{
	{name: "400 connections announce 16 MiB and send a byte a second", run: func(a *attacked, done <-chan struct{}) {
		a.each(400, done, func(c net.Conn) error {
			if _, err := io.WriteString(c, announcing(16<<20)); err != nil {
				return err
			}
			for every := time.NewTicker(time.Second); ; {
				select {
				case <-every.C:
					if _, err := c.Write([]byte{' '}); err != nil {
						return err
					}
				case <-done:
					return nil
				}
			}
		})
	}},
	{name: "400 connections send 1 MB of 16 MiB, then nothing", run: func(a *attacked, done <-chan struct{}) {
		sent := bytes.Repeat([]byte{' '}, 1_000_000)
		a.each(400, done, func(c net.Conn) error {
			if _, err := io.WriteString(c, announcing(16<<20)); err != nil {
				return err
			}
			if _, err := c.Write(sent); err != nil {
				return err
			}
			return drained(c)
		})
	}},
	{name: "64 connections send chunk extensions without end", run: func(a *attacked, done <-chan struct{}) {
		part := bytes.Repeat([]byte{'x'}, 64<<10)
		a.each(64, done, func(c net.Conn) error {
			if _, err := io.WriteString(c, chunked()+"1;"); err != nil {
				return err
			}
			for {
				n, err := c.Write(part)
				a.sent.Add(int64(n))
				if err != nil {
					return err
				}
			}
		})
	}},
	{name: "64 connections send gzip that unpacks to 16 MiB of blanks", run: func(a *attacked, done <-chan struct{}) {
		var bomb bytes.Buffer
		w := gzip.NewWriter(&bomb)
		_, _ = w.Write(bytes.Repeat([]byte{' '}, 16<<20)) // into memory
		_ = w.Close()
		request := strings.Replace(announcing(bomb.Len()), "\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1) + bomb.String()
		a.each(64, done, func(c net.Conn) error {
			if _, err := io.WriteString(c, request); err != nil {
				return err
			}
			return drained(c)
		})
	}},
	{name: "64 connections produce 1 MB while the producer's buffer is full", stuck: true, run: func(a *attacked, done <-chan struct{}) {
		body := `{"records":[` + strings.Repeat(`{"value":"`+strings.Repeat("x", 180)+`"},`, 5000) + `{"value":1}]}`
		request := announcing(len(body)) + body
		a.each(64, done, func(c net.Conn) error {
			go io.WriteString(c, request)
			head := make([]byte, len("HTTP/1.1 503"))
			if _, err := io.ReadFull(c, head); err != nil {
				return err
			}
			if bytes.HasSuffix(head, []byte("503")) {
				a.refusals.Add(1)
			}
			return nil
		})
	}},
	{name: "a consumer subscribes to a pattern of 15 MB", run: func(a *attacked, done <-chan struct{}) {
		a.create("i", done)
		a.post("/consumers/g/instances/i/subscription", `{"topic_pattern":"`+strings.Repeat("[a-z]+x|", 15_000_000/8)+`y"}`, done)
	}},
	{name: "a consumer subscribes to 1,000,000 topics", run: func(a *attacked, done <-chan struct{}) {
		a.create("i", done)
		var names strings.Builder
		for n := range 1_000_000 {
			fmt.Fprintf(&names, `"t%d",`, n)
		}
		a.post("/consumers/g/instances/i/subscription", `{"topics":[`+names.String()+`"t"]}`, done)
	}},
	{name: "10 consumers have names of 15 MB", run: func(a *attacked, done <-chan struct{}) {
		for n := range 10 {
			a.create(strings.Repeat(string(rune('a'+n)), 15_000_000), done)
		}
	}},
}

func announcing(n int) string {
	return fmt.Sprintf("POST /topics/attacked HTTP/1.1\r\nHost: h\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: %d\r\n\r\n", n)
}

func chunked() string {
	return "POST /topics/attacked HTTP/1.1\r\nHost: h\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nTransfer-Encoding: chunked\r\n\r\n"
}

// drained reads until the other side closes.
func drained(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// attacked is a running program.
type attacked struct {
	addr     string
	process  *testkit.Process
	sent     atomic.Int64 // what the attack sent, where that is of interest
	refusals atomic.Int64 // 503 that it got
	statuses []string     // of its single requests, with how long each took
}

// create asks for a consumer instance of that name.
func (a *attacked) create(name string, done <-chan struct{}) {
	a.post("/consumers/g", `{"name":"`+name+`"}`, done)
}

// post sends one request, whose client leaves when the attack is over.
func (a *attacked) post(path, body string, done <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	began, status := time.Now(), "none"
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+a.addr+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/vnd.kafka.v2+json")
	if resp, err := http.DefaultClient.Do(req); err == nil {
		status = strconv.Itoa(resp.StatusCode)
		resp.Body.Close()
	}
	a.statuses = append(a.statuses, fmt.Sprintf("%s after %.2f s", status, time.Since(began).Seconds()))
}

// each runs do on n connections at a time, anew when it returns, until done.
func (a *attacked) each(n int, done <-chan struct{}, do func(net.Conn) error) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for {
				c, err := net.Dial("tcp", a.addr)
				if err == nil {
					ended := make(chan struct{})
					go func() {
						select {
						case <-done:
						case <-ended:
						}
						c.Close()
					}()
					_ = do(c) // it is meant to be refused
					close(ended)
				}
				select {
				case <-done:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	all.Wait()
}

// honest counts and times small requests of ten clients, a hundred a second in all.
type honest struct {
	key           string // of an identity; empty: none
	tried, served atomic.Int64

	mu   sync.Mutex
	took lab.Histogram // of those served
}

// send sends a request and reports whether it was served.
func (h *honest) send(client *http.Client, base string) bool {
	req, err := http.NewRequest("POST", base+"/topics/honest", strings.NewReader(`{"records":[{"value":1}]}`))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	if h.key != "" {
		req.Header.Set("X-Api-Key", h.key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

func (h *honest) run(base string, done <-chan struct{}) {
	client := &http.Client{Timeout: 5 * time.Second}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			every := time.NewTicker(100 * time.Millisecond)
			defer every.Stop()
			for {
				select {
				case <-done:
					return
				case <-every.C:
				}
				h.tried.Add(1)
				began := time.Now()
				if h.send(client, base) {
					h.served.Add(1)
					h.mu.Lock()
					h.took.Add(time.Since(began))
					h.mu.Unlock()
				}
			}
		})
	}
	all.Wait()
}

// TestAttacks measures what each attack costs a program, MILLRACE_BIN or this one, for
// docs/reliability.md. `make attacks` runs it.
func TestAttacks(t *testing.T) {
	if os.Getenv("MILLRACE_ATTACKS") == "" {
		t.Skip("`make attacks` runs this; it takes minutes, and a machine of its own to mean something")
	}
	program := os.Getenv("MILLRACE_BIN")
	if program == "" {
		program = testkit.Binary(t)
	}
	fmt.Println("| attack | idle | peak | 15 s later | honest requests served, p50, p99 | CPU | CPU a refusal | answers |\n|---|---|---|---|---|---|---|---|")
	for _, attack := range slices.Concat(attacks, memoryAttacks, loginAttacks) {
		t.Run(attack.name, func(t *testing.T) { measure(t, program, attack) })
	}
}

func measure(t *testing.T, program string, attack attack) {
	broker := testkit.Fake(t)
	if attack.stuck {
		held := make(chan struct{})
		defer close(held)
		broker.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			broker.SleepControl(func() { <-held })
			return nil, nil, false
		})
	}
	args := []string{"serve", "--set=bootstrap.servers=" + strings.Join(broker.Addrs, ","), "--set=listeners=http://127.0.0.1:0"}
	var h honest
	if attack.asked {
		key, settings := askCallers(t)
		h.key, args = key, append(args, settings...)
	}
	p := testkit.StartProcess(t, exec.Command(program, args...))
	a := &attacked{process: p, addr: p.WaitLine(t, `msg=serving addresses=\[http://([^\]]+)\]`, 20*time.Second)[1]}
	testkit.CreateTopic(t, broker.Broker, 1)
	warm := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(warm) })
	if !attack.stuck {
		h.run("http://"+a.addr, warm)
	}
	idle, _ := p.Resident(t)
	h.tried.Store(0)
	h.served.Store(0)
	h.took = lab.Histogram{}
	done := make(chan struct{})
	time.AfterFunc(20*time.Second, func() { close(done) })
	before := p.CPU(t)
	var both sync.WaitGroup
	both.Go(func() { attack.run(a, done) })
	if !attack.stuck {
		both.Go(func() { h.run("http://"+a.addr, done) })
	}
	both.Wait()
	took := p.CPU(t) - before
	_, peak := p.Resident(t)
	<-time.After(15 * time.Second)
	after, _ := p.Resident(t)
	served, cost := "", ""
	if tried := h.tried.Load(); tried > 0 {
		served = fmt.Sprintf("%.1f %% of %d in %v, %v", 100*float64(h.served.Load())/float64(tried), tried, round(h.took.Quantile(.5)), round(h.took.Quantile(.99)))
	}
	if n := a.refusals.Load(); n > 0 {
		cost = fmt.Sprintf("%.2f ms", took.Seconds()*1000/float64(n))
	}
	total := p.CPU(t) - before
	fmt.Printf("| %s | %d MB | %d MB | %d MB | %s | %.1f s, %.1f s more later | %s | %s |\n", attack.name, idle/1e6, peak/1e6, after/1e6, served,
		took.Seconds(), (total - took).Seconds(), cost, strings.Join(a.statuses, ", "))
}
