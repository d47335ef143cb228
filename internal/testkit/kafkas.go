package testkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// StartKafkas starts a Kafka of n brokers that belong to t alone, each of them
// a controller as well, for tests that end some of them. Topics, internal ones
// too, have a replica on each, and take writes while all but one are up. They
// are up on return, and gone with their data when t ends. Addrs of each names all.
// Each broker is a rack of its own, rack-1 and so on, and names the nearest
// replica to consumers. Without Java the test is skipped with a loud line; with
// CI=1 it fails.
func StartKafkas(t testing.TB, n int) []*Kafka {
	t.Helper()
	return StartKafkasWith(t, KafkasOptions{Brokers: n})
}

// KafkasOptions say how brokers are started together.
type KafkasOptions struct {
	// Brokers is how many.
	Brokers int
	// Flags are those of each virtual machine; nil: -Xmx1g.
	Flags []string
	// Advertised, if not nil, gives broker i (from 0) a further listener, CLIENTS, which tells
	// its clients to come to Advertised[i], or to itself for "". [Kafka.ClientAddr] is where it
	// listens itself.
	Advertised []string
	// Data are folders for the data of the first brokers; "" or none: one of the broker's own.
	Data []string
	// Properties are added to the server.properties of all, over ours.
	Properties map[string]string
}

// StartKafkasWith is [StartKafkas] with options.
func StartKafkasWith(t testing.TB, opts KafkasOptions) []*Kafka {
	t.Helper()
	needRealKafka(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // may download
	defer cancel()
	brokers, err := newKafkas(ctx, opts)
	t.Cleanup(func() {
		for i, k := range brokers {
			if t.Failed() {
				t.Logf("the end of the log of broker %d:\n%s", i+1, k.LogTail())
			}
			k.Close()
		}
	})
	if errors.Is(err, ErrNoJava) {
		Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return brokers
}

// newKafkas returns what it has made even with an error.
func newKafkas(ctx context.Context, opts KafkasOptions) (brokers []*Kafka, err error) {
	program, err := findKafka(ctx)
	if err != nil {
		return nil, err
	}
	n := opts.Brokers
	ports, err := freePorts(3 * n)
	if err != nil {
		return nil, err
	}
	var voters, addrs []string
	for i := range n {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, ports[n+i]))
		addrs = append(addrs, local(ports[i]))
	}
	for i := range n {
		dir, err := os.MkdirTemp("", "millrace-kafka-*")
		if err != nil {
			return brokers, fmt.Errorf("cannot make Kafka's data folder: %w", err)
		}
		// Its own address first: that is the one that is asked whether it is up.
		own := append([]string{addrs[i]}, append(append([]string(nil), addrs[:i]...), addrs[i+1:]...)...)
		brokers = append(brokers, &Kafka{
			Broker: Broker{Name: "kafka", Addrs: own}, ClientAddr: local(ports[2*n+i]),
			program: program, dir: dir, voters: strings.Join(voters, ","), flags: opts.Flags,
		})
		if opts.Flags == nil {
			brokers[i].flags = []string{"-Xmx1g"}
		}
	}
	// Together, for none is up without the others.
	errs := make([]error, n)
	var starts sync.WaitGroup
	for i, k := range brokers {
		starts.Go(func() {
			if errs[i] = k.format(ctx, ports[n+i], opts.properties(i, k, local(ports[n+i]))); errs[i] == nil {
				errs[i] = k.start(ctx)
			}
		})
	}
	starts.Wait()
	return brokers, errors.Join(errs...)
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// properties are those of broker i, which differ from the ones of a broker on its own.
func (o KafkasOptions) properties(i int, k *Kafka, controller string) map[string]string {
	set := replicated(i+1, o.Brokers)
	if i < len(o.Data) && o.Data[i] != "" {
		set["log.dirs"] = o.Data[i]
	}
	if i < len(o.Advertised) {
		both := "PLAINTEXT://" + k.Addrs[0] + ",CONTROLLER://" + controller
		set["listeners"] = both + ",CLIENTS://" + k.ClientAddr
		set["advertised.listeners"] = both + ",CLIENTS://" + cmp.Or(o.Advertised[i], k.ClientAddr)
		set["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT"
	}
	maps.Copy(set, o.Properties)
	return set
}

// replicated are the properties of one of n brokers.
func replicated(id, n int) map[string]string {
	replicas, least := strconv.Itoa(n), strconv.Itoa(max(1, n-1))
	return map[string]string{
		"node.id":                                  strconv.Itoa(id),
		"broker.rack":                              "rack-" + strconv.Itoa(id),
		"replica.selector.class":                   "org.apache.kafka.common.replica.RackAwareReplicaSelector",
		"default.replication.factor":               replicas,
		"min.insync.replicas":                      least,
		"offsets.topic.replication.factor":         replicas,
		"transaction.state.log.replication.factor": replicas,
		"transaction.state.log.min.isr":            least,
	}
}
