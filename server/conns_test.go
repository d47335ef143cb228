package server

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/apierr"
)

// failing is a listener whose accepting fails with the errors, then blocks
// until it is closed.
type failing struct {
	errs   []error
	called atomic.Int64
	closed chan struct{}
}

func (f *failing) Accept() (net.Conn, error) {
	if n := int(f.called.Add(1)); n <= len(f.errs) {
		return nil, f.errs[n-1]
	}
	<-f.closed
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: net.ErrClosed}
}

func (f *failing) Close() error {
	close(f.closed)
	return nil
}

func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }

// Accept retries after every failure except the listener's close, with growing pauses, and logs
// one line.
func TestAcceptRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{closed: make(chan struct{})}
		for range 3 {
			for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
				f.errs = append(f.errs, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)})
			}
		}
		var log bytes.Buffer
		l := (&Server{limits: newLimits(Settings{}, MediaJSON, func(*apierr.Kind) {}), log: slog.New(slog.NewTextHandler(&log, nil))}).newListener(f, Listener{})
		ended := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		// Before the last of them: 5 ms, doubled seven times, then a second each.
		time.Sleep(1275*time.Millisecond + 6*time.Second - time.Millisecond)
		synctest.Wait()
		if n := f.called.Load(); n != 14 {
			t.Errorf("accepted %d times by now", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("it ended with %v", err)
		default:
		}
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
		if n := strings.Count(log.String(), "cannot accept"); n != 1 {
			t.Errorf("the log is\n%s", &log)
		}
	})
}

// A listener that is closed while accepting pauses does not wait for the end of
// the pause.
func TestCloseEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{closed: make(chan struct{}), errs: make([]error, 1000)}
		for i := range f.errs {
			f.errs[i] = syscall.EMFILE
		}
		l := (&Server{limits: newLimits(Settings{}, MediaJSON, func(*apierr.Kind) {}), log: slog.New(slog.DiscardHandler)}).newListener(f, Listener{})
		time.AfterFunc(5500*time.Millisecond, func() { l.Close() })
		began := time.Now()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || time.Since(began) != 5500*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		l.Close() // a second time is harmless
	})
}

// workersEnd is longer than fasthttp's goroutines take to see that they are not needed.
const workersEnd = time.Minute

// withListeners returns a server that serves on n listeners, which accept nothing until they are
// closed.
func withListeners(n int) *Server {
	s := New(Settings{}, Deps{Logger: slog.New(slog.DiscardHandler)})
	for range n {
		l := s.newListener(&failing{closed: make(chan struct{})}, Listener{})
		s.opened, s.listeners = append(s.opened, l), append(s.listeners, l)
	}
	return s
}

// A server that is told to stop before it serves does not begin to, whoever comes first.
func TestShutdownBeforeServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(workersEnd)
		s := withListeners(2)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve() }()
		synctest.Wait()
		select {
		case err := <-served:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("it serves after its end")
			for _, l := range s.opened {
				l.Close()
			}
			<-served
		}
	})
}

// Several listeners without a connection leave nothing to wait for.
func TestShutdownWaitsForNoListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(workersEnd)
		s := withListeners(3)
		served := make(chan error, 1)
		go func() { served <- s.Serve() }()
		synctest.Wait()
		began := time.Now()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took >= keepAliveGrace {
			t.Errorf("a server without a connection has waited %v for its clients", took)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
