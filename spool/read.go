package spool

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Entry is an entry as [Spool.Next] returns it.
type Entry struct {
	// Data is valid until the next call.
	Data []byte
	// Came is when it was appended.
	Came time.Time
}

// position is the place behind an entry: the byte offset in segment n.
type position struct {
	n      uint64
	offset int64
}

// cursor is where the reader is. File and buffer are the reader's alone; the rest is guarded by the
// spool's mu.
type cursor struct {
	file *os.File
	of   uint64 // the segment that file is
	buf  []byte

	at, done position
	taken    int64 // entries between done and at
	came     time.Time

	slot   uint64 // number of the last position that was written
	synced time.Time
}

// close closes the file that was read last.
func (c *cursor) close() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

// Next returns the entry behind the last one that it returned, or at first the oldest that is not
// done. It waits for one until the context ends.
func (s *Spool) Next(ctx context.Context) (Entry, error) {
	for {
		e, ok, err := s.TryNext()
		if ok || err != nil {
			return e, err
		}
		select {
		case <-s.wake:
		case <-s.end:
			return Entry{}, ErrClosed
		case <-ctx.Done():
			return Entry{}, ctx.Err()
		}
	}
}

// Rewind has Next begin again with the oldest entry that is not done.
func (s *Spool) Rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor.at, s.cursor.taken = s.cursor.done, 0
}

// TryNext is [Spool.Next] without waiting; ok is false when there is no entry.
func (s *Spool) TryNext() (e Entry, ok bool, err error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return e, false, ErrClosed
		}
		seg := s.find()
		if seg == nil {
			s.mu.Unlock()
			return e, false, nil
		}
		n, committed, at := seg.n, seg.committed, s.cursor.at.offset
		s.mu.Unlock()
		data, came, takes, err := s.readEntry(n, at, committed)
		switch {
		case errors.Is(err, errBroken):
			if err := s.skip(seg); err != nil {
				return e, false, err
			}
			continue
		case err != nil:
			return e, false, err
		}
		s.mu.Lock()
		s.cursor.at.offset += int64(takes)
		if s.cursor.taken++; s.cursor.taken == 1 {
			seg.oldest = came // Done knows only when the one before came
		}
		s.cursor.came = came
		s.mu.Unlock()
		return Entry{Data: data, Came: came}, true, nil
	}
}

// find returns the segment of the next entry, and moves the cursor there. It returns nil when
// there is no such entry yet.
func (s *Spool) find() *segment {
	at := &s.cursor.at
	for _, seg := range s.segments {
		if seg.n < at.n {
			continue
		}
		if seg.n > at.n {
			*at = position{n: seg.n}
		}
		at.offset = seg.past(max(at.offset, int64(headerBytes)))
		if at.offset < seg.committed {
			return seg
		}
	}
	return nil
}

// readEntry reads the entry at an offset of segment n, of which committed bytes may be read.
func (s *Spool) readEntry(n uint64, at, committed int64) (data []byte, came time.Time, takes int, err error) {
	c := &s.cursor
	if c.file == nil || c.of != n {
		c.close()
		if c.file, err = os.Open(s.segmentPath(n)); err != nil {
			return nil, came, 0, fmt.Errorf("cannot read a segment: %w", err)
		}
		c.of = n
	}
	for need := int64(entryBytes); ; need = int64(takes) {
		if need > committed-at {
			return nil, came, 0, errBroken
		}
		c.buf = slices.Grow(c.buf[:0], int(need))[:need]
		if _, err := c.file.ReadAt(c.buf, at); err != nil && err != io.EOF {
			c.close() // it may be the file that is wrong, and not what has its name by then
			return nil, came, 0, fmt.Errorf("cannot read a segment: %w", err)
		}
		if data, came, takes, err = entryAt(c.buf, n); int64(takes) <= need {
			return data, came, takes, err
		}
	}
}

// past returns where what is at an offset ends, if that is a gap, or else the offset.
func (seg *segment) past(offset int64) int64 {
	i, _ := slices.BinarySearchFunc(seg.gaps, offset, func(g gap, at int64) int { return cmp.Compare(g.to, at+1) })
	if i < len(seg.gaps) && seg.gaps[i].from <= offset {
		return seg.gaps[i].to
	}
	return offset
}

