package ui

import (
	"bytes"
	"context"
	"runtime/debug"
	"sync"
	"time"

	"millrace/codec/json"
	"millrace/metrics"
	"millrace/server"
)

const (
	// sampleEvery is how often the figures are read.
	sampleEvery = time.Second
	// keptPoints is the number of samples that a newly opened page gets.
	keptPoints = 300
	// keptReadings is the number of readings over which the rates of tables are computed.
	keptReadings = 10
)

// sampler reads the node's figures once a second, for the dashboard. Without a viewer it only
// adds a point to every line of the charts. For viewers it also makes a snapshot of everything
// and encodes it once; all viewers send the same bytes. Snapshots do not queue up for a slow
// viewer: it gets the latest snapshot when it is ready for another.
type sampler struct {
	edge    *server.Server
	deps    Deps
	started time.Time
	wake    chan struct{} // asks for the first snapshot

	// The following fields are used by the goroutine of run only.
	produces map[string]bool // "METHOD path" of the routes that write records
	readings []reading       // the latest last
	topics   map[string]*topicRate
	topicsAt time.Time

	mu      sync.Mutex // guards what follows
	viewers int
	points  [][]byte      // encoded, the latest last
	changed chan struct{} // closed and replaced at each snapshot
	// The rows of all topics and instances in the last snapshot, of which it has the first. Each
	// list is replaced, never changed.
	allTopics    []topicMessage
	allInstances []memberMessage
	// snapshot and settings are whole events; each of them is replaced, never changed.
	snapshot, settings []byte
}

// reading holds the figures read at one time.
type reading struct {
	at time.Time
	metrics.Reading
	codecs []metrics.Codec
}

func newSampler(edge *server.Server, d Deps) *sampler {
	return &sampler{
		edge: edge, deps: d, started: time.Now(),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
	}
}

// start starts sampling; the function that it returns ends sampling and waits for the end.
func (p *sampler) start() (end func()) {
	p.produces = make(map[string]bool)
	for r := range p.edge.Routes() {
		p.produces[r.Method+" "+r.Path] = r.Action == server.Produce
	}
	var running sync.WaitGroup
	stop := make(chan struct{})
	running.Go(func() { p.run(stop) })
	return func() {
		close(stop)
		running.Wait()
	}
}

func (p *sampler) run(stop <-chan struct{}) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	p.safely(p.read)
	for {
		select {
		case <-tick.C:
			p.safely(p.read)
			p.safely(p.point)
		case <-p.wake:
		case <-stop:
			return
		}
		if p.watched() {
			p.safely(p.show)
		} else {
			p.topics = nil
		}
	}
}

// safely runs one step. A defect in the dashboard must not end the process.
func (p *sampler) safely(step func()) {
	defer func() {
		if failed := recover(); failed != nil {
			p.deps.Logger.Error("the dashboard's figures could not be read", "panic", failed, "stack", string(debug.Stack()))
		}
	}()
	step()
}

func (p *sampler) watched() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.viewers > 0
}

// read takes a reading and drops the oldest.
func (p *sampler) read() {
	r := reading{at: time.Now(), Reading: p.edge.Metrics().Read()}
	if codecs := p.edge.Metrics().Sources().Compression; codecs != nil {
		r.codecs = codecs()
	}
	if len(p.readings) > keptReadings {
		p.readings = append(p.readings[:0], p.readings[1:]...)
	}
	p.readings = append(p.readings, r)
}

// point adds the point of the last two readings to the charts.
func (p *sampler) point() {
	last := len(p.readings) - 1
	if last < 1 {
		return
	}
	encoded, err := json.Marshal(p.pointOf(&p.readings[last-1], &p.readings[last]))
	if err != nil {
		panic("BUG: cannot encode a point: " + err.Error())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.points) >= keptPoints {
		p.points = append(p.points[:0], p.points[1:]...)
	}
	p.points = append(p.points, encoded)
}

// show makes a snapshot and wakes the viewers.
func (p *sampler) show() {
	gathered := p.gather()
	topics, instances := gathered.Topics.List, gathered.Consumers.List
	gathered.Topics.List = topics[:min(rowsPerPage, len(topics))]
	gathered.Consumers.List = instances[:min(rowsPerPage, len(instances))]
	snapshot, settings := event("snapshot", gathered), event("config", p.config())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allTopics, p.allInstances = topics, instances
	if p.viewers == 0 {
		return // the last viewer left meanwhile; the next one wants a new snapshot
	}
	p.snapshot = snapshot
	if !bytes.Equal(settings, p.settings) {
		p.settings = settings
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// join adds a viewer. The first one does not wait for the next second.
func (p *sampler) join() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.viewers++
	if p.snapshot == nil {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

func (p *sampler) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.viewers--; p.viewers == 0 {
		p.snapshot = nil // it will soon be old
	}
}

// viewer is the stream to one page.
type viewer interface {
	// Send writes b, which it borrows, to the page.
	Send(b []byte) error
	// Context ends when the stream must end.
	Context() context.Context
}

// feed runs the stream of one viewer: the constant part, the charts so far, and then each new
// snapshot.
func (p *sampler) feed(st viewer) error {
	p.join()
	defer p.leave()
	if err := st.Send(p.hello()); err != nil {
		return err
	}
	var settings []byte
	for {
		p.mu.Lock()
		changed := p.changed
		var frames [][]byte
		if p.snapshot != nil {
			frames = append(frames, p.snapshot)
			if !bytes.Equal(settings, p.settings) {
				settings = p.settings
				frames = append(frames, settings)
			}
		}
		p.mu.Unlock()
		for _, frame := range frames {
			if err := st.Send(frame); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-st.Context().Done():
			return nil
		}
	}
}

// hello returns the first event of a stream.
func (p *sampler) hello() []byte {
	build := p.edge.Metrics().Build()
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(server.AppendRetry(nil, sampleEvery), event("hello", helloMessage{
		Version: build.Version, Revision: build.Revision, Started: p.started.UnixMilli(),
		Fields:  pointFields,
		History: json.RawMessage("[" + string(bytes.Join(p.points, []byte(","))) + "]"),
		Errors:  errorCatalog(),
	})...)
}

// event returns an event with v as JSON, which has no line breaks.
func event(name string, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("BUG: cannot encode an event: " + err.Error())
	}
	return server.CloseEvent(append(server.OpenEvent(nil, name), data...))
}
