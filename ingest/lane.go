package ingest

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"millrace/spool"
)

// lane is a spool of one topic, beside the spool of all. A topic that Kafka does not take while it
// takes others is set aside: its entries move into a lane, which is forwarded on its own, and later
// entries of the topic follow them there. So the topic holds up no other, and its own order stays.
//
//	spool:  a1 b1 a2 b2 a3     a cannot be written
//	lane a: a1 a2              the share of a round; what the spool has behind it follows
//	spool:  b2 a3              b goes on
//
// An entry is in the lane, and synced, before it is done in the spool. A process that dies between
// has it in both, and forwards it twice, in order.
type lane struct {
	topic string
	spool *spool.Spool
	older bool // it was opened with entries of an earlier process
	joins bool // entries are on their way into it; guarded by the forwarder's mu
}

const (
	// maxLanes bounds the topics that are set aside. Beyond it a topic holds up the others again.
	maxLanes = 32
	// laneRound bounds the bytes of a lane's round, and laneSegment those of its segments.
	laneRound, laneSegment = 128 << 10, 1 << 20
	// laneFolder begins the name of a lane's folder; the topic's name follows.
	laneFolder = "topic-"
)

// full reports whether the lane holds half of what the spool may, or something older than it may.
// Its topic takes no more events then, so that there is room for those of others.
func (l *lane) full(s spool.Settings) bool {
	stats := l.spool.Stats()
	return stats.Bytes > s.MaxBytes/2 || s.MaxAge > 0 && !stats.Oldest.IsZero() && time.Since(stats.Oldest) > s.MaxAge
}

// lane returns the lane of a topic, or nil.
func (f *forwarder) lane(topic string) *lane {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lanes[topic]
}

// hold returns the lane of a topic, which does not end before [forwarder.move], or nil.
func (f *forwarder) hold(topic string) *lane {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lanes[topic]
	if l != nil {
		l.joins = true
	}
	return l
}

// move puts a share into the lane of its topic. It returns false when ctx ended before.
func (f *forwarder) move(ctx context.Context, s *share, l *lane) bool {
	err := l.spool.Append(s.entries...)
	for err != nil && ctx.Err() == nil {
		f.in.log.Error("events cannot be moved aside, and hold up others", "topic", s.topic, "err", err)
		pause(ctx, longestPause) // the disk is full; what is in the lane may go
		err = l.spool.Append(s.entries...)
	}
	f.mu.Lock()
	l.joins = false
	f.mu.Unlock()
	f.count()
	return err == nil
}

// setAside gives a topic a lane that begins with a share, which is being sent, and reports whether
// it could. While no topic can be written there is nothing to be gained.
func (f *forwarder) setAside(ctx context.Context, s *share) bool {
	f.mu.Lock()
	lanes := len(f.lanes)
	f.mu.Unlock()
	if lanes >= maxLanes || !routeName.MatchString(s.topic) || f.in.producer.Ready(nil, 0) != nil {
		return false
	}
	l, err := f.openLane(s.topic)
	if err == nil {
		if err = l.spool.Append(s.entries...); err != nil {
			_ = l.spool.Close() // or it could not be opened again
		}
	}
	if err != nil {
		f.in.log.Error("a topic that holds up the others cannot be set aside", "topic", s.topic, "err", err)
		return false
	}
	f.in.log.Warn("a topic does not take the events of the spool, and is set aside", "topic", s.topic, "err", s.failed.Load())
	f.begin(ctx, l, s)
	return true
}

// begin has a lane forwarded. Its first entries are those of first, which is being sent, or nil.
// Behind older ones these are sent twice.
func (f *forwarder) begin(ctx context.Context, l *lane, first *share) {
	f.mu.Lock()
	f.lanes[l.topic] = l
	f.mu.Unlock()
	f.count()
	f.done.Go(func() { f.runLane(ctx, l, first) })
}

func (f *forwarder) runLane(ctx context.Context, l *lane, first *share) {
	if first != nil {
		<-first.over
		if first.failed.Load() != nil {
			return // ctx has ended
		}
		if !l.older {
			if err := l.skip(len(first.entries)); err != nil {
				f.failed(ctx, l.spool, err)
			}
		}
	}
	for ctx.Err() == nil && !f.end(l) {
		r, err := f.gather(ctx, l.spool, laneRound)
		if errors.Is(err, spool.ErrClosed) || ctx.Err() != nil {
			return
		}
		for _, s := range r { // there is one topic
			f.send(ctx, s)
			if s.failed.Load() != nil {
				return
			}
		}
		if err == nil {
			err = l.spool.Done()
		}
		if err != nil {
			f.failed(ctx, l.spool, err)
		}
		f.count()
	}
}

// skip takes so many entries for done.
func (l *lane) skip(entries int) error {
	for range entries {
		if _, _, err := l.spool.TryNext(); err != nil {
			return err
		}
	}
	return l.spool.Done()
}

// end ends a lane that is empty. Entries of its topic go by the spool again.
func (f *forwarder) end(l *lane) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.joins || !l.spool.Empty() {
		return false
	}
	delete(f.lanes, l.topic)
	_ = os.RemoveAll(f.folder(l.topic)) // what is left of it is empty
	_ = l.spool.Close()
	f.in.log.Info("a topic that was set aside takes events again", "topic", l.topic)
	return true
}

func (f *forwarder) folder(topic string) string { return filepath.Join(f.dir, laneFolder+topic) }

// openLane opens the folder of a topic's lane. It bounds nothing: what comes in was in the spool.
func (f *forwarder) openLane(topic string) (*lane, error) {
	s := spool.Settings{MaxBytes: math.MaxInt64, SegmentBytes: laneSegment, Corrupt: f.in.settings.SpoolLimits.Corrupt}
	opened, err := spool.Open(f.folder(topic), s)
	if err != nil {
		return nil, err
	}
	return &lane{topic: topic, spool: opened, older: !opened.Empty()}, nil
}

// openLanes goes on with the lanes that an earlier process has left.
func (f *forwarder) openLanes(ctx context.Context) {
	folders, _ := os.ReadDir(f.dir) // there may be none
	for _, folder := range folders {
		topic, ok := strings.CutPrefix(folder.Name(), laneFolder)
		if !ok {
			continue
		}
		l, err := f.openLane(topic)
		if err != nil {
			f.in.log.Error("events that were set aside cannot be read", "topic", topic, "err", err)
			continue
		}
		f.begin(ctx, l, nil)
	}
}

func (f *forwarder) closeLanes() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lanes {
		_ = l.spool.Close()
	}
}

// count has the bytes of all lanes count as the spool's.
func (f *forwarder) count() {
	f.mu.Lock()
	defer f.mu.Unlock()
	bytes := int64(0)
	for _, l := range f.lanes {
		bytes += l.spool.Stats().Bytes
	}
	f.in.spool.SetElsewhere(bytes)
}

// Spooled returns the state of the spool with its lanes, and how many topics have one.
func (in *Ingest) Spooled() (all spool.Stats, aside int) {
	f := in.forwarder
	all = in.spool.Stats()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lanes {
		s := l.spool.Stats()
		all.Bytes += s.Bytes
		all.Entries += s.Entries
		all.Corrupt += s.Corrupt
		if !s.Oldest.IsZero() && (all.Oldest.IsZero() || s.Oldest.Before(all.Oldest)) {
			all.Oldest = s.Oldest
		}
	}
	return all, len(f.lanes)
}
