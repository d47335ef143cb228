package tune

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/kafka"
	"millrace/internal/lab"
)

const (
	// rounds is how often everything is measured; the fastest counts, because a disturbance can
	// only add time.
	rounds = 3
	// minPass is how long one measurement lasts at least, in CPU time.
	minPass = 15 * time.Millisecond
)

// trial is one candidate on batches of one size.
type trial struct {
	candidate
	compressor *kafka.Compressor
	sent       int // bytes with headers, as sent to the broker
	enlarged   int // batches that stay uncompressed

	compress, decompress time.Duration // for all batches once
}

// laboratory measures trials on the batches of one size. It belongs to one goroutine, which has
// locked its thread.
type laboratory struct {
	batches []batch
	raw     int // bytes of the batches' records
	records int

	compressed [][]byte
	codecs     []kgo.CompressionCodecType
	room       bytes.Buffer
	unpack     kgo.Decompressor
	unpacked   *onePlace
}

func newLaboratory(batches []batch) *laboratory {
	l := &laboratory{batches: batches, unpacked: new(onePlace)}
	for _, b := range batches {
		l.raw += len(b.bytes)
		l.records += b.records
	}
	l.compressed = make([][]byte, len(batches))
	l.codecs = make([]kgo.CompressionCodecType, len(batches))
	l.unpack = kgo.DefaultDecompressor(l.unpacked)
	return l
}

// measure compresses all batches with every candidate, in rounds, so that a
// disturbance of the machine does not hit one candidate alone.
func (l *laboratory) measure(ctx context.Context, done func()) ([]*trial, error) {
	trials := make([]*trial, len(candidates))
	for i, c := range candidates {
		compressor, err := kafka.NewCompressor(c.codec, c.effort)
		if err != nil {
			return nil, err
		}
		trials[i] = &trial{candidate: c, compressor: compressor, compress: math.MaxInt64, decompress: math.MaxInt64}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for round := range rounds {
		for _, t := range trials {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("cannot finish the measurement: %w", err)
			}
			if round == 0 {
				if err := l.check(t); err != nil {
					return nil, err
				}
			}
			if t.codec == kafka.None {
				t.compress, t.decompress = 0, 0
			} else {
				l.time(t)
			}
			done()
		}
	}
	return trials, nil
}

// check compresses and decompresses once, checks that the records are restored, and takes the
// sizes. It also makes the codec's encoders, which takes time.
func (l *laboratory) check(t *trial) error {
	l.pack(t, true)
	for i, b := range l.batches {
		out, err := l.unpack.Decompress(l.compressed[i], l.codecs[i])
		if err != nil || !bytes.Equal(out, b.bytes) {
			return fmt.Errorf("cannot trust %s: a batch of %d bytes did not come back (%v)", t.name(), len(b.bytes), err)
		}
		if l.codecs[i] != kgo.CodecNone { // else it is the batch itself
			l.unpacked.PutDecompressBytes(out)
		}
		t.sent += batchHeader + len(l.compressed[i])
		if t.codec != kafka.None && l.codecs[i] == kgo.CodecNone {
			t.enlarged++
		}
	}
	return nil
}

// time measures both ways once, and keeps the times that are shorter than
// those before.
func (l *laboratory) time(t *trial) {
	l.pack(t, true) // they held another candidate's
	t.compress = min(t.compress, pass(func() { l.pack(t, false) }))
	t.decompress = min(t.decompress, pass(func() {
		for i, c := range l.compressed {
			if l.codecs[i] == kgo.CodecNone {
				continue
			}
			out, _ := l.unpack.Decompress(c, l.codecs[i]) // check has checked the error
			l.unpacked.PutDecompressBytes(out)
		}
	}))
}

// pack compresses all batches, and keeps the results if asked to.
func (l *laboratory) pack(t *trial, keep bool) {
	for i, b := range l.batches {
		l.room.Reset()
		out, codec := t.compressor.Compress(&l.room, b.bytes)
		if keep {
			l.compressed[i] = append(l.compressed[i][:0], out...)
			l.codecs[i] = codec
		}
	}
}

// pass returns the CPU time of one call of f, out of as many as it takes to
// measure it.
func pass(f func()) time.Duration {
	began, calls := lab.ThreadCPU(), 0
	for {
		f()
		calls++
		if took := lab.ThreadCPU() - began; took >= minPass {
			return took / time.Duration(calls)
		}
	}
}

// onePlace lends decompression one slice, as consumers' pools do.
type onePlace struct{ free []byte }

// GetDecompressBytes implements [kgo.PoolDecompressBytes].
func (p *onePlace) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte { return p.free }

// PutDecompressBytes takes the slice back, which may have grown.
func (p *onePlace) PutDecompressBytes(b []byte) { p.free = b[:0] }
