package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// childCommand is the hidden sub-command that makes this program one of its own
// parts, as a process of its own, so that its CPU time is its own too:
//
//	bench child KIND   reads a specification from stdin, writes a result to stdout, both JSON
const childCommand = "child"

// The kinds of children.
const (
	childHTTPFloor   = "http-floor"
	childLoad        = "load"
	childKafkaFloor  = "kafka-floor"
	childFetchFloor  = "fetch-floor"
	childFetchClient = "fetch-client"
	childStream      = "stream"
	childStreamLive  = "stream-live"
)

// runChild is a child's main.
func runChild(kind string) error {
	switch kind {
	case childHTTPFloor:
		return serveHTTPFloor(os.Stdin, os.Stdout)
	case childLoad:
		return answerOne(runLoad)
	case childKafkaFloor:
		return answerOne(runKafkaFloor)
	case childFetchFloor:
		return answerOne(runFetchFloor)
	case childFetchClient:
		return answerOne(runFetchClient)
	case childStream:
		return answerOne(runStreamClient)
	case childStreamLive:
		return answerOne(runStreamLive)
	}
	return fmt.Errorf("cannot run as %q: there is no such child", kind)
}

// answerOne reads a child's specification, runs it and writes the result.
func answerOne[S any](run func(S) (window, error)) error {
	var spec S
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		return fmt.Errorf("cannot read what to do: %w", err)
	}
	w, err := run(spec)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(w)
}

// callChild runs a child to its end and returns its result.
func callChild(ctx context.Context, kind string, spec any) (window, error) {
	var w window
	cmd, err := childProcess(ctx, kind)
	if err != nil {
		return w, err
	}
	in, err := json.Marshal(spec)
	if err != nil {
		return w, fmt.Errorf("cannot tell %s what to do: %w", kind, err)
	}
	cmd.Stdin = bytes.NewReader(in)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return w, fmt.Errorf("cannot run %s: %w: %s", kind, err, bytes.TrimSpace(complaint.Bytes()))
	}
	if err := json.Unmarshal(out, &w); err != nil {
		return w, fmt.Errorf("cannot read the result of %s: %w", kind, err)
	}
	return w, nil
}

func childProcess(ctx context.Context, kind string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, childCommand, kind)
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// target is a running server to be measured.
type target struct {
	url     string // without a path
	pid     int
	metrics string // the URL of its metrics, if it has some
	// rewrites says that it may store other bytes of JSON than were sent.
	rewrites bool
	stop     func()
}

// startHTTPFloor starts the HTTP floor, which answers every request with answer.
func startHTTPFloor(ctx context.Context, answer floorAnswer) (*target, error) {
	cmd, err := childProcess(ctx, childHTTPFloor)
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe() // its end tells the child to end
	if err != nil {
		return nil, fmt.Errorf("cannot start the HTTP floor: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start the HTTP floor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the HTTP floor: %w", err)
	}
	t := &target{pid: cmd.Process.Pid, stop: func() {
		_ = in.Close()
		_ = cmd.Wait()
	}}
	if err := json.NewEncoder(in).Encode(answer); err != nil {
		t.stop()
		return nil, fmt.Errorf("cannot start the HTTP floor: %w", err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.stop()
		return nil, fmt.Errorf("cannot learn where the HTTP floor listens: %w", err)
	}
	t.url = "http://" + strings.TrimSpace(addr)
	return t, nil
}

// startMillrace starts the program itself with settings ("name=value") and
// returns when it is ready. A port that was free a moment ago may be taken when
// the program binds it; then another is tried.
func startMillrace(ctx context.Context, binary string, settings ...string) (*target, error) {
	for attempt := 1; ; attempt++ {
		t, complaint, err := tryMillrace(ctx, binary, settings)
		if err == nil || attempt == 3 || !strings.Contains(complaint, "address already in use") {
			return t, err
		}
	}
}

// tryMillrace is one attempt of startMillrace. With an error it returns what a program that has
// ended has complained of.
func tryMillrace(ctx context.Context, binary string, settings []string) (t *target, complaint string, err error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	args := []string{"serve", "--set", "listeners=http://" + addr, "--set", "log.level=warn"}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KAFKA_REST_") { // those are settings of millrace
			cmd.Env = append(cmd.Env, v)
		}
	}
	var said bytes.Buffer // warnings are few
	cmd.Stdout, cmd.Stderr = io.Discard, io.MultiWriter(os.Stderr, &said)
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("cannot start millrace: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t = &target{url: "http://" + addr, pid: cmd.Process.Pid, metrics: "http://" + addr + "/metrics", stop: func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	}}
	if err := waitReady(ctx, t.url+"/readyz", ended); err != nil {
		t.stop()
		return nil, said.String(), fmt.Errorf("cannot start millrace: %w", err)
	}
	return t, "", nil
}
