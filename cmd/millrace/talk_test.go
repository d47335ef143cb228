package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"
)

// talk is a conversation with a client that prints a line for each thing that it has seen, and may
// wait for one before it goes on.
type talk struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.Reader
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

// startTalk starts the client, which is killed after limit.
func startTalk(t *testing.T, cmd *exec.Cmd, limit time.Duration) *talk {
	t.Helper()
	c := &talk{cmd: cmd}
	cmd.Stderr, cmd.WaitDelay = &c.stderr, time.Second
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(c.out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { kill.Stop() })
	return c
}

// expect fails the test unless the client's next line is the one that is wanted.
func (c *talk) expect(t *testing.T, want string) {
	t.Helper()
	if c.lines.Scan() && c.lines.Text() == want {
		return
	}
	got := c.lines.Text()
	_ = c.in.Close()
	_, _ = io.Copy(io.Discard, c.out)
	_ = c.cmd.Wait()
	t.Fatalf("the client printed %q, want %q\n%s", got, want, &c.stderr)
}

// next lets the client go on.
func (c *talk) next() { fmt.Fprintln(c.in) }

// end waits for the end of the client, which must be a good one.
func (c *talk) end(t *testing.T) {
	t.Helper()
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("the client ended with %v\n%s", err, &c.stderr)
	}
}
