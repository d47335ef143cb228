package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
)

func TestStreamsPage(t *testing.T) {
	t.Parallel()
	_, url, _ := dev(t)
	testkit.RunReadme(t, filepath.Join(filepath.Dir(readme(t)), "docs", "streams.md"), url)
}

// Many streams of a topic, by the resources that they take of a program that does nothing else.
// With MILLRACE_STREAMS=full it is the figure of docs/streams.md, of 1,000 streams.
func TestManyStreamsTakeLittle(t *testing.T) {
	t.Parallel()
	streams := 100
	if os.Getenv("MILLRACE_STREAMS") == "full" {
		streams = 1000
	}
	const records = 100
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	_, url := serve(t, b)
	var open, read sync.WaitGroup
	var last atomic.Int64 // when a client had its last record, in ns since 1970
	open.Add(streams)
	for range streams {
		read.Go(func() {
			resp, err := http.Get(url + "/topics/" + topic + "/stream")
			open.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			for n := 0; n < records && lines.Scan(); {
				if len(lines.Bytes()) > 0 {
					n++
				}
			}
			if err := lines.Err(); err != nil {
				t.Errorf("a stream broke: %v", err)
			}
			for now := time.Now().UnixNano(); ; {
				if was := last.Load(); was >= now || last.CompareAndSwap(was, now) {
					return
				}
			}
		})
	}
	open.Wait()
	var goroutines, memory float64
	testkit.Eventually(t, time.Minute, "one goroutine a stream, and 100 for all else", func() bool {
		figures := scrape(t, url)
		goroutines, memory = figures.sum(t, "go_goroutines"), figures.sum(t, "process_resident_memory_bytes")
		return goroutines >= float64(streams) && goroutines < float64(streams+100)
	})
	body := `{"records":[` + strings.Repeat(`{"value":{"n":1}},`, records-1) + `{"value":{"n":1}}]}`
	if status, answer := call(t, "POST", url+"/topics/"+topic, body); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	answered := time.Now()
	read.Wait()
	t.Logf("%d streams: %.0f MB, %.0f goroutines; the last client had the last of %d records %v after the produce request was answered",
		streams, memory/1e6, goroutines, records, time.Unix(0, last.Load()).Sub(answered).Round(time.Millisecond))
	if most := float64(80<<20 + streams*(100<<10)); memory > most {
		t.Errorf("%.0f MB, which is more than 100 KiB a stream and 80 MiB", memory/1e6)
	}
}

// The sample page sees every record once and in order while the node it reads
// from is restarted, and while it is killed.
func TestBrowserStream(t *testing.T) {
	t.Parallel()
	dir, chromium := browser(t)
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) { browse(t, b, dir, chromium) })
}

func browse(t *testing.T, b testkit.Broker, dir, chromium string) {
	topic := testkit.CreateTopic(t, b, 3)
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a port that stays the same
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	program := func() *testkit.Process {
		p, _ := serve(t, b, "--set=listeners=http://"+addr, "--set=access.control.allow.origin=*")
		return p
	}
	writer := testkit.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	wrote := 0
	write := func(n int) {
		for range n {
			if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: int32(wrote % 3), Value: fmt.Append(nil, wrote)}).FirstErr(); err != nil {
				t.Error(err)
			}
			wrote++
		}
	}
	docs := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(filepath.Dir(readme(t)), "docs"))))
	defer docs.Close()
	p := program()
	page := docs.URL + "/stream.html?url=" + url.QueryEscape("http://"+addr+"/topics/"+topic+"/stream")

	cmd := exec.CommandContext(t.Context(), "node", "-e", browserScript, chromium, page)
	cmd.Dir = dir
	node := testkit.StartProcess(t, cmd)
	reached := func(line string) { node.WaitLine(t, "(?m)^"+line+"$", time.Minute) }
	reached("connected")
	write(300)
	reached("seen 300")
	for n, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		var writing sync.WaitGroup
		writing.Go(func() { write(200) }) // some of them before the end, some after it
		p.Signal(t, signal)
		p.WaitExit(t, 20*time.Second)
		writing.Wait()
		p = program()
		write(100)
		reached(fmt.Sprintf("seen %d", 600+300*n))
	}
	write(100)
	reached("seen 1000")
	if code := node.WaitExit(t, time.Minute); code != 0 {
		t.Fatalf("the script ended with %d:\n%s", code, node.Output())
	}
	next, values := map[string]int{}, map[string]bool{}
	_, list, _ := strings.Cut(node.Output(), "records:\n")
	for line := range strings.Lines(strings.TrimSuffix(list, "end\n")) {
		place, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		partition, offset, _ := strings.Cut(place, "/")
		if offset != fmt.Sprint(next[partition]) || values[value] {
			t.Fatalf("the page has %q where offset %d should be", line, next[partition])
		}
		next[partition]++
		values[value] = true
	}
	if len(values) != 1000 {
		t.Errorf("the page has %d records", len(values))
	}
}

