package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// outwards returns an address of this machine that others reach, "" where it has
// none.
func outwards(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip := a.(*net.IPNet).IP; ip.To4() != nil && !ip.IsLoopback() {
			return ip.String()
		}
	}
	return ""
}

// Without a word about listeners dev mode is for this machine alone: whoever
// reaches it changes its settings.
func TestDevListensOnLoopback(t *testing.T) {
	p := testkit.StartMillrace(t, "dev", "--kafka-port=0", "--registry-port=0")
	started := p.WaitLine(t, `REST API +http://(\S+) \((.*)\)|cannot listen on (\S+):.*address already in use`, 20*time.Second)
	if started[3] != "" { // something else of this machine's has the port
		if started[3] != "127.0.0.1:8082" {
			t.Errorf("it wants to listen on %s", started[3])
		}
		return
	}
	if started[1] != "127.0.0.1:8082" || started[2] != "this machine alone" {
		t.Errorf("it says that it listens on %q", started[1:])
	}
	kafka := p.WaitLine(t, `Kafka +(\S+)`, 20*time.Second)[1]
	registry := p.WaitLine(t, `Registry +http://(\S+)`, 20*time.Second)[1]
	for _, addr := range []string{started[1], kafka, registry} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Errorf("it does not listen on %s: %v", addr, err)
			continue
		}
		conn.Close()
		host, port, _ := net.SplitHostPort(addr)
		if !net.ParseIP(host).IsLoopback() {
			t.Errorf("%s is not loopback", addr)
		}
		if outer := outwards(t); outer != "" {
			if conn, err := net.Dial("tcp", net.JoinHostPort(outer, port)); err == nil {
				conn.Close()
				t.Errorf("%s is reached from outside, at %s", addr, outer)
			}
		}
	}
}

// The log says where a listener is: localhost would hide that it is everywhere.
func TestListenersAreNamedAsTheyAre(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t)
	p := testkit.StartMillrace(t, "serve", "--set=bootstrap.servers="+strings.Join(b.Addrs, ","), "--set=listeners=http://0.0.0.0:0")
	if addr := p.WaitLine(t, `msg=serving addresses=\[(\S+)\]`, 20*time.Second)[1]; !strings.HasPrefix(addr, "http://[::]:") && !strings.HasPrefix(addr, "http://0.0.0.0:") {
		t.Errorf("it says %s", addr)
	}
	d := testkit.StartMillrace(t, "dev", "--kafka-port=0", "--registry-port=0", "--set=listeners=http://0.0.0.0:0")
	d.WaitLine(t, `REST API +http://localhost:\d+ \(listening on \S+, every interface: whoever reaches it can change settings\)`, 20*time.Second)
}

