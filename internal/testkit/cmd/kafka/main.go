// Command kafka starts the real Apache Kafka, and the real schema registry, that
// tests run on.
//
//	kafka [-port 9092]        runs it in the foreground until Ctrl-C
//	kafka -- COMMAND ARG...   runs the command with MILLRACE_TEST_KAFKA naming a
//	                          broker on a free port and MILLRACE_TEST_REGISTRY a
//	                          registry, and ends with its exit code
//
// Both are ours alone: their data is temporary, and they are gone when this
// command ends, however that happens. In the second form a machine without Java
// runs the command without the variables, after a loud line; with CI=1 it fails.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"millrace/internal/testkit"
)

func main() {
	port := flag.Int("port", 9092, "port to listen on at 127.0.0.1, when no command is given")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	var code int
	if flag.NArg() == 0 {
		code = foreground(ctx, *port)
	} else {
		code = around(ctx, flag.Args())
	}
	stop()
	os.Exit(code)
}

// foreground runs a broker until ctx ends or the broker does.
func foreground(ctx context.Context, port int) int {
	k, err := testkit.NewKafka(ctx, testkit.KafkaOptions{Port: port})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer k.Close()
	fmt.Printf("Apache Kafka %s listens on %s. Its data is temporary. Ctrl-C ends it.\n", testkit.KafkaVersion, k.Addrs[0])
	select {
	case <-ctx.Done():
		k.Stop()
		return 0
	case <-k.Exited():
		fmt.Fprintf(os.Stderr, "Kafka ended by itself:\n%s", k.LogTail())
		return 1
	}
}

// around runs args beside a broker and a registry and returns the command's exit
// code. The two start side by side, as each takes some seconds.
func around(ctx context.Context, args []string) int {
	began := time.Now()
	up := func(what, version, where string) {
		fmt.Printf("%s %s for the tests is up on %s after %.1fs\n", what, version, where, time.Since(began).Seconds())
	}
	var starting sync.WaitGroup
	var registry *testkit.SchemaRegistry
	var registryErr error
	starting.Go(func() {
		if registry, registryErr = testkit.NewRegistry(ctx); registryErr == nil {
			up("Apicurio Registry", testkit.RegistryVersion, registry.URL)
		}
	})
	k, err := testkit.NewKafka(ctx, testkit.KafkaOptions{Flags: testkit.ShortLived, Properties: testkit.KeepsOldRecords})
	if err == nil {
		defer k.Close()
		up("Apache Kafka", testkit.KafkaVersion, k.Addrs[0])
	}
	starting.Wait()
	if registryErr == nil {
		defer registry.Close()
	}
	switch err := cmp.Or(err, registryErr); {
	case err == nil:
		if err := errors.Join(os.Setenv(testkit.SharedKafkaEnv, k.Addrs[0]), os.Setenv(testkit.SharedRegistryEnv, registry.URL)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case errors.Is(err, testkit.ErrNoJava) && os.Getenv("CI") != "1":
		fmt.Fprintf(os.Stderr, "\n*** %v ***\n\n", err)
	default:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run(ctx, args)
}

// run runs a command to its end; when ctx ends it is asked to stop, and killed
// when it does not within a few seconds.
func run(ctx context.Context, args []string) int {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	default:
		fmt.Fprintf(os.Stderr, "cannot run %s: %v\n", args[0], err)
		return 1
	}
}
