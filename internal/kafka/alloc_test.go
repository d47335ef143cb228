//go:build !race

package kafka

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestPoolsAllocations(t *testing.T) {
	p := newPools(1<<20, 1<<20)
	compressed := make([]byte, 5000)
	if n := testing.AllocsPerRun(100, func() {
		b, rs := p.GetDecompressBytes(compressed, kgo.CodecZstd), p.GetRecords(100)
		p.PutDecompressBytes(b)
		p.PutRecords(rs)
	}); n != 0 {
		t.Errorf("%v allocations to lend and take back", n)
	}
}

// TestCompressorAllocations holds the allocations per batch to those of the library's own
// compressor.
func TestCompressorAllocations(t *testing.T) {
	text := compressible(16 << 10)
	dst := bytes.NewBuffer(make([]byte, 0, 32<<10))
	allocations := func(c kgo.Compressor) float64 {
		return testing.AllocsPerRun(100, func() {
			dst.Reset()
			c.Compress(dst, text)
		})
	}
	for _, codec := range Codecs {
		ours := newCompressor(t, codec, 0)
		theirs := 0.0 // for None the library has no compressor
		if with := ours.current.Load().with; with != nil {
			theirs = allocations(with)
		}
		if n := allocations(ours); n > theirs {
			t.Errorf("%s: %v allocations a batch, the library's own %v", codec, n, theirs)
		}
	}
}
