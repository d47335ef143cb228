package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// specimen is a segment as a process has written it.
type specimen struct {
	text    []byte
	entries []string
	ends    []int // of the entries
}

func newSpecimen(sealed bool, entries ...string) specimen {
	s := specimen{text: appendHeader(nil, 1), entries: entries}
	for _, e := range entries {
		s.text = appendEntry(s.text, 1, time.Unix(1, 0), []byte(e))
		s.ends = append(s.ends, len(s.text))
	}
	if sealed {
		s.text = appendSeal(s.text, 1)
	}
	return s
}

// left returns what is to be read of the specimen when text is what has become of it: the entries
// of which no byte has changed, and what is reported.
func (s specimen) left(text []byte) (intact []string, gaps []gap) {
	at, from := int64(headerBytes), headerBytes
	if !bytes.HasPrefix(text, s.text[:headerBytes]) {
		at = 0
	}
	for i, end := range s.ends {
		if end <= len(text) && bytes.Equal(text[from:end], s.text[from:end]) {
			if at < int64(from) {
				gaps = append(gaps, gap{at, int64(from)})
			}
			intact, at = append(intact, s.entries[i]), int64(end)
		}
		from = end
	}
	if end := int64(len(text) - sealBytes); hasSeal(text, 1) && at < end {
		gaps = append(gaps, gap{at, end})
	}
	return intact, gaps
}

