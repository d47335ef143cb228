package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// appender is set for the process that TestKilledAtAnyMoment kills.
const appender = "MILLRACE_SPOOL_APPENDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(appender); dir != "" {
		appendForever(dir)
	}
	testkit.Main(m)
}

func open(t *testing.T, dir string, s Settings) *Spool {
	t.Helper()
	if s.MaxBytes == 0 {
		s.MaxBytes = 64 << 20
	}
	sp, err := Open(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	return sp
}

// take returns all entries that there are, and says that they are done if asked to.
func take(t *testing.T, s *Spool, done bool) (all []string) {
	t.Helper()
	for {
		e, ok, err := s.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, string(e.Data))
		if done {
			if err := s.Done(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func add(t *testing.T, s *Spool, entries ...string) {
	t.Helper()
	for _, e := range entries {
		if err := s.Append([]byte(e)); err != nil {
			t.Fatal(err)
		}
	}
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %.300q, want %.300q", got, want)
	}
}

func TestEntriesOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Settings{SegmentBytes: 60})
	add(t, s, "a", "b", "c", "d", "e")
	if _, ok, _ := s.TryNext(); !ok {
		t.Fatal("there is no entry")
	}
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	want(t, take(t, s, false), "b", "c", "d", "e")
	s.Rewind()
	want(t, take(t, s, false), "b", "c", "d", "e")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Settings{SegmentBytes: 60})
	if got := s.Stats(); got.Entries != 4 || got.Oldest.IsZero() || s.Empty() {
		t.Errorf("%+v", got)
	}
	add(t, s, "f")
	want(t, take(t, s, true), "b", "c", "d", "e", "f")
	if got := s.Stats(); got.Entries != 0 || !got.Oldest.IsZero() || !s.Empty() || got.Corrupt != 0 {
		t.Errorf("%+v", got)
	}
	s.Close()
	s = open(t, dir, Settings{})
	want(t, take(t, s, true))
	if files, _ := segmentsIn(dir); len(files) != 0 {
		t.Errorf("the segments %v are left", files)
	}
	add(t, s, "g")
	want(t, take(t, s, true), "g")
}

