package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// browser installs from npm what drives a browser and what judges a page, and
// returns the folder with scripts of testdata beside them, and the browser. It
// takes the network, so the test runs only where it is asked for: make browser.
func browser(t *testing.T, scripts ...string) (dir, chromium string) {
	t.Helper()
	testkit.OnDemand(t, "MILLRACE_TEST_BROWSER", t.Name()+" was not tried in a browser: that needs Chromium, node and npm; `make browser` does")
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("there is no Chromium here (Debian: apt-get install chromium): %v", err)
	}
	dir = t.TempDir()
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "playwright-core@1.65.1", "axe-core@4.14.1")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("cannot install playwright-core and axe-core: %v\n%s", err, out)
	}
	for _, name := range scripts {
		script, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), script, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, chromium
}

// The dashboard as people see it: testdata/dashboard.mjs has what is looked at.
func TestDashboard(t *testing.T) {
	t.Parallel()
	dir, chromium := browser(t, "dashboard.mjs", "page.mjs", "figures.mjs", "forms.mjs", "keyboard.mjs")
	dev := testkit.StartMillrace(t, devForBrowsers...)
	url := dev.WaitLine(t, `REST API +(http://\S+)`, 20*time.Second)[1]
	p := startNode(t, dir, "dashboard.mjs", url, chromium)
	if code := p.WaitExit(t, 10*time.Minute); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

var devForBrowsers = []string{
	"dev", "--set=listeners=http://127.0.0.1:0", "--kafka-port=0", "--registry-port=0",
	"--partitions=3", "--set=producer.compression.type=zstd",
}

// The documentation's pictures: of the program that MILLRACE_BIN names, which has
// a version, under a load test that has run long enough to fill the charts.
func TestPictures(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_PICTURES", "no pictures of the dashboard were taken; `make screenshots` does, in five minutes")
	dir, chromium := browser(t, "pictures.mjs", "page.mjs")
	images, err := filepath.Abs("../../docs/images")
	if err != nil {
		t.Fatal(err)
	}
	program := os.Getenv("MILLRACE_BIN")
	dev := testkit.StartProcess(t, exec.Command(program, devForBrowsers...))
	url := dev.WaitLine(t, `REST API +(http://\S+)`, 20*time.Second)[1]
	kafka := dev.WaitLine(t, `Kafka +(\S+)`, 20*time.Second)[1]
	load := testkit.StartProcess(t, exec.Command(program, "loadtest", "--url="+url, "--brokers="+kafka, "--out="+t.TempDir(),
		filepath.Join("testdata", "pictures.yaml")))
	load.WaitLine(t, `(?m)^ +240 s `, 6*time.Minute)
	p := startNode(t, dir, "pictures.mjs", url, chromium, images)
	if code := p.WaitExit(t, 2*time.Minute); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A page outlives a node that drains and one that comes after it.
func TestDashboardComesBack(t *testing.T) {
	t.Parallel()
	dir, chromium := browser(t, "reconnect.mjs")
	b := testkit.Fake(t).Broker
	first, url := serve(t, b)
	page := startNode(t, dir, "reconnect.mjs", url, chromium)
	page.WaitLine(t, "state: live", time.Minute)
	page.WaitLine(t, "figures: shown", time.Minute)
	first.Signal(t, syscall.SIGTERM)
	if code := first.WaitExit(t, 20*time.Second); code != 0 { // the page's stream does not hold it up
		t.Errorf("the drain ends with %d", code)
	}
	page.WaitLine(t, "state: reconnecting", 20*time.Second)
	page.WaitLine(t, `old: The node does not answer\. These figures are of \d`, 20*time.Second)
	testkit.StartMillrace(t, "serve", "--set=bootstrap.servers="+strings.Join(b.Addrs, ","), "--set=listeners="+url)
	testkit.Eventually(t, 30*time.Second, "the page to be live again", func() bool {
		return strings.Count(page.Output(), "state: live") == 2
	})
	if strings.Contains(page.Output(), "script:") {
		t.Error("a script of the page failed")
	}
	page.Signal(t, syscall.SIGTERM) // closes the browser, which would outlive its driver
	page.WaitExit(t, 20*time.Second)
}

func startNode(t *testing.T, dir string, args ...string) *testkit.Process {
	t.Helper()
	cmd := exec.Command("node", args...)
	cmd.Dir = dir
	return testkit.StartProcess(t, cmd)
}