// check opens a spool with text in place of the specimen, and holds that each intact entry comes
// once, in order, and that the rest is reported and kept.
func (s specimen) check(t *testing.T, text []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, segmentName(1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	intact, gaps := s.left(text)
	var walked []string
	n, err := Walk(dir, func(_ time.Time, data []byte) error {
		walked = append(walked, string(data))
		return nil
	})
	if err != nil || n != len(gaps) {
		t.Errorf("Walk finds %d gaps of %d, %v", n, len(gaps), err)
	}
	want(t, walked, intact...)
	var told []gap
	sp, err := Open(dir, Settings{MaxBytes: 1 << 30, Corrupt: func(d Damage) {
		told = append(told, gap{d.Offset, d.Offset + d.Bytes})
		if kept, err := os.ReadFile(d.Kept); d.Err != nil || d.Segment != path || string(kept) != string(text[d.Offset:d.Offset+d.Bytes]) {
			t.Errorf("%+v: %d bytes are kept, %v", d, len(kept), err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	if got := sp.Stats(); got.Entries != int64(len(intact)) || got.Corrupt != uint64(len(gaps)) || !slices.Equal(told, gaps) {
		t.Errorf("of %d entries and the gaps %v: %+v, told %v", len(intact), gaps, got, told)
	}
	want(t, take(t, sp, false), intact...)
	sp.Rewind()
	want(t, take(t, sp, false), intact...)
	if err := sp.Done(); err != nil {
		t.Fatal(err)
	}
	if got := sp.Stats(); !sp.Empty() || got.Corrupt != uint64(len(gaps)) {
		t.Errorf("at the end: %+v", got)
	}
}

// A wrong byte anywhere, of a length, a checksum, a time or an event, of the first entry, the last
// or one between, costs the entry that it is in, and no other. In the last entry of a segment
// without a seal it cannot be told from an entry that was torn off, and is not reported. In the
// header it costs no entry; only the version is believed.
func TestAByteIsWrong(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		s := newSpecimen(sealed, "first", "between", strings.Repeat("long ", 70), "b", "the last one")
		for at := range s.text {
			if at == len(magic) || at > s.ends[1]+20 && at < s.ends[2]-2 {
				continue // one byte of a text is like another
			}
			text := slices.Clone(s.text)
			if text[at] ^= []byte{0x01, 0x80, 0xff}[at%3]; at%2 == 0 && s.text[at] != 0 {
				text[at] = 0
			}
			if s.check(t, text); t.Failed() {
				t.Fatalf("byte %d of a segment, sealed: %v", at, sealed)
			}
		}
	}
}

// A file under the name of a segment that has nothing of it is reported and kept, and does not keep
// the spool from opening.
func TestAFileIsNoSegment(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"something else entirely", string(newSpecimen(true, "of segment 1").text)} {
		dir := t.TempDir()
		path := filepath.Join(dir, segmentName(2))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, Settings{})
		kept, err := os.ReadFile(path + ".0.corrupt")
		if got := s.Stats(); err != nil || string(kept) != text || got.Entries != 0 || got.Corrupt != 1 {
			t.Errorf("%q is kept of %q, %v: %+v", kept, text, err, got)
		}
		add(t, s, "new")
		want(t, take(t, s, true), "new")
	}
}

// A segment that the disk does not read is not left out: the reader is told, and goes on when it
// can be read again. Without the file, which an operator has taken away, the others come.
func TestASegmentIsNotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Settings{SegmentBytes: 1})
	add(t, s, "a", "b", "c")
	numbers, err := segmentsIn(dir)
	if err != nil || len(numbers) < 3 {
		t.Fatal(numbers, err)
	}
	path, away := s.segmentPath(numbers[1]), filepath.Join(t.TempDir(), "away")
	swap := func(from, to string) {
		if err := errors.Join(os.Rename(from, to), os.Mkdir(path, 0o700)); err != nil { // a folder is not read
			t.Fatal(err)
		}
	}
	swap(path, away)
	if e, err := s.Next(t.Context()); err != nil || string(e.Data) != "a" {
		t.Fatal(e, err)
	}
	for range 2 {
		if e, err := s.Next(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("%q, %v", e.Data, err)
		}
	}
	if err := errors.Join(os.Remove(path), os.Rename(away, path)); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Next(t.Context()); err != nil || string(e.Data) != "b" {
		t.Fatal(e, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	swap(path, away)
	if _, err := Open(dir, Settings{MaxBytes: 1 << 20}); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want(t, take(t, open(t, dir, Settings{}), true), "a", "c")
}

// A segment that is torn off anywhere, with and without zeros behind, has the entries before,
// whether one of them is wrong or not.
func TestTornAndWrong(t *testing.T) {
	t.Parallel()
	s := newSpecimen(false, "one", "two", "three", "four")
	for cut := headerBytes; cut <= len(s.text); cut++ {
		for _, wrong := range []int{-1, s.ends[0] - 1, s.ends[0], s.ends[1] - 1, s.ends[2]} {
			text := slices.Clone(s.text[:cut])
			if wrong >= cut {
				continue
			}
			if wrong > 0 {
				text[wrong] ^= 4
			}
			s.check(t, text)
			s.check(t, append(text, make([]byte, 50)...))
			if t.Failed() {
				t.Fatalf("cut at %d, byte %d is wrong", cut, wrong)
			}
		}
	}
}

// Wrong stretches may be long, and several.
func TestStretchesAreWrong(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var entries []string
	for n := range 60 {
		b := make([]byte, 1+random.IntN(1000))
		for i := range b {
			b[i] = byte(random.IntN(256)) >> (n % 8) // some are mostly zeros, as a length is
		}
		entries = append(entries, string(b))
	}
	for round := range 60 {
		s := newSpecimen(round%2 == 0, entries...)
		text := slices.Clone(s.text)
		for range 1 + round%5 {
			at := headerBytes + random.IntN(len(text)-headerBytes)
			clear(text[at:min(len(text), at+1+random.IntN(3000))])
		}
		s.check(t, text)
	}
}

// A header of zeros does not cost the entries behind it.
func TestHeaderOfZerosBeforeEntries(t *testing.T) {
	s := newSpecimen(false, "one", "two")
	clear(s.text[:headerBytes])
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, segmentName(1)), s.text, 0o600); err != nil {
		t.Fatal(err)
	}
	sp := open(t, dir, Settings{})
	want(t, take(t, sp, true), "one", "two")
	if got := sp.Stats(); got.Corrupt != 1 || got.Entries != 0 {
		t.Errorf("%+v", got)
	}
}

// All entries whose Append has returned are read when the process dies and then a byte is wrong,
// but for the entry with that byte.
func TestAcknowledgedAndThenWrong(t *testing.T) {
	const writers, each = 8, 25
	dir, after := t.TempDir(), t.TempDir()
	live := open(t, dir, Settings{SegmentBytes: 5000})
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range each {
				if err := live.Append(fmt.Appendf(nil, "<%d %d>%s", w, n, strings.Repeat("x", 10*n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := os.CopyFS(filepath.Join(after, "spool"), os.DirFS(dir)); err != nil { // as a process leaves it that dies
		t.Fatal(err)
	}
	numbers, err := segmentsIn(dir)
	if err != nil || len(numbers) < 3 {
		t.Fatal(numbers, err)
	}
	path := filepath.Join(after, "spool", segmentName(numbers[len(numbers)/2]))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var w, n int
	first := regexp.MustCompile(`<\d+ \d+>`).FindIndex(text) // a checksum may have such a byte
	if first == nil {
		t.Fatal("the segment has no entry")
	}
	at := first[0]
	if _, err := fmt.Sscanf(string(text[at:]), "<%d %d>", &w, &n); err != nil {
		t.Fatal(err)
	}
	text[at-entryBytes] ^= 0x40 // its length
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(after, "spool"), Settings{})
	var next [writers]int
	for _, e := range take(t, s, true) {
		var of, is int
		if _, err := fmt.Sscanf(e, "<%d %d>", &of, &is); err != nil {
			t.Fatal(err)
		}
		if next[of] == n && of == w {
			next[of]++ // it is the wrong one
		}
		if next[of] != is {
			t.Fatalf("%.10q comes, and %d was to be", e, next[of])
		}
		next[of]++
	}
	if got := s.Stats(); got.Corrupt != 1 || got.Done != writers*each-1 || next != [writers]int{each, each, each, each, each, each, each, each} {
		t.Errorf("%+v, up to %v", got, next)
	}
}

// Bytes that become wrong while the spool is in use cost what they are in, too, once each.
func TestWrongWhileInUse(t *testing.T) {
	dir := t.TempDir()
	var told []int64
	s := open(t, dir, Settings{Corrupt: func(d Damage) { told = append(told, d.Bytes) }})
	add(t, s, "one", "two", "three", "four", "five", "six")
	path := s.segmentPath(s.last)
	spoil := func(word string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("?"), int64(bytes.Index(text, []byte(word)))); err != nil {
			t.Fatal(err)
		}
	}
	if e, ok, err := s.TryNext(); string(e.Data) != "one" || !ok || err != nil {
		t.Fatal(e, ok, err)
	}
	spoil("three")
	spoil("five")
	want(t, take(t, s, false), "two", "four", "six")
	if got := s.Stats(); got.Entries != 4 || got.Corrupt != 2 {
		t.Errorf("%+v", got)
	}
	s.Rewind()
	add(t, s, "seven")
	want(t, take(t, s, false), "one", "two", "four", "six", "seven")
	spoil("two") // and so do those that have come and are not done
	spoil("seven")
	s.Rewind()
	want(t, take(t, s, true), "one", "four", "six")
	add(t, s, "eight")
	spoil("one") // nobody needs it any more
	want(t, take(t, s, true), "eight")
	sizes := []int64{entryBytes + 5, entryBytes + 4, entryBytes + 3 + entryBytes + 5, entryBytes + 5}
	if got := s.Stats(); got.Entries != 0 || got.Corrupt != 4 || !slices.Equal(told, sizes) {
		t.Errorf("%+v, told %v", got, told)
	}
	s.Close()
	told = nil
	s = open(t, dir, Settings{})
	if got := s.Stats(); got.Entries != 0 || got.Corrupt != 0 {
		t.Errorf("when it is opened again: %+v", got)
	}
}

// An event may have any bytes, those of an entry, too. They are not taken for one when what is
// around them is torn or wrong: the segment's number is not to be guessed.
func TestAnEventIsNoEntry(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Settings{})
	event := []byte("event")
	for n := range uint64(2000) {
		event = appendEntry(event, n, time.Unix(1, 0), []byte("forged"))
	}
	add(t, s, string(event), "behind it")
	n := s.last
	s.Close()
	path := filepath.Join(dir, segmentName(n))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[headerBytes]++ // the length of the first entry
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, take(t, open(t, dir, Settings{}), false), "behind it")
	known := appendEntry(nil, n, time.Unix(1, 0), []byte("forged"))
	w := walker{text: append([]byte("torn"), known...), n: n}
	if data, _, _, _ := w.next(); string(data) != "forged" {
		t.Errorf("with the number %q is found: the search finds nothing anyhow", data)
	}
}

func TestSums(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	text := make([]byte, 17<<20) // its length has four bytes
	for i := range text {
		text[i] = byte(random.Uint32())
	}
	s := newSums(text)
	f := func(from, to int64) {
		t.Helper()
		if n := random.Uint64(); s.of(n, from, to) != checksum(n, text[from:to]) {
			t.Errorf("another checksum for %d to %d", from, to)
		}
	}
	f(0, 0)
	f(0, 1)
	f(0, int64(len(text)))
	f(1, int64(len(text))-1)
	for range 200 {
		from := random.Int64N(1 << 17)
		f(from, from+random.Int64N(1<<uint(random.IntN(20))))
	}
}

// A search takes the same time for each byte, also where each may begin an entry.
func BenchmarkFind(b *testing.B) {
	text := bytes.Repeat([]byte{0, 1}, 1<<19) // a length of 65,537 at every second byte
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w := walker{text: text, n: 1}
		if w.find(0) >= 0 {
			b.Fatal("found")
		}
	}
}

// FuzzDamage changes bytes of a segment, of entries of these sizes, and cuts it.
func FuzzDamage(f *testing.F) {
	f.Add([]byte{3, 200, 0, 1}, []byte{0, 20, 1, 0, 90, 255}, uint16(0), false)
	f.Add([]byte{9, 9, 9}, []byte{0, 30, 128}, uint16(7), true)
	f.Fuzz(func(t *testing.T, sizes, changes []byte, cut uint16, sealed bool) {
		var entries []string
		for i, size := range sizes[:min(len(sizes), 50)] {
			entries = append(entries, strings.Repeat(string(rune('a'+i%26)), int(size)+1))
		}
		s := newSpecimen(sealed, entries...)
		text := slices.Clone(s.text)
		for ; len(changes) >= 3; changes = changes[3:] {
			at := headerBytes + int(changes[0])<<8 + int(changes[1])
			if at < len(text) {
				text[at] ^= changes[2]
			}
		}
		s.check(t, text[:max(headerBytes, len(text)-int(cut))])
	})
}
