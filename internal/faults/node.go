package faults

import (
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"millrace/internal/lab"
	"millrace/internal/testkit"
)

// The bounds of a node's memory in a run: what it may hold beyond what it needs in peace.
const (
	bodyBudget     = 32 << 20 // request.buffer.memory
	producerBuffer = 32 << 20 // producer.buffer.memory
)

const (
	nodeStart = time.Minute // of a busy machine
	nodeEnd   = time.Minute
)

// Node is a millrace process.
type Node struct {
	URL string

	process *testkit.Process
	pid     int

	mu     sync.Mutex
	steady int64 // the most resident memory before the fault
	peak   int64 // and in all
	stop   chan struct{}
	done   sync.WaitGroup
}

// startNode starts the program in front of the proxies of c, and returns when it serves.
func startNode(t testing.TB, c *Cluster, program string, settings ...string) *Node {
	t.Helper()
	args := []string{
		"serve", "--set=listeners=http://127.0.0.1:0",
		"--set=bootstrap.servers=" + strings.Join(c.Bootstrap(), ","),
		"--set=client.security.protocol=SASL_PLAINTEXT", "--set=client.sasl.mechanism=PLAIN",
		fmt.Sprintf("--set=client.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=%q password=%q;", nodeUser, nodePassword),
		fmt.Sprintf("--set=request.buffer.memory=%d", bodyBudget), fmt.Sprintf("--set=producer.buffer.memory=%d", producerBuffer),
	}
	for _, s := range settings {
		args = append(args, "--set="+s)
	}
	cmd := exec.Command(program, args...)
	n := &Node{process: testkit.StartProcess(t, cmd), stop: make(chan struct{})}
	n.URL = n.process.WaitLine(t, `msg=serving addresses=\[(http://[^\]]+)\]`, nodeStart)[1]
	n.pid = cmd.Process.Pid
	n.done.Go(n.watchMemory)
	t.Cleanup(n.endWatch)
	return n
}

// watchMemory looks at the resident memory ten times a second, until the process or the watch ends.
func (n *Node) watchMemory() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		u, err := lab.ReadUsage(n.pid)
		if err != nil {
			return // the process has ended
		}
		n.mu.Lock()
		n.peak = max(n.peak, u.RSS)
		n.mu.Unlock()
		select {
		case <-tick.C:
		case <-n.stop:
			return
		}
	}
}

func (n *Node) endWatch() {
	n.mu.Lock()
	select {
	case <-n.stop:
	default:
		close(n.stop)
	}
	n.mu.Unlock()
	n.done.Wait()
}

// atPeace notes the memory that the node has needed up to now.
func (n *Node) atPeace() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.steady = n.peak
}

// memory is the most that the node had resident before the fault, and in all.
func (n *Node) memory() (steady, peak int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.steady, n.peak
}

// ready reports whether the node says that it is.
func (n *Node) ready() bool {
	resp, err := http.Get(n.URL + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// terminate asks the process to end, and returns its exit code when it has.
func (n *Node) terminate(t testing.TB) int {
	t.Helper()
	n.process.Signal(t, syscall.SIGTERM)
	return n.process.WaitExit(t, nodeEnd)
}

// kill ends the process as a crash does.
func (n *Node) kill(t testing.TB) {
	t.Helper()
	n.process.Signal(t, syscall.SIGKILL)
	n.process.WaitExit(t, nodeEnd)
}

// trouble matches what a node must never print, whatever becomes of its brokers.
var trouble = regexp.MustCompile(`(?m)^(panic: |fatal error: |runtime: ).*|.*(msg="?[^"]*panic).*`)

// complaint is the first line of a node's output that it must never print, "" if there is none.
func (n *Node) complaint() string { return trouble.FindString(n.process.Output()) }
