package faults

import (
	"fmt"
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

// Node is a millrace process. It has one address all its life, whichever process serves there.
type Node struct {
	URL string

	program string
	args    []string
	process *testkit.Process

	mu     sync.Mutex
	steady int64 // the most resident memory before the fault
	peak   int64 // and in all
	watch  sync.WaitGroup
}

// nodeArgs are the arguments of a node in front of the proxies of c. Settings that come later win.
func nodeArgs(c *Cluster, settings []string) []string {
	args := []string{"serve"}
	for _, s := range append([]string{
		"bootstrap.servers=" + strings.Join(c.Bootstrap(), ","),
		"client.security.protocol=SASL_PLAINTEXT", "client.sasl.mechanism=PLAIN",
		fmt.Sprintf("client.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=%q password=%q;", nodeUser, nodePassword),
		fmt.Sprintf("request.buffer.memory=%d", bodyBudget), fmt.Sprintf("producer.buffer.memory=%d", producerBuffer),
		"listeners=http://127.0.0.1:0",
	}, settings...) {
		args = append(args, "--set="+s)
	}
	return args
}

// newNode starts the program, and returns when it serves.
func newNode(t testing.TB, program string, args []string) *Node {
	t.Helper()
	n := &Node{program: program, args: args}
	n.start(t)
	n.args = append(n.args, "--set=listeners="+n.URL)
	return n
}

// start starts a process, at the address of the one before.
func (n *Node) start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(n.program, n.args...)
	n.process = testkit.StartProcess(t, cmd)
	n.URL = n.process.WaitLine(t, `msg=serving addresses=\[(http://[^\]]+)\]`, nodeStart)[1]
	done := make(chan struct{})
	n.watch.Go(func() { n.watchMemory(cmd.Process.Pid, done) })
	t.Cleanup(func() {
		close(done)
		n.watch.Wait()
	})
}

// watchMemory looks at the resident memory ten times a second, until the process has ended or done
// is closed.
func (n *Node) watchMemory(pid int, done <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		u, err := lab.ReadUsage(pid)
		if err != nil {
			return // the process has ended
		}
		n.mu.Lock()
		n.peak = max(n.peak, u.RSS)
		n.mu.Unlock()
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
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
