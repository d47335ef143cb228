package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/lab"
)

// process is a gateway that runs.
type process struct {
	cmd          *exec.Cmd
	addr, url    string
	topic, state string
	exited       chan struct{}
	log          bytes.Buffer
}

// start makes a topic and starts the gateway.
func (l *trial) start(ctx context.Context, g *gateway) (topic string, _ *process, err error) {
	state, err := os.MkdirTemp(l.dir, "state-*")
	if err != nil {
		return "", nil, err
	}
	topic = "events-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	created, err := kadm.NewClient(l.client).CreateTopic(ctx, 1, 1, nil, topic)
	if err = errors.Join(err, created.Err); err != nil {
		return "", nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	p := &process{addr: addr, url: "http://" + addr + g.path, topic: topic, state: state}
	return topic, p, p.run(l, g)
}

// run starts the program, and waits until it listens.
func (p *process) run(l *trial, g *gateway) error {
	args, err := g.command(p.addr, l.kafka.Addrs[0], p.topic, p.state)
	if err != nil {
		return err
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.exited = exited
	go func() {
		_ = p.cmd.Wait()
		close(exited)
	}()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp", p.addr); err == nil {
			return conn.Close()
		}
		select {
		case <-exited:
			return fmt.Errorf("it has ended: %s", p.log.Bytes())
		case <-time.After(50 * time.Millisecond):
		}
	}
	p.kill()
	return fmt.Errorf("it does not listen: %s", p.log.Bytes())
}

// kill ends the process with SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) restart(l *trial, g *gateway) error {
	p.kill()
	return p.run(l, g)
}

// cpu returns the CPU time of the process.
func (p *process) cpu() (time.Duration, error) {
	u, err := lab.ReadUsage(p.cmd.Process.Pid)
	return u.CPU, err
}