// skip finds the gaps of a segment from the cursor on, where an entry was whole, and is no more.
func (s *Spool) skip(seg *segment) error {
	s.mu.Lock()
	at := s.cursor.at.offset
	text := make([]byte, seg.committed) // what the file does not have any more is zeros
	lost := seg.left - s.cursor.taken
	for _, earlier := range s.segments {
		if earlier.n < seg.n {
			lost += earlier.left
		}
	}
	s.mu.Unlock()
	if _, err := s.cursor.file.ReadAt(text, 0); err != nil && err != io.EOF {
		s.cursor.close()
		return fmt.Errorf("cannot read a segment: %w", err)
	}
	gaps := slices.DeleteFunc(slices.Clone(seg.gaps), func(g gap) bool { return g.to > at })
	w := walker{text: text, n: seg.n, at: at, whole: true}
	for ok := true; ok; {
		var g gap
		if _, _, g, ok = w.next(); ok {
			lost--
		}
		if g.bytes() == 0 {
			continue
		}
		gaps = append(gaps, g)
		if !slices.Contains(seg.gaps, g) {
			s.damaged(seg, g, text)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.gaps = gaps
	seg.left -= lost
	s.stats.Entries -= lost
	return nil
}

// Done says that all entries that Next has returned are taken over. They do not come again, but
// for those since the last second if the machine ends.
func (s *Spool) Done() error {
	s.mu.Lock()
	if s.closed { // another process may have the folder
		s.mu.Unlock()
		return ErrClosed
	}
	c := &s.cursor
	left := c.taken
	s.stats.Entries -= left
	s.stats.Done += uint64(left)
	for _, seg := range s.segments {
		n := min(left, seg.left)
		seg.left -= n
		if left -= n; n > 0 {
			seg.oldest = c.came
		}
	}
	c.done, c.taken = c.at, 0
	c.slot++
	mark := c.mark()
	sync := time.Since(c.synced) > time.Second
	if sync {
		c.synced = time.Now()
	}
	_, err := s.marks.WriteAt(mark, int64(c.slot%2)*markBytes)
	s.forget() // also without the position: a disk that is full is to have room again
	s.mu.Unlock()
	if err == nil && sync {
		err = s.marks.Sync()
	}
	if err != nil {
		return fmt.Errorf("cannot write the position of the spool: %w", err)
	}
	return nil
}

// forget deletes the segments of which all is done.
func (s *Spool) forget() {
	s.segments = slices.DeleteFunc(s.segments, func(seg *segment) bool {
		if !seg.complete || seg.left > 0 || seg.n > s.cursor.done.n && seg.committed > int64(headerBytes) {
			return false
		}
		if os.Remove(s.segmentPath(seg.n)) != nil {
			return false // it is tried again
		}
		s.bytes -= seg.committed
		return true
	})
}

// markBytes is what a slot of the file position has: number, segment, offset, checksum.
const markBytes = 32

// mark returns the slot of what is done.
func (c *cursor) mark() []byte {
	b := make([]byte, markBytes)
	binary.LittleEndian.PutUint64(b, c.slot)
	binary.LittleEndian.PutUint64(b[8:], c.done.n)
	binary.LittleEndian.PutUint64(b[16:], uint64(c.done.offset))
	binary.LittleEndian.PutUint32(b[24:], checksum(c.slot, b[:24]))
	return b
}

// openPosition opens the file position, and takes the last one that is whole.
func (s *Spool) openPosition() (err error) {
	if s.marks, err = os.OpenFile(filepath.Join(s.dir, "position"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("cannot open the position of the spool: %w", err)
	}
	var both [2 * markBytes]byte
	if n, _ := s.marks.ReadAt(both[:], 0); n < len(both) { // a slot of zeros has no checksum
		// The file takes its room at once: a position can be written when the disk is full.
		if _, err := s.marks.WriteAt(both[n:], int64(n)); err != nil {
			return fmt.Errorf("cannot write the position of the spool: %w", err)
		}
	}
	c := &s.cursor
	for slot := range 2 {
		m := both[slot*markBytes:][:markBytes]
		n := binary.LittleEndian.Uint64(m)
		if n > c.slot && checksum(n, m[:24]) == binary.LittleEndian.Uint32(m[24:]) {
			c.slot = n
			c.done = position{binary.LittleEndian.Uint64(m[8:]), int64(binary.LittleEndian.Uint64(m[16:]))}
		}
	}
	c.at = c.done
	return nil
}
