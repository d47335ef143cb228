package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Walk calls f for each entry in a folder, in order, done or not. It takes no lock and changes
// nothing, so the folder may be in use: Walk ends with what is whole by then. f borrows data. Walk
// ends with the first error of f. gaps counts the stretches that cannot be read.
func Walk(dir string, f func(at time.Time, data []byte) error) (gaps int, err error) {
	numbers, err := segmentsIn(dir)
	if err != nil {
		return 0, err
	}
	for _, n := range numbers {
		found, err := walkSegment(filepath.Join(dir, segmentName(n)), n, f)
		if gaps += found; err != nil {
			return gaps, err
		}
	}
	return gaps, nil
}

func walkSegment(path string, n uint64, f func(at time.Time, data []byte) error) (gaps int, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) { // it was done, and deleted
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read a segment: %w", err)
	}
	w, err := newWalker(text, n, path)
	if err != nil {
		return 0, err
	}
	for {
		data, came, before, ok := w.next()
		if before.bytes() > 0 {
			gaps++
		}
		if !ok {
			return gaps, nil
		}
		if err := f(came, data); err != nil {
			return gaps, err
		}
	}
}

// walker goes through the entries of a segment.
type walker struct {
	text []byte // without the seal
	n    uint64
	at   int64 // where the last entry ends
	// whole says that text was entries to its end. Otherwise its end may be torn.
	whole bool
	sums  *sums // nil until an entry is searched for
}

// gap is a stretch of a segment that has no whole entry and was not torn off: its bytes are wrong.
type gap struct{ from, to int64 }

func (g gap) bytes() int64 { return g.to - g.from }

// newWalker returns one at the first entry of a segment, whose bytes are text.
func newWalker(text []byte, n uint64, path string) (*walker, error) {
	header, err := checkHeader(text, n, path)
	if err != nil {
		return nil, err
	}
	w := &walker{text: text, n: n, at: int64(headerBytes)}
	switch {
	case !header && zeros(text), len(text) < headerBytes:
		w.text, w.at = nil, 0
	case !header: // it was written before the entries, so something is wrong
		w.at, w.whole = 0, true
	}
	if hasSeal(w.text, n) {
		w.text, w.whole = text[:len(text)-sealBytes], true
	}
	return w, nil
}

// next returns the next whole entry, and the gap before it, which mostly has no bytes. ok is false
// at the end. Bytes behind the last whole entry are a gap if text is whole, or else torn off.
//
// Bytes that a sender has put into an entry are not taken for another: see [Spool.segment].
func (w *walker) next() (data []byte, came time.Time, before gap, ok bool) {
	for at := w.at; at >= 0; at = w.find(at + 1) {
		if data, came, takes, err := entryAt(w.text[at:], w.n); err == nil {
			before = gap{w.at, at}
			w.at = at + int64(takes)
			return data, came, before, true
		}
	}
	if w.whole {
		before = gap{w.at, int64(len(w.text))}
	}
	return nil, came, before, false
}

// find returns where the next whole entry is from an offset on, or -1.
func (w *walker) find(at int64) int64 {
	if w.sums == nil {
		w.sums = newSums(w.text)
	}
	for ; at+entryBytes < int64(len(w.text)); at++ {
		length := int64(binary.LittleEndian.Uint32(w.text[at:]))
		end := at + entryBytes + length
		if length == 0 || length > MaxEntry || end > int64(len(w.text)) {
			continue
		}
		if w.sums.of(w.n, at+8, end) == binary.LittleEndian.Uint32(w.text[at+4:]) {
			return at
		}
	}
	return -1
}
