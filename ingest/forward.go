package ingest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"millrace/spool"
)

// forwarder writes the entries of the spool to Kafka, in their order. It takes a round of entries,
// and the next one when Kafka has all of it: so the records of a key keep their order, whatever
// has to be sent again. A topic that holds up the others gets a lane of its own (lane.go).
type forwarder struct {
	in   *Ingest
	dir  string // where the folders of the lanes are
	done sync.WaitGroup
	// patience is how long a topic may hold up the others.
	patience time.Duration

	mu    sync.Mutex
	lanes map[string]*lane // by topic
}

const (
	// maxRound bounds the bytes of a round; one entry may be larger.
	maxRound = 1 << 20
	// After a failure the same is sent again after this time, doubled each time up to the longest.
	firstPause, longestPause = 100 * time.Millisecond, 5 * time.Second
	// patience is longer than the change of a leader takes.
	patience = 3 * time.Second
)

// Start begins to forward what the spool has, if there is one. The function that it returns ends
// that, and waits for what is on its way, but no longer than its context: what is then not
// answered is sent again by the next process.
func (in *Ingest) Start() (stop func(context.Context) error) {
	if in.spool == nil {
		return func(context.Context) error { return nil }
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := in.forwarder
	f.openLanes(ctx)
	f.done.Go(func() { f.run(ctx) })
	return func(until context.Context) error {
		cancel()
		ended := make(chan struct{})
		go func() { // ends with the producer at the latest
			f.done.Wait()
			f.closeLanes()
			close(ended)
		}()
		select {
		case <-ended:
			return nil
		case <-until.Done():
			return until.Err()
		}
	}
}

func (f *forwarder) run(ctx context.Context) {
	for ctx.Err() == nil {
		r, err := f.gather(ctx, f.in.spool, maxRound)
		if errors.Is(err, spool.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err == nil && f.deliver(ctx, r) {
			err = f.in.spool.Done()
		}
		if err != nil {
			f.failed(ctx, f.in.spool, err)
		}
	}
}

// failed begins again with what the spool has, after a while.
func (f *forwarder) failed(ctx context.Context, s *spool.Spool, err error) {
	if errors.Is(err, spool.ErrClosed) { // the node has ended
		return
	}
	f.in.log.Error("the spool cannot be forwarded", "err", err)
	s.Rewind()
	pause(ctx, longestPause)
}

// pause waits, but no longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// round is the entries that are forwarded together: of each topic one after another.
type round []*share

// gather takes the next entries of a spool, until they have so many bytes.
func (f *forwarder) gather(ctx context.Context, s *spool.Spool, most int) (r round, err error) {
	e, err := s.Next(ctx)
	for size := 0; ; {
		if err != nil {
			return nil, err
		}
		topic, fault := topicOfEntry(e.Data)
		if fault != nil {
			f.in.log.Error("an entry of the spool cannot be read, and is kept in its folder dead", "err", fault, "bytes", len(e.Data))
			f.in.figures.Dead.Add(1)
			if err := f.in.dead.Append(e.Data); err != nil {
				return nil, err
			}
		} else {
			r = r.add(topic, slices.Clone(e.Data))
		}
		var ok bool
		if size += len(e.Data); size >= most {
			return r, nil
		}
		e, ok, err = s.TryNext()
		if !ok && (err == nil || len(r) > 0 && !errors.Is(err, spool.ErrClosed)) {
			return r, nil // what cannot be read holds up nothing before it
		}
	}
}

func (r round) add(topic string, entry []byte) round {
	for _, s := range r {
		if s.topic == topic {
			s.entries = append(s.entries, entry)
			return r
		}
	}
	return append(r, &share{topic: topic, entries: [][]byte{entry}, over: make(chan struct{})})
}

// deliver sees to it that all of a round is in Kafka, or in lanes. It returns false when ctx ended
// before.
func (f *forwarder) deliver(ctx context.Context, r round) bool {
	waiting := r[:0]
	all := true
	for _, s := range r {
		if l := f.hold(s.topic); l != nil {
			all = f.move(ctx, s, l) && all
			continue
		}
		waiting = append(waiting, s)
		f.done.Go(func() { f.send(ctx, s) })
	}
	for _, s := range waiting {
		all = f.await(ctx, s) && all
	}
	return all && ctx.Err() == nil
}

// await returns when a share is written, or has a lane. Once ctx has ended it gets none: its
// entries stay in the spool too, and would be forwarded twice.
func (f *forwarder) await(ctx context.Context, s *share) bool {
	for {
		select {
		case <-s.over:
			return s.failed.Load() == nil
		case <-time.After(f.patience):
			if ctx.Err() == nil && f.setAside(ctx, s) {
				return true
			}
		}
	}
}
