package testkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaOptions say how a broker is started. The zero value is a broker on free
// ports with its data in a temporary folder.
type KafkaOptions struct {
	// Port to listen on at 127.0.0.1; 0 picks a free one.
	Port int
	// Properties are added to the broker's server.properties, over ours.
	Properties map[string]string
	// Flags are those of the virtual machine; nil: -Xmx1g, for [StartKafka] [ShortLived].
	Flags []string
}

// ShortLived are the flags for a broker of one test, or of one run of the tests, which ends before
// the compiler for code that runs for long has paid: that alone is a fifth of what a start costs.
var ShortLived = []string{"-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}

// Kafka is a real Apache Kafka of one node (KRaft) in a child process. Its
// methods must not be called from two goroutines at once.
type Kafka struct {
	Broker
	// ClientAddr is where the listener is that [KafkasOptions.Advertised] asks for.
	ClientAddr string

	program kafkaProgram
	dir     string   // holds server.properties, data/ and broker.log
	voters  string   // controllers of several brokers; empty for one on its own
	flags   []string // of the virtual machine

	// The running process; nil while the broker is down.
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd was reaped
}

// ClusterID is the id of the Kafka cluster of every broker that is started here.
const ClusterID = "bWlsbHJhY2UtdGVzdGtpdA"

const (
	startTimeout = 4 * time.Minute // of a machine that has other things to do
	stopTimeout  = 30 * time.Second
)

// StartKafka starts a Kafka that belongs to t alone, for tests that kill it,
// stop it or need their own properties. It is up on return, and gone with its
// data when t ends. Tests that only need a broker take [RealKafka].
// Without Java the test is skipped with a loud line; with CI=1 it fails.
func StartKafka(t testing.TB, opts KafkaOptions) *Kafka {
	t.Helper()
	needRealKafka(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // may download
	defer cancel()
	if opts.Flags == nil {
		opts.Flags = ShortLived
	}
	k, err := NewKafka(ctx, opts)
	if errors.Is(err, ErrNoJava) {
		Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of Kafka's log:\n%s", k.LogTail())
		}
		k.Close()
	})
	return k
}

// NewKafka is [StartKafka] for programs: it returns a broker that is up, which
// the caller must Close. The error is or wraps [ErrNoJava] when this machine
// cannot run one. ctx bounds the download, if there is one, and the start.
func NewKafka(ctx context.Context, opts KafkaOptions) (*Kafka, error) {
	program, err := findKafka(ctx)
	if err != nil {
		return nil, err
	}
	if opts.Flags == nil {
		opts.Flags = []string{"-Xmx1g"}
	}
	// A port that was free a moment ago may be taken when the broker binds it;
	// then another pair is tried. A port that the caller chose is not.
	for attempt := 1; ; attempt++ {
		k, err := newKafka(ctx, program, opts)
		if err == nil || attempt == 3 || opts.Port != 0 || !strings.Contains(err.Error(), "Address already in use") {
			return k, err
		}
	}
}

func newKafka(ctx context.Context, program kafkaProgram, opts KafkaOptions) (*Kafka, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	if opts.Port != 0 {
		ports[0] = opts.Port
	}
	dir, err := os.MkdirTemp("", "millrace-kafka-*")
	if err != nil {
		return nil, fmt.Errorf("cannot make Kafka's data folder: %w", err)
	}
	k := &Kafka{
		Broker:  Broker{Name: "kafka", Addrs: []string{"127.0.0.1:" + strconv.Itoa(ports[0])}},
		program: program, dir: dir, flags: opts.Flags,
	}
	if err := k.format(ctx, ports[1], opts.Properties); err != nil {
		k.Close()
		return nil, err
	}
	if err := k.start(ctx); err != nil {
		k.Close()
		return nil, err
	}
	return k, nil
}

// freePorts returns n different ports that nothing listens on at 127.0.0.1. They lie below those
// that systems give to outgoing connections: one of these could take a port before the broker
// does, or while it is down.
func freePorts(n int) ([]int, error) {
	const lowest, highest = 12000, 32000
	var ports []int
	for range 100 * n {
		port := lowest + rand.IntN(highest-lowest)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // at the end, so that all differ
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("cannot find %d free ports from %d to %d", n, lowest, highest)
}

// format writes server.properties and gives the data folder its cluster id.
func (k *Kafka) format(ctx context.Context, controllerPort int, extra map[string]string) error {
	file := k.path("server.properties")
	if k.voters != "" {
		extra["controller.quorum.voters"] = k.voters
	}
	text := properties(k.Addrs[0], "127.0.0.1:"+strconv.Itoa(controllerPort), k.path("data"), extra)
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("cannot write Kafka's properties: %w", err)
	}
	args := append(slices.Clone(k.program.archive),
		"-cp", filepath.Join(k.program.jars, "*"), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"kafka.tools.StorageTool", "format", "-t", ClusterID, "-c", file)
	if k.voters == "" {
		args = append(args, "--standalone")
	}
	cmd := exec.CommandContext(ctx, k.program.java, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot format Kafka's storage: %w\n%s", err, out)
	}
	return nil
}

