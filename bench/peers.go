package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

// peer is another REST proxy that already runs, on the same Kafka.
type peer struct {
	name, url string
	pid       int
}

// readPeer reads NAME=URL,pid.
func readPeer(s string) (peer, error) {
	name, rest, ok1 := strings.Cut(s, "=")
	at := strings.LastIndexByte(rest, ',')
	if !ok1 || at < 0 {
		return peer{}, fmt.Errorf("%q is not NAME=URL,pid", s)
	}
	pid, err := strconv.Atoi(rest[at+1:])
	if err != nil {
		return peer{}, fmt.Errorf("%q does not end in a process id", s)
	}
	u, err := url.Parse(rest[:at])
	if err != nil || u.Host == "" {
		return peer{}, fmt.Errorf("%q has no URL with a host", s)
	}
	return peer{name: name, url: strings.TrimSuffix(rest[:at], "/"), pid: pid}, nil
}

// target is the peer as a server to be measured, which nobody starts or stops.
func (p peer) target(rewrites bool) *target {
	return &target{url: p.url, pid: p.pid, rewrites: rewrites, stop: func() {}}
}

const confluent = "Confluent REST Proxy 8 (Java 17, 1 GB heap)"

// published is the CPU of a request of 200-byte JSON values to other proxies,
// in microseconds, by its records. It was measured with the load of this
// program, in a closed loop, on 2 cores that Kafka and the load shared, but
// elsewhere and on another day: it tells orders of magnitude.
var published = []struct {
	proxy string
	cpu   map[int]float64
}{
	{confluent, map[int]float64{1: 737, 10: 680, 100: 2550, 1000: 11900}},
	{"Strimzi Kafka Bridge 1.1.0 (Java 25)", map[int]float64{1: 773, 10: 1450, 100: 5400, 1000: 40800}},
	{"Karapace REST (Python, linger 0)", map[int]float64{1: 708, 100: 12900, 1000: 132000}},
}

// peerRatio is how much more another proxy costs than millrace at a place.
type peerRatio struct {
	place
	Proxy string `json:"proxy"`
	// CPU and Own are microseconds a request.
	CPU   float64 `json:"cpu_us"`
	Own   float64 `json:"own_cpu_us"`
	Times float64 `json:"times"`
	// Elsewhere says that CPU is not of this run, see [published].
	Elsewhere bool `json:"measured_elsewhere"`
}

// peerRatios compares millrace with the peers of this run, then with those
// whose figures are known.
func (rep *report) peerRatios() (out []peerRatio) {
	for _, r := range rep.Rows {
		if r.Peer == "" || r.Failure != "" {
			continue
		}
		own := rep.at(r.ownServer(), r.place)
		if own != nil && own.Figures.CPUPerRequest > 0 {
			out = append(out, ratioOfPeer(r.Peer, r.Figures.CPUPerRequest, own))
		}
	}
	for _, p := range published {
		for _, own := range rep.of("produce") {
			cpu := p.cpu[own.Records]
			same := own.Server == millraceJSON && own.ValueBytes == 200 && own.Compression == "none"
			if !same || cpu == 0 || own.Figures.CPUPerRequest == 0 {
				continue
			}
			q := ratioOfPeer(p.proxy, cpu, own)
			q.Elsewhere = true
			out = append(out, q)
		}
	}
	return out
}

func ratioOfPeer(proxy string, cpu float64, own *row) peerRatio {
	mine := own.Figures.CPUPerRequest
	return peerRatio{place: own.place, Proxy: proxy, CPU: cpu, Own: mine, Times: cpu / mine}
}

// ownServer is the name of millrace where a peer's row is.
func (r *row) ownServer() string {
	if r.Suite == "metadata" {
		return millrace
	}
	return "millrace " + r.Format
}

func (rep *report) peerTable(out io.Writer) {
	if len(rep.Peers) == 0 {
		return
	}
	header(out, "Other proxies: their CPU a request over ours", "what", "proxy", "measured", "its CPU/request", "ours", "its over ours")
	for _, q := range rep.Peers {
		where := "in this run"
		if q.Elsewhere {
			where = "elsewhere, on another day"
		}
		line(out, q.String(), q.Proxy, where, us(q.CPU), us(q.Own), fmt.Sprintf("%.1f×", q.Times))
	}
}
