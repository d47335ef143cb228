package faults_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"millrace/internal/faults"
)

// echo starts a server that sends back what it gets, behind a proxy.
func echo(t *testing.T) *faults.Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	p, err := faults.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	p.Forward(ln.Addr().String())
	t.Cleanup(func() {
		p.Close()
		_ = ln.Close()
	})
	return p
}

func dial(t *testing.T, p *faults.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// trip sends n bytes and waits for them to come back, and returns how long that took.
func trip(c net.Conn, n int, patience time.Duration) (time.Duration, error) {
	began, sent := time.Now(), bytes.Repeat([]byte("echo"), n/4)
	go c.Write(sent)
	_ = c.SetReadDeadline(began.Add(patience))
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil {
		return time.Since(began), err
	}
	if !bytes.Equal(got, sent) {
		return 0, errors.New("other bytes came back")
	}
	return time.Since(began), nil
}

func wantTrip(t *testing.T, c net.Conn, n int, atLeast time.Duration) {
	t.Helper()
	if took, err := trip(c, n, 20*time.Second); err != nil || took < atLeast {
		t.Fatalf("%d bytes took %v (%v), want at least %v", n, took, err, atLeast)
	}
}

func wantSilence(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := trip(c, 4, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a connection that must be silent: %v", err)
	}
}

func TestProxyHarmsConnectionsThatStand(t *testing.T) {
	p := echo(t)
	c := dial(t, p)
	wantTrip(t, c, 1<<20, 0)
	p.Set(faults.Harm{Latency: 50 * time.Millisecond})
	wantTrip(t, c, 4, 100*time.Millisecond)
	p.Set(faults.Harm{Loss: 1})
	wantTrip(t, c, 4, 400*time.Millisecond)
	p.Set(faults.Harm{Rate: 1 << 20})
	wantTrip(t, c, 1<<19, 450*time.Millisecond)
	p.Set(faults.Harm{})
	wantTrip(t, c, 1<<20, 0)
}

func TestProxyHoldsOneDirection(t *testing.T) {
	for name, harm := range map[string]faults.Harm{"requests": {HoldRequests: true}, "answers": {HoldAnswers: true}} {
		t.Run(name, func(t *testing.T) {
			p := echo(t)
			c := dial(t, p)
			wantTrip(t, c, 4, 0)
			p.Set(harm)
			wantSilence(t, c)
			p.Set(faults.Harm{})
			// The held bytes come first, and then the rest: nothing is lost.
			wantTrip(t, c, 4, 0)
		})
	}
}

func TestProxyForgetsConnections(t *testing.T) {
	p := echo(t)
	c := dial(t, p)
	wantTrip(t, c, 4, 0)
	p.Forget()
	wantSilence(t, c)
	wantTrip(t, dial(t, p), 4, 0)
	wantSilence(t, c)
}

func TestProxyRefusesAndAcceptsAgain(t *testing.T) {
	p := echo(t)
	c := dial(t, p)
	wantTrip(t, c, 4, 0)
	p.Refuse()
	if _, err := trip(c, 4, 20*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a connection that stood: %v", err)
	}
	if refused, err := net.Dial("tcp", p.Addr()); err == nil {
		_ = refused.Close()
		t.Fatal("a new connection was taken")
	}
	if err := p.Accept(); err != nil {
		t.Fatal(err)
	}
	wantTrip(t, dial(t, p), 4, 0)
}
