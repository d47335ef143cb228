package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Settings of a spool.
type Settings struct {
	// MaxBytes bounds the segments on the disk together.
	MaxBytes int64
	// MaxAge is how old the oldest entry may be before no more are taken; 0 is any age.
	MaxAge time.Duration
	// SegmentBytes is the size from which on a segment is complete; 0 is 16 MiB, or
	// an eighth of MaxBytes if that is less.
	SegmentBytes int64
	// Corrupt, if not nil, is told of each stretch of a segment that cannot be read.
	Corrupt func(Damage)
}

// Damage is a stretch of a segment that cannot be read, though it was whole once.
type Damage struct {
	Segment       string // its path
	Offset, Bytes int64
	Kept          string // the file that has the stretch
	Err           error  // why that file could not be written
}

// ErrFull is the error of an entry for which there is no room: by MaxBytes, by MaxAge, or on the
// disk. It may pass.
var ErrFull = errors.New("the spool is full")

// ErrClosed is the error of a spool that is closed.
var ErrClosed = errors.New("the spool is closed")

// Stats is the state of a spool.
type Stats struct {
	// Bytes is what the segments take on the disk, and Limit its bound.
	Bytes, Limit int64
	// Entries is how many entries are not done.
	Entries int64
	// Oldest is when the oldest entry that is not done came; zero: there is none.
	Oldest time.Time
	// Appended and Done count entries since the start, Refused those for which there was no room,
	// Corrupt the stretches of segments that could not be read.
	Appended, Done, Refused, Corrupt uint64
}

// Spool is a folder of entries. Make one with [Open].
type Spool struct {
	dir      string
	settings Settings
	lock     *os.File
	marks    *os.File // the file position

	mu       sync.Mutex
	segments []*segment // on the disk, in order; the last one is written to
	last     uint64     // number of the last segment that there was
	group    *group     // that gathers entries
	flying   *group     // that is being written, or nil
	writing  *os.File   // of the last segment; nil: the next group begins one
	bytes    int64
	// elsewhere is what counts against MaxBytes and is not in the folder.
	elsewhere int64
	stats     Stats
	closed    bool
	wake      chan struct{} // of the reader: something is committed
	begun     chan struct{} // of the committer: the group has an entry
	end       chan struct{}
	stopped   chan struct{}

	cursor cursor // of the reader
}

// segment is one file. Its fields are guarded by the spool's mu.
type segment struct {
	n         uint64
	committed int64 // bytes that Next may read
	complete  bool  // nothing is added any more
	left      int64 // entries that are not done
	oldest    time.Time
	gaps      []gap // before committed, in order; Next leaves them out. They are the reader's alone
}

// Open opens the spool in a folder, which it makes if need be, and reads through the segments.
// It fails when another process has it.
func Open(dir string, s Settings) (_ *Spool, err error) {
	if s.SegmentBytes == 0 {
		s.SegmentBytes = min(16<<20, s.MaxBytes/8) // the last segment takes room until it is complete
	}
	sp := &Spool{
		dir: dir, settings: s, group: newGroup(),
		wake: make(chan struct{}, 1), begun: make(chan struct{}, 1), end: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the spool: %w", err)
	}
	if sp.lock, err = lock(filepath.Join(dir, "lock")); err != nil {
		return nil, fmt.Errorf("cannot lock the spool %s, which another process may have: %w", dir, err)
	}
	if err := sp.recover(); err != nil {
		if sp.marks != nil {
			sp.marks.Close()
		}
		sp.lock.Close()
		return nil, err
	}
	go sp.commit()
	return sp, nil
}

// recover reads what an earlier process has left.
func (s *Spool) recover() error {
	if err := s.openPosition(); err != nil {
		return err
	}
	numbers, err := segmentsIn(s.dir)
	if err != nil {
		return err
	}
	done := s.cursor.done
	s.last = done.n // numbers do not come again
	for _, n := range numbers {
		s.last = max(s.last, n)
		seg, err := s.scan(n, done)
		if err != nil {
			return err
		}
		s.segments = append(s.segments, seg)
		s.bytes += seg.committed
		s.stats.Entries += seg.left
	}
	s.forget()
	return nil
}

// scan reads through a segment of an earlier process, from what is done on.
func (s *Spool) scan(n uint64, done position) (*segment, error) {
	path := s.segmentPath(n)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a segment: %w", err)
	}
	w, err := newWalker(text, n, path)
	if err != nil {
		return nil, err
	}
	switch {
	case n < done.n:
		w.at = int64(len(w.text))
	case n == done.n:
		w.at = min(max(w.at, done.offset), int64(len(w.text)))
	}
	seg := &segment{n: n, complete: true}
	for {
		_, came, before, ok := w.next()
		if before.bytes() > 0 {
			seg.gaps = append(seg.gaps, before)
			s.damaged(seg, before, text)
		}
		if !ok {
			seg.committed = w.at
			return seg, nil
		}
		if seg.left++; seg.left == 1 {
			seg.oldest = came
		}
	}
}

// damaged keeps a gap of a segment, whose bytes are text, for people to look at.
func (s *Spool) damaged(seg *segment, g gap, text []byte) {
	d := Damage{Segment: s.segmentPath(seg.n), Offset: g.from, Bytes: g.bytes()}
	d.Kept = fmt.Sprintf("%s.%d.corrupt", d.Segment, g.from)
	d.Err = os.WriteFile(d.Kept, text[g.from:g.to], 0o600)
	if s.settings.Corrupt != nil {
		s.settings.Corrupt(d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Corrupt++
}

// Stats returns the state of the spool.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Bytes, stats.Limit = s.bytes, s.settings.MaxBytes
	for _, seg := range s.segments {
		if seg.left > 0 {
			stats.Oldest = seg.oldest
			break
		}
	}
	return stats
}

// SetElsewhere has n bytes count against MaxBytes that are in another folder.
func (s *Spool) SetElsewhere(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elsewhere = n
}

// Empty reports whether all entries are done.
func (s *Spool) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats.Entries == 0 && s.group.entries == 0 && s.flying == nil
}

// Close waits for the group that is being written, seals the segment and lets go of the folder.
// Appends and Next fail from then on.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.end)
	<-s.stopped
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.seal()
	if failed := s.marks.Sync(); err == nil {
		err = failed
	}
	s.marks.Close()
	s.cursor.close()
	s.lock.Close()
	return err
}