// A web page that is open in a browser on this machine reaches loopback.
func TestDevKeepsPagesOfOthersOut(t *testing.T) {
	t.Parallel()
	p, url, _ := dev(t)
	registry := p.WaitLine(t, `Registry +(http://\S+)`, 20*time.Second)[1]
	f := func(method, url, body, host, origin, site string, want int) {
		t.Helper()
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		if site != "" {
			req.Header.Set("Sec-Fetch-Site", site)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if resp.StatusCode != want || err != nil || want == 403 && !strings.Contains(string(text), `"error_code":40301`) {
			t.Errorf("%s %s for %q from %q: %d %s, %v; want %d", method, url, host, origin, resp.StatusCode, text, err, want)
		}
		if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s %s: X-Content-Type-Options is %q", method, url, got)
		}
	}
	const change = `{"log.level":"debug"}`
	const schema = `{"schema":"\"string\""}`
	const subject = "/subjects/s/versions"
	// Its name was made to resolve to this machine (DNS rebinding).
	for _, host := range []string{"evil.example", "evil.example:8082", "127.0.0.1.evil.example"} {
		f("PUT", url+"/admin/config", change, host, "http://"+host, "same-origin", 403)
		f("GET", url+"/admin/config", "", host, "", "same-origin", 403)
		f("GET", url+"/topics", "", host, "", "same-origin", 403)
		f("POST", url+"/consumers/g", "", host, "http://"+host, "same-origin", 403)
		f("GET", registry+"/subjects", "", host, "", "same-origin", 403)
		f("POST", registry+subject, schema, host, "http://"+host, "same-origin", 403)
	}
	// It is of another site, and the browser reports that or is an old one.
	for _, site := range []string{"cross-site", "same-site", ""} {
		f("PUT", url+"/admin/config", change, "", "http://evil.example", site, 403)
		f("POST", url+"/consumers/g", "", "", "http://evil.example", site, 403)
		f("POST", registry+subject, schema, "", "http://evil.example", site, 403)
		f("PUT", registry+"/config", `{"compatibility":"NONE"}`, "", "http://evil.example", site, 403)
		f("DELETE", registry+"/subjects/s", "", "", "http://evil.example", site, 403)
	}
	f("GET", url+"/admin/config", "", "localhost", "", "", 200)
	f("PUT", url+"/admin/config", change, "localhost", "http://localhost", "same-origin", 200)
	f("GET", registry+"/subjects", "", "localhost:8081", "", "", 200)
	f("GET", registry+"/subjects", "", "[::1]:8081", "", "", 200)
	f("POST", registry+subject, schema, "", "", "", 200)
}

// A flag that cannot work is refused at the start, by its name.
func TestFlagsOutOfRange(t *testing.T) {
	t.Parallel()
	binary := testkit.Binary(t) // building it does not count
	for _, c := range []struct{ flag, args string }{
		{"--partitions", "dev --partitions=0"},
		{"--partitions", "dev --partitions=-1"},
		{"--partitions", "dev --partitions=10001"},
		{"--retain", "dev --retain=0"},
		{"--retain", "dev --retain=-1"},
		{"--retain", "dev --retain=9223372036854775807"},
		{"--kafka-port", "dev --kafka-port=-1"},
		{"--kafka-port", "dev --kafka-port=65536"},
		{"--registry-port", "dev --registry-port=-1"},
		{"--registry-port", "dev --registry-port=65536"},
		{"listeners", "dev --set=listeners=http://127.0.0.1:65536"},
		{"listeners", "serve --set=bootstrap.servers=k:1 --set=listeners=http://127.0.0.1:-1"},
		{"bootstrap.servers", "serve --set=bootstrap.servers=k:65536"},
		{"--duration", "loadtest run --duration=-1s mixed"},
		{"--pid", "loadtest run --pid=-1 mixed"},
		{"--count", "loadtest targets --count=0 mixed"},
		{"--count", "loadtest targets --count=-1 mixed"},
		{"--count", "loadtest targets --count=9223372036854775807 mixed"},
		{"--sample", "tune --topic=t --sample=0"},
		{"--batch", "tune --topic=t --batch=-1"},
		{"--batch", "tune --topic=t --batch=9223372036854775807"},
		{"--replicas", "tune --topic=t --replicas=-1"},
		{"--replicas", "tune --topic=t --replicas=40000"},
		{"rate", "tune --topic=t --rate=-1"},
		{"rate", "tune --topic=t --rate=NaN"},
		{"weights", "tune --topic=t --cpu-weight=Inf"},
		{"weights", "tune --topic=t --network-weight=-1"},
		{"weights", "tune --topic=t --disk-weight=NaN"},
	} {
		t.Run(c.args, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // one that starts must not hold up the test
			defer cancel()
			out, err := exec.CommandContext(ctx, binary, strings.Fields(c.args)...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() < 1 || !strings.Contains(string(out), c.flag) {
				t.Errorf("%v:\n%s", err, out)
			}
			if strings.Contains(string(out), "panic") {
				t.Errorf("it panicked:\n%s", out)
			}
		})
	}
}