// properties is the server.properties of a broker: as small and as quick to
// answer as Kafka lets a single node be.
func properties(addr, controller, data string, extra map[string]string) []byte {
	set := map[string]string{
		"process.roles":                       "broker,controller",
		"node.id":                             "1",
		"controller.quorum.bootstrap.servers": controller,
		"controller.listener.names":           "CONTROLLER",
		"listeners":                           "PLAINTEXT://" + addr + ",CONTROLLER://" + controller,
		"advertised.listeners":                "PLAINTEXT://" + addr + ",CONTROLLER://" + controller,
		"log.dirs":                            data,
		"auto.create.topics.enable":           "true",
		"num.partitions":                      "1",
		"default.replication.factor":          "1",
		// Internal topics: the defaults want three brokers and 50 partitions.
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "4",
		// The default lets every new group wait 3 s for more members.
		"group.initial.rebalance.delay.ms": "0",
	}
	for name, value := range extra {
		set[name] = value
	}
	if set["controller.quorum.voters"] != "" {
		delete(set, "controller.quorum.bootstrap.servers") // it is one or the other
	}
	var b bytes.Buffer
	for _, name := range sortedKeys(set) {
		fmt.Fprintf(&b, "%s=%s\n", name, set[name])
	}
	return b.Bytes()
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Start starts a broker that was stopped or killed, on its old port and data,
// and returns when it is up. It fails t when the broker does not come up.
func (k *Kafka) Start(t testing.TB) {
	t.Helper()
	if k.cmd != nil {
		t.Fatal("Start of a Kafka that is running")
	}
	if err := k.start(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Stop shuts the broker down as an operator would (SIGTERM) and waits until it
// is gone. Data and port are kept for [Kafka.Start].
func (k *Kafka) Stop() { k.end(syscall.SIGTERM) }

// Kill ends the broker as a crash would (SIGKILL). Data and port are kept for
// [Kafka.Start].
func (k *Kafka) Kill() { k.end(syscall.SIGKILL) }

// Suspend stops the broker's process where it is (SIGSTOP): its connections stand, and nothing
// answers on them. Resume lets it go on.
func (k *Kafka) Suspend() { _ = k.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a suspended broker go on (SIGCONT).
func (k *Kafka) Resume() { _ = k.cmd.Process.Signal(syscall.SIGCONT) }

// Restart starts a broker as [Kafka.Start] does, on any goroutine: it returns the error.
func (k *Kafka) Restart(ctx context.Context) error {
	if k.cmd != nil {
		return errors.New("cannot restart a Kafka that is running")
	}
	return k.start(ctx)
}

// Log returns all that the broker has printed, of all its starts.
func (k *Kafka) Log() ([]byte, error) { return os.ReadFile(k.path("broker.log")) }

// Close kills the broker if it runs, and removes its data.
func (k *Kafka) Close() {
	k.Kill()
	_ = os.RemoveAll(k.dir)
}

// Exited is closed when the broker's process has ended, by itself or by us. It
// is that of the last start.
func (k *Kafka) Exited() <-chan struct{} { return k.exited }

func (k *Kafka) path(name string) string { return filepath.Join(k.dir, name) }

func (k *Kafka) end(sig syscall.Signal) {
	if k.cmd == nil {
		return
	}
	_ = k.cmd.Process.Signal(sig)
	select {
	case <-k.exited:
	case <-time.After(stopTimeout):
		_ = k.cmd.Process.Kill()
		<-k.exited
	}
	k.cmd = nil
}

// start runs the broker and waits until it is up.
func (k *Kafka) start(ctx context.Context) error {
	log, err := os.OpenFile(k.path("broker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open Kafka's log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	cmd := exec.Command(k.program.java, append(slices.Concat(k.program.archive, k.flags), "-cp", filepath.Join(k.program.jars, "*"),
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dorg.slf4j.simpleLogger.showDateTime=true",
		"kafka.Kafka", k.path("server.properties"))...)
	cmd.Dir = k.dir // where a virtual machine that crashes leaves its report
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start Kafka: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	k.cmd, k.exited = cmd, exited
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := k.waitUp(ctx); err != nil {
		tail := k.LogTail()
		k.Kill()
		return fmt.Errorf("cannot start Kafka: %w\n%s", err, tail)
	}
	return nil
}

// waitUp returns when the broker serves, or when it or ctx has ended.
func (k *Kafka) waitUp(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ping(ctx, k.Broker)
		if err == nil {
			return nil
		}
		select {
		case <-k.exited:
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("it is not up after %v: %w", startTimeout, err)
		case <-tick.C:
		}
	}
}

// ping reports whether the broker does all that tests rely on: it answers, and
// its group coordinator does too. The latter creates the topic of the groups'
// offsets, which would otherwise fall to the first test with a group.
func ping(ctx context.Context, b Broker) error {
	// A dial costs nothing while the broker is still starting; a client would
	// back off and look again too late.
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.Addrs[0])
	if err != nil {
		return err
	}
	_ = conn.Close()
	cl, err := kgo.NewClient(kgo.DisableClientMetrics(), kgo.SeedBrokers(b.Addrs...))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		return err
	}
	_, err = kadm.NewClient(cl).FetchOffsets(ctx, "testkit-ping")
	return err
}

// LogTail returns the last lines of what the broker has printed.
func (k *Kafka) LogTail() string {
	text, err := os.ReadFile(k.path("broker.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "")
}
