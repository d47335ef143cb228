package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newCompressor(t *testing.T, codec Codec, level int) *Compressor {
	t.Helper()
	c, err := NewCompressor(codec, level)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compressible returns text that every level of every codec compresses differently.
func compressible(n int) []byte {
	text := make([]byte, 0, n+64)
	for i := 0; len(text) < n; i++ {
		text = strconv.AppendInt(append(text, "field "...), int64(i*i*7919%100003), 36)
		text = append(text, `,"value":`...)
	}
	return text[:n]
}

// TestCompressionLevels checks that levels reach the codecs: the best of each
// makes a smaller batch than the fastest. A level that the codec does not know
// would silently be its default.
func TestCompressionLevels(t *testing.T) {
	text := compressible(120_000)
	compressed := func(codec Codec, level int) int {
		out, _ := newCompressor(t, codec, level).Compress(new(bytes.Buffer), text)
		return len(out)
	}
	f := func(codec Codec, fast, best int) {
		t.Helper()
		if quick, small := compressed(codec, fast), compressed(codec, best); small >= quick {
			t.Errorf("%s: %d bytes at level %d, %d at level %d", codec, quick, fast, small, best)
		}
	}
	f(Gzip, 1, 9)
	f(LZ4, 0, 9)
	f(LZ4, 1, 17)
	f(Zstd, 1, 3)
	f(Zstd, 3, 6)
	f(Zstd, 6, 22)
}

// TestCompressorCounts gives each codec two batches, and one that cannot be
// made smaller.
func TestCompressorCounts(t *testing.T) {
	text, noise := compressible(10_000), make([]byte, 500)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise)
	c := newCompressor(t, "", 0)
	decompress := kgo.DefaultDecompressor()
	out := make([]uint64, len(Codecs)) // bytes that must be counted
	for number, codec := range Codecs {
		if err := c.Set(codec, 0); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			small, used := c.Compress(new(bytes.Buffer), text)
			if int(used) != number {
				t.Fatalf("%s: the batch is marked %d", codec, used)
			}
			back, err := decompress.Decompress(small, used)
			if err != nil || !bytes.Equal(back, text) {
				t.Fatalf("%s: does not come back: %v", codec, err)
			}
			out[number] += uint64(len(small))
		}
		same, used := c.Compress(new(bytes.Buffer), noise)
		if used != kgo.CodecNone || &same[0] != &noise[0] {
			t.Errorf("%s: noise comes out as codec %d, %d bytes", codec, used, len(same))
		}
		out[number] += uint64(len(noise))
	}
	for i, s := range c.Stats() {
		enlarged := uint64(1)
		if s.Codec == None {
			enlarged = 0
		}
		if s.Codec != Codecs[i] || s.Batches != 3 || s.Enlarged != enlarged || s.BytesIn != 20_500 || s.BytesOut != out[i] {
			t.Errorf("%s: got %+v, want 3 batches, %d enlarged, 20500 bytes in, %d out", Codecs[i], s, enlarged, out[i])
		}
		if (s.Time > 0) == (s.Codec == None) || s.Time > time.Minute {
			t.Errorf("%s took %v", s.Codec, s.Time)
		}
	}
}

func TestCompressorSet(t *testing.T) {
	c := newCompressor(t, Gzip, 9)
	is := func(codec Codec, level int) {
		t.Helper()
		if gotCodec, gotLevel := c.Current(); gotCodec != codec || gotLevel != level {
			t.Errorf("current is %s at %d, want %s at %d", gotCodec, gotLevel, codec, level)
		}
	}
	is(Gzip, 9)
	warm := c.current.Load()
	if err := c.Set(Gzip, 9); err != nil || c.current.Load() != warm {
		t.Errorf("setting what is current makes new encoders (%v)", err)
	}
	for _, wrong := range []struct {
		codec Codec
		level int
		want  string
	}{
		{"brotli", 0, `unknown compression "brotli"`},
		{Gzip, 10, "gzip has no level 10"},
		{LZ4, -1, "lz4 has no level -1"},
		{Zstd, 23, "zstd has no level 23"},
	} {
		if err := c.Set(wrong.codec, wrong.level); err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s at %d: got %v, want %q", wrong.codec, wrong.level, err, wrong.want)
		}
		is(Gzip, 9) // a refusal changes nothing
	}
	if err := c.Set("", 0); err != nil {
		t.Fatal(err)
	}
	is(None, 0)
}

// TestCompressorHonoursOldBrokers checks that the library's flags reach the codec.
func TestCompressorHonoursOldBrokers(t *testing.T) {
	c := newCompressor(t, Zstd, 0)
	text := compressible(1000)
	out, used := c.Compress(new(bytes.Buffer), text, kgo.CompressDisableZstd)
	if used != kgo.CodecNone || !bytes.Equal(out, text) {
		t.Errorf("a broker without zstd gets codec %d", used)
	}
	if s := c.Stats(); s[kgo.CodecNone].Batches != 1 || s[kgo.CodecZstd].Batches != 0 {
		t.Errorf("counted as %+v", s)
	}
}

// TestCompressorChangesUnderLoad switches through all codecs while one client produces from
// several goroutines, and checks by reading back that the records of each are complete, once, in
// order, and that the batches did change.
func TestCompressorChangesUnderLoad(t *testing.T) {
	_, settings := newCluster(t, kfake.SeedTopics(4, "c"))
	ctx := testContext(t)
	c := newCompressor(t, None, 0)
	producer := newProducer(t, settings, c)

	const partitions, each = 4, 3000
	var wg sync.WaitGroup
	for partition := range partitions {
		wg.Go(func() {
			for i := range each {
				value := fmt.Appendf(nil, `{"n":%d,"text":"to be compressed, to be compressed, to be compressed"}`, i)
				producer.Produce(ctx, &kgo.Record{Topic: "c", Partition: int32(partition), Value: value}, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("record %d of partition %d: %v", i, partition, err)
					}
				})
				if i%50 == 0 { // small batches, so that there are many
					if err := errors.Join(producer.Flush(ctx), c.Set(Codecs[(i/50+partition)%len(Codecs)], 0)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := producer.Flush(ctx); err != nil {
		t.Fatal(err)
	}

	consumer := newConsumer(t, settings, "c")
	var next [partitions]int
	seen := map[uint8]int{}
	for total := 0; total < partitions*each; {
		fetches := consumer.PollRecords(ctx, 1000)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if want := fmt.Sprintf(`{"n":%d,`, next[r.Partition]); !bytes.HasPrefix(r.Value, []byte(want)) {
				t.Fatalf("partition %d, offset %d: %s, want %s", r.Partition, r.Offset, r.Value, want)
			}
			next[r.Partition]++
			seen[r.Attrs.CompressionType()]++
			total++
			r.Recycle()
		})
	}
	if len(seen) != len(Codecs) {
		t.Errorf("only the codecs %v were used", seen)
	}
}
