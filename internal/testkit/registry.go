package testkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SharedRegistryEnv names a schema registry (a base URL) that already runs, for
// all test processes to share. cmd/kafka sets it; without it each process starts
// its own.
const SharedRegistryEnv = "MILLRACE_TEST_REGISTRY"

// SchemaRegistry is a real schema registry, Apicurio, in a child process. It
// keeps everything in memory.
type SchemaRegistry struct {
	// URL is where Confluent's API begins.
	URL string

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd was reaped
	dir    string        // holds registry.log
}

// Registry returns the base URL of a real schema registry that tests share: use
// [Topic] for names, as subjects are. It is started, skipped and ended as
// [RealKafka] is.
func Registry(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real schema registry, which -short leaves out")
	}
	url, err := sharedRegistry(t)
	if errors.Is(err, ErrNoJava) {
		Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func sharedRegistry(t testing.TB) (string, error) {
	t.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.registryURL != "" || process.registryErr != nil {
		return process.registryURL, process.registryErr
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // may download
	defer cancel()
	if url := os.Getenv(SharedRegistryEnv); url != "" {
		if err := pingRegistry(ctx, url); err != nil {
			process.registryErr = fmt.Errorf("cannot use the schema registry at %s that %s names: %w", url, SharedRegistryEnv, err)
			return "", process.registryErr
		}
		process.registryURL = url
		return url, nil
	}
	atExit(t, func() {}) // only for its demand
	r, err := NewRegistry(ctx)
	if err != nil {
		process.registryErr = err
		return "", err
	}
	process.registry, process.registryURL = r, r.URL
	return r.URL, nil
}

// NewRegistry is [Registry] for programs: it returns a registry that is up,
// which the caller must Close. The error is or wraps [ErrNoJava] when this
// machine cannot run one. ctx bounds the download, if there is one, and the start.
func NewRegistry(ctx context.Context) (*SchemaRegistry, error) {
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	jars, err := registryJars(ctx)
	if err != nil {
		return nil, err
	}
	// As with Kafka, a port that was free a moment ago may be taken.
	for attempt := 1; ; attempt++ {
		r, err := newRegistry(ctx, java, jars)
		if err == nil || attempt == 3 || !strings.Contains(err.Error(), "already in use") {
			return r, err
		}
	}
}

func newRegistry(ctx context.Context, java, jars string) (*SchemaRegistry, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "millrace-registry-*")
	if err != nil {
		return nil, fmt.Errorf("cannot make the schema registry's folder: %w", err)
	}
	port := strconv.Itoa(ports[0])
	r := &SchemaRegistry{URL: "http://127.0.0.1:" + port + "/apis/ccompat/v7", exited: make(chan struct{}), dir: dir}
	log, err := os.Create(r.log())
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("cannot make the schema registry's log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	r.cmd = exec.Command(java, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar",
		filepath.Join(jars, "apicurio-registry-app-"+RegistryVersion+"-runner.jar"))
	r.cmd.Env = append(os.Environ(), "QUARKUS_HTTP_HOST=127.0.0.1", "QUARKUS_HTTP_PORT="+port)
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = dir, log, log
	r.cmd.SysProcAttr = childAttr()
	if err := r.cmd.Start(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("cannot start the schema registry: %w", err)
	}
	go func() {
		_ = r.cmd.Wait()
		close(r.exited)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := r.waitUp(ctx); err != nil {
		text, _ := os.ReadFile(r.log())
		r.Close()
		return nil, fmt.Errorf("cannot start the schema registry: %w\n%s", err, text)
	}
	return r, nil
}

func (r *SchemaRegistry) log() string { return filepath.Join(r.dir, "registry.log") }

// Close kills the registry and removes its folder.
func (r *SchemaRegistry) Close() {
	_ = r.cmd.Process.Kill()
	<-r.exited
	_ = os.RemoveAll(r.dir)
}

// waitUp returns when the registry serves, or when it or ctx has ended.
func (r *SchemaRegistry) waitUp(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := pingRegistry(ctx, r.URL)
		if err == nil {
			return nil
		}
		select {
		case <-r.exited:
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("it is not up after %v: %w", startTimeout, err)
		case <-tick.C:
		}
	}
}

// pingRegistry reports whether a registry answers what tests ask it for.
func pingRegistry(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/subjects", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("it answers " + resp.Status)
	}
	return nil
}