// A reader waits for entries, and all goroutines' entries come once, each goroutine's in order.
func TestAppendsShareAGroup(t *testing.T) {
	const writers, each = 16, 200
	s := open(t, t.TempDir(), Settings{SegmentBytes: 10_000})
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range each {
				if err := s.Append(fmt.Appendf(nil, "%d %d %s", w, n, strings.Repeat("x", n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [writers]int
	for range writers * each {
		e, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var w, n int
		if _, err := fmt.Sscan(string(e.Data), &w, &n); err != nil || next[w] != n {
			t.Fatalf("%q comes as entry %d: %v", e.Data, next[w], err)
		}
		next[w]++
		if n%7 == 0 {
			if err := s.Done(); err != nil {
				t.Fatal(err)
			}
		}
	}
	all.Wait()
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.Entries != 0 || got.Appended != writers*each || got.Done != writers*each || len(s.segments) > 1 {
		t.Errorf("%+v, %d segments", got, len(s.segments))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A segment that a process left in the middle of a write has its whole entries, wherever cut.
func TestTornTail(t *testing.T) {
	text := appendHeader(nil, 1)
	var ends []int
	for _, e := range []string{"one", "two", "three"} {
		text = appendEntry(text, 1, time.Now(), []byte(e))
		ends = append(ends, len(text))
	}
	all := []string{"one", "two", "three"}
	for cut := range len(text) + 1 {
		whole := 0
		for whole < 3 && ends[whole] <= cut {
			whole++
		}
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x05\x00\x00\x00garbage garbage", "\xff\xff\xff\xffgarbage"} {
			if cut < headerBytes && tail != "" || cut > ends[2]-1 && tail == "" && cut < ends[2] {
				continue
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, segmentName(1)), append(text[:cut:cut], tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, Settings{MaxBytes: 1 << 20})
			if err != nil {
				t.Fatalf("cut at %d with %q: %v", cut, tail, err)
			}
			add(t, s, "new")
			want(t, take(t, s, true), append(all[:whole:whole], "new")...)
			if got := s.Stats(); got.Corrupt != 0 {
				t.Errorf("cut at %d with %q: %+v", cut, tail, got)
			}
			s.Close()
		}
	}
}

// A segment of zeros, as a machine leaves it that dies before the first sync, has no entries. One
// with something behind them is kept, and told. The others are read.
func TestSegmentOfZeros(t *testing.T) {
	for behind, corrupt := range map[string]uint64{"": 0, strings.Repeat("\x00", 4096): 0, "something": 1} {
		dir := t.TempDir()
		s := open(t, dir, Settings{})
		add(t, s, "before")
		s.Close()
		path := filepath.Join(dir, segmentName(1<<40))
		if err := os.WriteFile(path, append(make([]byte, headerBytes), behind...), 0o600); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, Settings{})
		add(t, s, "after")
		want(t, take(t, s, true), "before", "after")
		if got := s.Stats(); got.Corrupt != corrupt {
			t.Errorf("with %.20q behind: %+v", behind, got)
		}
		if kept, _ := os.ReadFile(path + ".0.corrupt"); len(kept) > 0 != (corrupt > 0) {
			t.Errorf("with %.20q behind %d bytes are kept", behind, len(kept))
		}
		s.Close()
	}
}

func TestBounds(t *testing.T) {
	s := open(t, t.TempDir(), Settings{MaxBytes: 4000})
	big := strings.Repeat("x", 300)
	var n int
	for ; n < 100; n++ {
		if err := s.Append([]byte(big)); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if got := s.Stats(); n < 10 || got.Bytes > 4000 || got.Refused != 1 {
		t.Errorf("%d entries, %+v", n, got)
	}
	if got := take(t, s, true); len(got) != n {
		t.Errorf("%d of %d entries", len(got), n)
	}
	add(t, s, big, big, big)
	for _, bad := range [][]byte{nil, make([]byte, MaxEntry+1)} {
		if err := s.Append(bad); err == nil || errors.Is(err, ErrFull) {
			t.Error(err)
		}
	}
	old := open(t, t.TempDir(), Settings{MaxAge: time.Nanosecond})
	add(t, old, "a")
	if err := old.Append([]byte("b")); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	want(t, take(t, old, true), "a")
	add(t, old, "b")
}

// The oldest entry is the one that is read next, however old the one before was.
func TestOldest(t *testing.T) {
	s := open(t, t.TempDir(), Settings{})
	add(t, s, "a")
	between := time.Now()
	add(t, s, "b")
	for range 2 {
		if _, ok, err := s.TryNext(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if got := s.Stats(); got.Oldest.After(between) {
			t.Errorf("the oldest is of %v", got.Oldest)
		}
	}
	s.Rewind()
	if _, _, err := s.TryNext(); err != nil {
		t.Fatal(err)
	}
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	if e, ok, err := s.TryNext(); !ok || err != nil || !s.Stats().Oldest.Equal(e.Came) || e.Came.Before(between) {
		t.Errorf("the oldest is of %v, and came at %v", s.Stats().Oldest, e.Came)
	}
}

func TestOneProcessOnly(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Settings{})
	if _, err := Open(dir, Settings{MaxBytes: 1 << 20}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
	s.Close()
	if err := s.Append([]byte("a")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	open(t, dir, Settings{})
}

// testdata/version-1 is a spool that a program with version 1 of the format has left: six entries
// in segments of 60 bytes, of which the first is done. Every later program reads it. The folder
// never changes: a new version gets one of its own beside it.
func TestVersion1IsRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "version-1"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Settings{})
	if got := s.Stats(); got.Entries != 5 || got.Corrupt != 0 || got.Oldest.Year() != 2026 {
		t.Errorf("%+v", got)
	}
	add(t, s, "new")
	want(t, take(t, s, true), "over", "by", "nobody", "yet", "\x00\xff", "new")
}

func TestOtherFormats(t *testing.T) {
	f := func(header, want string) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), []byte(header), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Settings{MaxBytes: 1 << 20}); err == nil || !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
	}
	f(magic+"\x02\x01\x00\x00\x00\x00\x00\x00\x00", "has version 2 of the format; this program reads 1 to 1")
	f(magic+"\x00\x01\x00\x00\x00\x00\x00\x00\x00", "has version 0 of the format")
}

// Entries of a disk that is full fail, those that succeeded are there, and when there is room again
// the spool goes on.
func TestFullDisk(t *testing.T) {
	dir := testkit.SmallDisk(t, 256<<10)
	s := open(t, filepath.Join(dir, "spool"), Settings{SegmentBytes: 64 << 10})
	entry := func(n int) string { return strconv.Itoa(n) + strings.Repeat(" ", 5000) }
	var good []string
	failed := 0
	for n := range 100 {
		if err := s.Append([]byte(entry(n))); err == nil {
			good = append(good, entry(n))
		} else if failed++; !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if len(good) < 20 || failed < 40 {
		t.Fatalf("%d entries were taken, %d refused", len(good), failed)
	}
	half := len(good) / 2
	for _, e := range good[:half] {
		got, err := s.Next(t.Context())
		if err != nil || string(got.Data) != e {
			t.Fatalf("%.5q, %v", got.Data, err)
		}
		if err := s.Done(); err != nil {
			t.Fatal(err)
		}
	}
	add(t, s, entry(1000))
	s.Close()
	s = open(t, filepath.Join(dir, "spool"), Settings{})
	want(t, take(t, s, true), append(good[half:], entry(1000))...)
	if got := s.Stats(); got.Corrupt != 0 {
		t.Errorf("%+v", got)
	}
}

// appendForever appends numbers, and prints each that is on the disk.
func appendForever(dir string) {
	s, err := Open(dir, Settings{MaxBytes: 1 << 30, SegmentBytes: 20_000})
	if err != nil {
		panic(err)
	}
	for w := range 4 {
		go func() {
			for n := 0; ; n++ {
				line := fmt.Sprintf("%d %d", w, n)
				if err := s.Append([]byte(line + strings.Repeat(".", n%900))); err != nil {
					panic(err)
				}
				_, _ = os.Stdout.WriteString(line + "\n") // one write: whole, or not at all
			}
		}()
	}
	select {}
}

// Each entry for which Append has returned outlives the death of the process, in order.
func TestKilledAtAnyMoment(t *testing.T) {
	for round := range 5 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), appender+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acked := [4]int{-1, -1, -1, -1}
		lines := bufio.NewScanner(out)
		for total := 0; lines.Scan(); total++ {
			var w, n int
			if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
				t.Fatal(err)
			}
			acked[w] = n
			if total == 100+171*round {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		s := open(t, dir, Settings{})
		there := [4]int{-1, -1, -1, -1}
		for _, e := range take(t, s, false) {
			var w, n int
			if _, err := fmt.Sscan(strings.TrimRight(e, "."), &w, &n); err != nil || n != there[w]+1 {
				t.Fatalf("%q comes after %d: %v", e, there[w], err)
			}
			there[w] = n
		}
		for w := range acked {
			if there[w] < acked[w] || acked[w] < 0 {
				t.Errorf("round %d: of writer %d %d were acknowledged, %d are there", round, w, acked[w]+1, there[w]+1)
			}
		}
		s.Close()
	}
}

func FuzzSegment(f *testing.F) {
	text := appendEntry(appendHeader(nil, 1), 1, time.Unix(1, 0), []byte("one"))
	f.Add(text)
	f.Add(appendSeal(text, 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Settings{MaxBytes: 1 << 20})
		if err != nil {
			return
		}
		defer s.Close()
		add(t, s, "new")
		all := take(t, s, true)
		if all[len(all)-1] != "new" || !s.Empty() {
			t.Fatalf("%q", all)
		}
	})
}

// A spool that is closed gives no entries, though it has some.
func TestNextOfAClosedSpool(t *testing.T) {
	s := open(t, t.TempDir(), Settings{})
	add(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("%q, %v", e.Data, err)
	}
	if s.cursor.file != nil {
		t.Error("a file is open")
	}
}