// browserScript opens the page and says how far it has come.
const browserScript = `
const { chromium } = require(process.cwd() + '/node_modules/playwright-core');
const [executablePath, url] = process.argv.slice(1);
(async () => {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById('state').textContent === 'connected');
  console.log('connected');
  for (const n of [300, 600, 900, 1000]) {
    await page.waitForFunction((n) => Number(document.getElementById('count').textContent) >= n, n, { timeout: 60000 });
    console.log('seen ' + n);
  }
  await new Promise((done) => setTimeout(done, 500)); // what comes twice would come now
  console.log('records:\n' + (await page.locator('li').allTextContents()).join('\n') + '\nend');
  await browser.close();
})().catch((err) => { console.log(err); process.exit(1); });
`

// The sample page says that it connects again only while the browser does. It gives up where the
// answer is no stream, or not for the page to read.
func TestBrowserStreamThatEnds(t *testing.T) {
	t.Parallel()
	dir, chromium := browser(t)
	b := testkit.Fake(t).Broker
	topic := testkit.CreateTopic(t, b, 1)
	docs := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(filepath.Dir(readme(t)), "docs"))))
	defer docs.Close()
	node, open := serve(t, b, "--set=access.control.allow.origin="+docs.URL)
	_, closed := serve(t, b, "--set=access.control.allow.origin=https://other.example")
	page := func(base, topic string) string {
		return docs.URL + "/stream.html?url=" + url.QueryEscape(base+"/topics/"+topic+"/stream")
	}
	cmd := exec.CommandContext(t.Context(), "node", "-e", statesScript, chromium, page(open, "missing"), page(closed, topic), page(open, topic))
	cmd.Dir = dir
	script := testkit.StartProcess(t, cmd)
	const givenUp = "the browser has given up: there is no such stream, or it may not be read from here"
	script.WaitLine(t, "(?m)^0: "+givenUp+"$", time.Minute)
	script.WaitLine(t, "(?m)^1: "+givenUp+"$", time.Minute)
	script.WaitLine(t, "(?m)^2: connected$", time.Minute)
	node.Signal(t, syscall.SIGKILL)
	script.WaitLine(t, "(?m)^2: connecting again$", time.Minute)
	for _, n := range []string{"0", "1"} {
		if strings.Contains(script.Output(), n+": connecting again") {
			t.Errorf("page %s said that it connects again:\n%s", n, script.Output())
		}
	}
	script.Signal(t, syscall.SIGTERM) // closes the browser, which would outlive its driver
	script.WaitExit(t, 20*time.Second)
}

// statesScript opens one page after another and says each state that they show.
const statesScript = `
const { chromium } = require(process.cwd() + '/node_modules/playwright-core');
const [executablePath, ...urls] = process.argv.slice(1);
(async () => {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  process.on('SIGTERM', () => browser.close().then(() => process.exit()));
  for (const [n, url] of urls.entries()) {
    const page = await browser.newPage();
    await page.exposeFunction('said', (text) => console.log(n + ': ' + text));
    await page.addInitScript(() => document.addEventListener('DOMContentLoaded', () => {
      const state = document.getElementById('state');
      new MutationObserver(() => globalThis.said(state.textContent)).observe(state, { childList: true });
      globalThis.said(state.textContent);
    }));
    await page.goto(url);
    await page.waitForFunction(() => !document.getElementById('state').textContent.startsWith('connecting'));
  }
})().catch((err) => { console.log(err); process.exit(1); });
`
