package spool

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"time"
)

// group is entries that are written and synced together.
type group struct {
	data    [][]byte // borrowed from the Appends that wait
	at      []time.Time
	bytes   int64
	entries int64
	done    chan struct{}
	err     error // set before done is closed
}

func newGroup() *group { return &group{done: make(chan struct{})} }

// Append writes entries, one behind the other, and returns when they are on the disk. It borrows
// them; none may be empty. Of entries that it fails for nothing is left, unless the disk does not
// even let them be cut off.
func (s *Spool) Append(entries ...[]byte) error {
	size := int64(0)
	for _, data := range entries {
		if len(data) == 0 || len(data) > MaxEntry {
			return fmt.Errorf("an entry has 1 to %d bytes, not %d", MaxEntry, len(data))
		}
		size += int64(len(data)) + entryBytes
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	now := time.Now()
	taken := s.bytes + s.elsewhere + s.group.bytes
	if s.flying != nil {
		taken += s.flying.bytes
	}
	if taken+size > s.settings.MaxBytes || s.old(now) {
		s.stats.Refused += uint64(len(entries))
		s.mu.Unlock()
		return ErrFull
	}
	g := s.group
	for _, data := range entries {
		g.data, g.at = append(g.data, data), append(g.at, now)
	}
	g.bytes += size
	g.entries += int64(len(entries))
	s.mu.Unlock()
	select {
	case s.begun <- struct{}{}:
	default:
	}
	<-g.done
	return g.err
}

// old reports whether the oldest entry is over MaxAge.
func (s *Spool) old(now time.Time) bool {
	if s.settings.MaxAge <= 0 {
		return false
	}
	for _, seg := range s.segments {
		if seg.left > 0 {
			return now.Sub(seg.oldest) > s.settings.MaxAge
		}
	}
	return false
}

// commit writes groups, one after another, until the spool is closed. While one is synced, the
// next one gathers.
func (s *Spool) commit() {
	defer close(s.stopped)
	var buf []byte
	for ending := false; !ending; {
		select {
		case <-s.begun:
		case <-s.end:
			ending = true
		}
		s.mu.Lock()
		g := s.group
		s.group = newGroup()
		s.flying = g
		s.mu.Unlock()
		if g.entries > 0 {
			buf = s.write(g, buf[:0])
		}
		s.mu.Lock()
		s.flying = nil
		s.mu.Unlock()
		if cap(buf) > 4<<20 {
			buf = nil
		}
		close(g.done)
	}
}

// write writes a group into the last segment, or a new one, and syncs it.
func (s *Spool) write(g *group, buf []byte) []byte {
	seg, err := s.segment()
	if err == nil {
		for i, data := range g.data {
			buf = appendEntry(buf, seg.n, g.at[i], data)
		}
		if _, err = s.writing.WriteAt(buf, seg.committed); err == nil {
			err = s.writing.Sync()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.Refused += uint64(g.entries)
		g.err = fmt.Errorf("%w: %w", ErrFull, err)
		s.abandon()
		return buf
	}
	if seg.left == 0 {
		seg.oldest = g.at[0]
	}
	seg.committed += int64(len(buf))
	seg.left += g.entries
	s.bytes += int64(len(buf))
	s.stats.Entries += g.entries
	s.stats.Appended += uint64(g.entries)
	if seg.committed >= s.settings.SegmentBytes {
		_ = s.seal() // without a seal it is read all the same
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return buf
}

// segment returns the segment to write to, and begins one if there is none. Only commit calls it.
//
// Its number is beyond the last one by a random one. It is part of each checksum, and no sender
// knows it: bytes of an event pass for no entry, wherever a search for one comes by.
func (s *Spool) segment() (*segment, error) {
	if s.writing != nil {
		s.mu.Lock() // the reader may be about to forget earlier ones
		defer s.mu.Unlock()
		return s.segments[len(s.segments)-1], nil
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // it never fails
	n := s.last + 1 + uint64(binary.LittleEndian.Uint32(random[:]))
	f, err := os.OpenFile(s.segmentPath(n), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	header := appendHeader(nil, n)
	if _, err = f.Write(header); err == nil {
		err = syncDir(s.dir)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = n
	if err != nil {
		f.Close()
		_ = os.Remove(s.segmentPath(n))
		return nil, err
	}
	seg := &segment{n: n, committed: int64(headerBytes)}
	s.segments, s.writing = append(s.segments, seg), f
	s.bytes += seg.committed
	return seg, nil
}

// abandon ends the segment of a group that failed, with what was good before. After a sync that
// failed nobody knows what of the file is on the disk, so nothing more is added to it.
func (s *Spool) abandon() {
	if s.writing == nil {
		return
	}
	seg := s.segments[len(s.segments)-1]
	_ = s.writing.Truncate(seg.committed)
	_ = s.writing.Sync()
	s.writing.Close()
	s.writing, seg.complete = nil, true
	s.forget()
}

// seal completes the last segment.
func (s *Spool) seal() error {
	if s.writing == nil {
		return nil
	}
	seg := s.segments[len(s.segments)-1]
	_, err := s.writing.WriteAt(appendSeal(nil, seg.n), seg.committed)
	if err == nil {
		err = s.writing.Sync()
	}
	s.writing.Close()
	s.writing, seg.complete = nil, true
	s.forget()
	return err
}
