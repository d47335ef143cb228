package kafka

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Compressor compresses the batches of producers with a codec that can be replaced while they
// run, and counts its cost and gain.
//
// A batch is compressed once, by the codec that is current then. One that is retried keeps its
// bytes, so a change loses, doubles or reorders no in-flight batch.
//
// The client library's own codecs do the work. All methods may be called concurrently.
type Compressor struct {
	current atomic.Pointer[choice]
	// by Kafka's number of the codec, which is its index in Codecs
	counters [5]counters
}

// choice is a codec at a level, with the library's pool of encoders for it. It is immutable: a
// goroutine that loaded it may use it after the next Set.
type choice struct {
	codec Codec
	level int
	with  kgo.Compressor // nil for None
}

type counters struct{ batches, enlarged, bytesIn, bytesOut, nanos atomic.Uint64 }

// CodecStats are the counters of one codec. They are read one by one: while batches are
// compressed they may differ by those.
type CodecStats struct {
	Codec Codec
	// Batches counts the batches that were given to the codec.
	Batches uint64
	// Enlarged counts those of them that it made no smaller. They are sent uncompressed, and
	// BytesOut has their size as it was.
	Enlarged uint64
	// BytesIn is the size of their records before, BytesOut after compression.
	BytesIn, BytesOut uint64
	// Time is the time spent in the codec. It is wall time around a call that only computes: CPU
	// time as long as there are enough cores, and more when the machine is overloaded.
	Time time.Duration
}

// NewCompressor returns a compressor that starts with the codec at the level;
// 0 is the codec's default. It refuses what [Compressor.Set] refuses.
func NewCompressor(codec Codec, level int) (*Compressor, error) {
	c := new(Compressor)
	if err := c.Set(codec, level); err != nil {
		return nil, err
	}
	return c, nil
}

// Set makes codec at level the current one for all batches from now on. It fails on an unknown
// codec and on a level that the codec does not have, and then changes nothing. Setting the
// current codec keeps its warm encoders.
func (c *Compressor) Set(codec Codec, level int) error {
	codec = orElse(codec, None)
	chosen, err := compression(codec, level)
	if err != nil {
		return err
	}
	if was := c.current.Load(); was != nil && was.codec == codec && was.level == level {
		return nil
	}
	with, err := kgo.DefaultCompressor(chosen)
	if err != nil {
		return fmt.Errorf("cannot set compression %s at level %d: %w", codec, level, err)
	}
	c.current.Store(&choice{codec, level, with})
	return nil
}

// Current returns the codec and level that batches are compressed with now.
func (c *Compressor) Current() (codec Codec, level int) {
	now := c.current.Load()
	return now.codec, now.level
}

// Compresses reports whether the current codec is one that computes, and not none.
func (c *Compressor) Compresses() bool { return c.current.Load().with != nil }

// Stats returns the counters of each codec, in the order of [Codecs].
func (c *Compressor) Stats() []CodecStats {
	all := make([]CodecStats, len(Codecs))
	for i, codec := range Codecs {
		n := &c.counters[i]
		all[i] = CodecStats{
			Codec:    codec,
			Batches:  n.batches.Load(),
			Enlarged: n.enlarged.Load(),
			BytesIn:  n.bytesIn.Load(),
			BytesOut: n.bytesOut.Load(),
			Time:     time.Duration(n.nanos.Load()),
		}
	}
	return all
}

// Compress implements [kgo.Compressor]: src is borrowed, and the result is
// dst's bytes or src itself.
func (c *Compressor) Compress(dst *bytes.Buffer, src []byte, flags ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	with := c.current.Load().with
	if with == nil {
		c.counters[kgo.CodecNone].add(src, src, 0)
		return src, kgo.CodecNone
	}
	began := time.Now()
	out, used := with.Compress(dst, src, flags...)
	if used == kgo.CodecError {
		return out, used // the caller sends the batch as it is
	}
	n := &c.counters[used]
	if used != kgo.CodecNone && len(out) >= len(src) {
		// No batch is sent larger than it was.
		n.enlarged.Add(1)
		out, used = src, kgo.CodecNone
	}
	n.add(src, out, time.Since(began))
	return out, used
}

func (n *counters) add(src, out []byte, took time.Duration) {
	n.batches.Add(1)
	n.bytesIn.Add(uint64(len(src)))
	n.bytesOut.Add(uint64(len(out)))
	n.nanos.Add(uint64(took))
}

// compression returns the library's value of a codec at a level. Kafka's levels are mapped to
// those of the Go implementations:
//
//   - gzip 1 to 9: the same;
//   - lz4 1 to 17: 1 to 9 the same, above as 9;
//   - zstd -131072 to 22: four speeds, below 3 fastest, below 6 default, below 10 better, else
//     best.
//
// 0 is the codec's default (for lz4 the fast mode), as is gzip's -1.
func compression(codec Codec, level int) (c kgo.CompressionCodec, err error) {
	var low, high int
	switch codec {
	case None:
		return kgo.NoCompression(), nil
	case Snappy: // has no levels
		return kgo.SnappyCompression(), nil
	case Gzip:
		c, low, high = kgo.GzipCompression(), -1, 9
		if level > 0 {
			c = c.WithLevel(level)
		}
	case LZ4:
		c, low, high = kgo.Lz4Compression(), 0, 17
		if level > 0 {
			c = c.WithLevel(int(lz4.Level1) << (min(level, 9) - 1))
		}
	case Zstd:
		c, low, high = kgo.ZstdCompression(), -131072, 22
		if level != 0 {
			c = c.WithLevel(int(zstd.EncoderLevelFromZstd(level)))
		}
	default:
		return c, fmt.Errorf("cannot use unknown compression %q, not one of %v", string(codec), Codecs)
	}
	if level < low || level > high {
		return c, fmt.Errorf("cannot use compression level %d: %s has no level %d, only %d to %d", level, codec, level, low, high)
	}
	return c, nil
}
