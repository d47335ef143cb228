package testkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// SharedKafkaEnv names a Kafka (host:port) that already runs, for all test
// processes to share. cmd/kafka sets it; without it each process starts its own.
const SharedKafkaEnv = "MILLRACE_TEST_KAFKA"

// process is what this test process owns and [Main] ends.
var process struct {
	mu    sync.Mutex
	main  bool
	kafka *Kafka
	addr  string // of the shared broker, once it was seen to answer
	err   error  // the first failure; it is not tried again

	registry    *SchemaRegistry
	registryURL string // of the shared registry, once it was seen to answer
	registryErr error

	cleanup []func()
}

// Main runs the tests of a package and then ends what they share. It fails the
// run when a goroutine of the tests is still there after all of them passed.
// A package whose tests call [RealKafka], [Registry] or [Binary] needs
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// opts name goroutines that may stay.
func Main(m *testing.M, opts ...goleak.Option) {
	process.mu.Lock()
	process.main = true
	process.mu.Unlock()
	code := m.Run()
	process.mu.Lock()
	if process.kafka != nil {
		process.kafka.Close()
	}
	if process.registry != nil {
		process.registry.Close()
	}
	for _, f := range process.cleanup {
		f()
	}
	process.mu.Unlock()
	if code == 0 {
		code = checkLeaks(opts)
	}
	os.Exit(code)
}

func checkLeaks(opts []goleak.Option) int {
	http.DefaultClient.CloseIdleConnections()
	// fasthttp keeps some goroutines for the life of the process: a clock,
	// workers that compress, and for each closed server one that sleeps up to
	// 10 s before it sees that.
	for _, f := range []string{".updateServerDate.func1", ".(*workerPool).Start.func2", "/stackless.funcWorker"} {
		opts = append(opts, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp"+f))
	}
	// It looks for half a second; on a busy machine those that are ending may take longer.
	err := goleak.Find(opts...)
	for patience := 10; err != nil && patience > 0; patience-- {
		err = goleak.Find(opts...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "goroutines leaked by the tests:", err)
		return 1
	}
	return 0
}

// atExit has [Main] call f when all tests are done; process.mu must be held.
func atExit(t testing.TB, f func()) {
	t.Helper()
	if !process.main {
		t.Fatal("this package needs: func TestMain(m *testing.M) { testkit.Main(m) }")
	}
	process.cleanup = append(process.cleanup, f)
}

// KeepsOldRecords are properties of a broker that tests share. They write records of 1970, and it
// would look for those that are past their retention 30 s after its start, and every five minutes.
var KeepsOldRecords = map[string]string{"log.initial.task.delay.ms": "86400000"}

// RealKafka returns a real Apache Kafka that tests share: use [Topic] and
// [Group] for names, and [StartKafka] where the broker itself must suffer. The
// first call of a process starts it; it ends with [Main]. Without Java the test
// is skipped with a loud line, with -short it is skipped; with CI=1 a machine
// without Java fails.
func RealKafka(t testing.TB) Broker {
	t.Helper()
	needRealKafka(t)
	addr, err := sharedKafka(t)
	if errors.Is(err, ErrNoJava) {
		Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return Broker{Name: "kafka", Addrs: []string{addr}}
}

func sharedKafka(t testing.TB) (string, error) {
	t.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.addr != "" || process.err != nil {
		return process.addr, process.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // may download
	defer cancel()
	if addr := os.Getenv(SharedKafkaEnv); addr != "" {
		if err := ping(ctx, Broker{Addrs: []string{addr}}); err != nil {
			process.err = fmt.Errorf("cannot use the Kafka at %s that %s names: %w", addr, SharedKafkaEnv, err)
			return "", process.err
		}
		process.addr = addr
		return addr, nil
	}
	atExit(t, func() {}) // only for its demand
	k, err := NewKafka(ctx, KafkaOptions{Properties: KeepsOldRecords})
	if err != nil {
		process.err = err
		return "", err
	}
	process.kafka, process.addr = k, k.Addrs[0]
	return process.addr, nil
}

// needRealKafka skips t where the caller asked for quick tests only.
func needRealKafka(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real Kafka, which -short leaves out")
	}
}
