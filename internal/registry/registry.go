package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// startTimeout bounds the time to create and read the topic.
	startTimeout = time.Minute
	// writeTimeout bounds one write to the topic.
	writeTimeout = 15 * time.Second
	// maxBody is the largest request, in bytes; Confluent's own limit of a
	// schema is the size of a record, 1 MiB as well.
	maxBody = 1 << 20
)

// Options are the addresses of a registry and of its Kafka.
type Options struct {
	// Listen is a host:port address; port 0 takes any that is free.
	Listen string
	// Brokers are host:port addresses of the Kafka with the topic _schemas.
	Brokers []string
	// Log gets errors that no response reports; nil drops them.
	Log *slog.Logger
}

// Registry is a running schema registry.
type Registry struct {
	log     *slog.Logger
	store   *store
	topic   *topic
	server  *http.Server
	addr    net.Addr
	served  chan struct{} // closed when the listener is
	writing sync.Mutex    // held by changes of the store, from their checks to their end
	lastID  int           // the highest id in use; guarded by writing
}

// Start reads the topic and serves. The caller closes the registry.
func Start(o Options) (*Registry, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	topic, err := openTopic(o.Brokers, o.Log)
	if err != nil {
		return nil, fmt.Errorf("cannot start the schema registry: %w", err)
	}
	r := &Registry{log: o.Log, store: newStore(), topic: topic, served: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := topic.replay(ctx, r.replayed); err != nil {
		topic.close()
		return nil, fmt.Errorf("cannot start the schema registry: %w", err)
	}
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		topic.close()
		return nil, fmt.Errorf("cannot start the schema registry: %w", err)
	}
	r.addr = ln.Addr()
	r.server = &http.Server{
		Handler:           r.ownPages(r.routes()),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(r.served)
		if err := r.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("the schema registry ended", "err", err)
		}
	}()
	return r, nil
}

// URL returns the address of the API, without a slash at its end.
func (r *Registry) URL() string { return "http://" + r.addr.String() }

// Close ends the registry, with a moment for the requests in flight to end.
func (r *Registry) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		r.server.Close()
	}
	<-r.served
	r.topic.close()
}

// replayed applies a record of the topic. One that cannot be read is logged and skipped;
// otherwise a single bad record would keep the registry from starting.
func (r *Registry) replayed(record *kgo.Record) {
	c, err := decodeChange(record.Key, record.Value)
	if err != nil {
		r.log.Warn("a record of the schema registry is skipped", "topic", topicName, "offset", record.Offset, "err", err)
		return
	}
	r.store.apply(c)
}

// write writes changes to the topic and then to the store; the caller holds r.writing.
func (r *Registry) write(ctx context.Context, changes ...change) error {
	// Not canceled with the request: otherwise the change is in the topic, the client hangs up,
	// and the store never gets it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if err := r.topic.append(ctx, changes...); err != nil {
		return err
	}
	for _, c := range changes {
		r.store.apply(c)
	}
	return nil
}
