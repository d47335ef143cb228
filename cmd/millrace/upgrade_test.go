package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// oldBinary is a millrace whose nodes do not authenticate what they write: an
// executable that `make upgrade-proof` builds out of the history.
func oldBinary(t *testing.T) string {
	testkit.OnDemand(t, "MILLRACE_TEST_OLD", "the upgrade of a service from a former version was not tried: it takes that version's binary; `make upgrade-proof` builds it")
	path := os.Getenv("MILLRACE_TEST_OLD")
	if err := exec.Command(path, "version").Run(); err != nil {
		t.Fatalf("MILLRACE_TEST_OLD is %q, which does not run: %v", path, err)
	}
	return path
}

// A service of nodes of a former version is upgraded node by node, in two steps,
// while clients read by any of them: no instance is lost, and no record.
func TestUpgradeInTwoSteps(t *testing.T) {
	t.Parallel()
	old := oldBinary(t)
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		u := newUpgrade(t, b)
		for n := range u.nodes {
			u.start(n, old, "--set=cluster.secret="+formerSecret)
		}
		u.create("subscription", "assignments", "forgotten")
		u.readAll()
		accept := []string{"--set=cluster.secret=sixteen others..", "--set=cluster.secret.former=" + formerSecret, "--set=cluster.authentication=accept"}
		for n := range u.nodes {
			u.replace(n, testkit.Binary(t), accept...)
		}
		for n := range u.nodes {
			u.await(n, `millrace_cluster_unauthenticated{what="node"} 0`)
			u.await(n, `millrace_cluster_unauthenticated{what="instance"} 0`)
		}
		for n := range u.nodes {
			u.replace(n, testkit.Binary(t), "--set=cluster.secret=sixteen others..")
		}
		u.names = append(u.names, "forgotten") // of which nobody has asked since the beginning
		u.readAll()
		for n := range u.nodes {
			u.await(n, `millrace_cluster_refused_total{what="request"} 0`)
			u.await(n, `millrace_cluster_refused_total{what="response"} 0`)
		}
	})
}

const formerSecret = "sixteen letters."

// upgrade is a service of three nodes while it is upgraded.
type upgrade struct {
	t     *testing.T
	b     testkit.Broker
	topic string
	group string
	nodes [3]*testkit.Process
	urls  [3]string
	names []string // of the instances that are read
	wrote int
	got   map[string]map[string]int // by instance, value
}

func newUpgrade(t *testing.T, b testkit.Broker) *upgrade {
	return &upgrade{t: t, b: b, topic: testkit.CreateTopic(t, b, 2), group: "/consumers/" + testkit.Group(t) + "-", got: make(map[string]map[string]int)}
}

func (u *upgrade) start(n int, binary string, args ...string) {
	u.t.Helper()
	all := append([]string{
		"serve", "--set=bootstrap.servers=" + strings.Join(u.b.Addrs, ","), "--set=listeners=http://127.0.0.1:0", "--set=cluster.enable=true",
		fmt.Sprintf("--set=id=%s-%d", u.topic, n), "--set=cluster.topic=_" + u.topic, "--set=cluster.heartbeat.interval.ms=500", "--set=cluster.lease.ms=3000",
	}, args...)
	u.nodes[n] = testkit.StartProcess(u.t, exec.Command(binary, all...))
	u.urls[n] = u.nodes[n].WaitLine(u.t, `msg=serving addresses=\[(http://[^\]]+)\]`, 20*time.Second)[1]
	u.await(n, "millrace_cluster_leased 1")
}

// replace ends a node and starts it anew, while all instances are read by the others.
func (u *upgrade) replace(n int, binary string, args ...string) {
	u.t.Helper()
	u.nodes[n].Signal(u.t, syscall.SIGTERM)
	if code := u.nodes[n].WaitExit(u.t, 20*time.Second); code != 0 {
		u.t.Errorf("the node %d exited with %d", n, code)
	}
	u.urls[n] = ""
	u.readAll()
	u.start(n, binary, args...)
	u.readAll()
}

// create makes instances, each by another node.
func (u *upgrade) create(names ...string) {
	u.t.Helper()
	for n, name := range names {
		i := u.group + name + "/instances/i"
		wantStatus(u.t, 200, "POST", u.urls[n]+u.group+name, `{"name":"i","format":"json","auto.offset.reset":"earliest","auto.commit.enable":"false"}`)
		if name == "assignments" {
			wantStatus(u.t, 204, "POST", u.urls[n]+i+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%[1]q,"partition":0},{"topic":%[1]q,"partition":1}]}`, u.topic))
		} else {
			wantStatus(u.t, 204, "POST", u.urls[n]+i+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, u.topic))
		}
	}
	u.names = names[:len(names)-1]
}

// readAll writes some records, and reads and commits them with each instance by
// each node in turn, which may ask to try again.
func (u *upgrade) readAll() {
	u.t.Helper()
	writeNumbers(u.t, u.b, u.topic, u.wrote, 20)
	u.wrote += 20
	for _, name := range u.names {
		if u.got[name] == nil {
			u.got[name] = make(map[string]int)
		}
		i := u.group + name + "/instances/i"
		turn := 0
		testkit.Eventually(u.t, 60*time.Second, name+" to read all records", func() bool {
			url := u.urls[turn%len(u.urls)]
			if turn++; url != "" {
				u.read(url+i, u.got[name])
			}
			return len(u.got[name]) == u.wrote && turn > 2*len(u.urls)
		})
		for _, url := range u.urls {
			if url != "" {
				testkit.Eventually(u.t, 60*time.Second, "a commit by "+url, func() bool {
					status, _ := call(u.t, "POST", url+i+"/offsets", "")
					return status == 200
				})
			}
		}
	}
}

func (u *upgrade) read(url string, got map[string]int) {
	u.t.Helper()
	status, body := call(u.t, "GET", url+"/records?timeout=300", "")
	if status == 503 {
		return
	}
	var records []struct{ Value json.RawMessage }
	if err := json.Unmarshal([]byte(body), &records); status != 200 || err != nil {
		u.t.Fatalf("a read of %s was answered %d %s (%v)", url, status, body, err)
	}
	for _, r := range records {
		got[string(r.Value)]++
	}
}

// await waits until the metrics of a node have a line.
func (u *upgrade) await(n int, line string) {
	u.t.Helper()
	testkit.Eventually(u.t, 40*time.Second, fmt.Sprintf("%s on node %d", line, n), func() bool {
		_, body := call(u.t, "GET", u.urls[n]+"/metrics", "")
		return strings.Contains(body, "\n"+line+"\n")
	})
}
