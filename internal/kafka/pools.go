package kafka

import (
	"sync"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Size classes are powers of four: a slice wastes at most three quarters, and few classes hold
// memory.
const (
	classes      = 6
	minByteClass = 16 << 10 // up to 16 MiB
	minRecClass  = 16       // up to 16,384 records

	// keepBytes and keepRecordBytes bound the idle memory of the pools, for the whole process.
	keepBytes       = 64 << 20
	keepRecordBytes = 32 << 20

	// expansion is an estimate of how far a batch decompresses; text does about this much. Too
	// small an estimate costs an allocation, and the larger slice is then returned to the pool.
	expansion = 4
)

// fetchPools lends the memory of fetched batches to all consumers of the
// process: shared, because thousands of instances with a pool each would hold
// thousands of times the bound.
var fetchPools = newPools(keepBytes, keepRecordBytes)

// pools implements [kgo.PoolDecompressBytes] and [kgo.PoolRecords]. The client owns a slice from
// Get to Put; it returns the slice when the last record of its batch was recycled, and has zeroed
// what it wrote by then.
type pools struct {
	bytes   shelf[byte]
	records shelf[kgo.Record]
}

func newPools(keepBytes, keepRecordBytes int) *pools {
	return &pools{
		bytes:   shelf[byte]{smallest: minByteClass, limit: keepBytes},
		records: shelf[kgo.Record]{smallest: minRecClass, limit: keepRecordBytes / int(unsafe.Sizeof(kgo.Record{}))},
	}
}

// GetDecompressBytes lends room for a batch to decompress into.
func (p *pools) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	return p.bytes.get(min(expansion*len(compressed), minByteClass<<(2*(classes-1))))
}

// PutDecompressBytes takes it back, or the slice that replaced it.
func (p *pools) PutDecompressBytes(b []byte) { p.bytes.put(b) }

// GetRecords lends room for n records.
func (p *pools) GetRecords(n int) []kgo.Record { return p.records.get(n) }

// PutRecords takes it back. Records that the client decoded and then dropped (those before the
// offset asked for) were never recycled: otherwise they would keep their batch alive from inside
// the pool.
func (p *pools) PutRecords(rs []kgo.Record) {
	clear(rs[:cap(rs)])
	p.records.put(rs)
}

// PoolStats are the statistics of a pool of fetch memory.
type PoolStats struct {
	// Name names the contents.
	Name string
	// Gets counts the slices taken from it, Misses those allocated for that.
	Gets, Misses uint64
	// KeptBytes is the idle memory that the pool holds.
	KeptBytes int64
}

// FetchPools returns the state of the pools that all consumers share.
func FetchPools() []PoolStats {
	return []PoolStats{fetchPools.bytes.stats("fetch_bytes"), fetchPools.records.stats("fetch_records")}
}

// EmptyFetchPools drops the idle memory of the pools, for the garbage collector.
func EmptyFetchPools() {
	fetchPools.bytes.empty()
	fetchPools.records.empty()
}

// shelf is a bounded free list by size class. Class i holds slices whose capacity is at least
// smallest<<(2*i). It is a list under a lock rather than a sync.Pool because the bound is exact
// and putting a slice back does not allocate; the lock is taken once to lend and once to return a
// batch's memory, so it is never hot.
type shelf[T any] struct {
	smallest int
	limit    int // elements held in all classes together

	mu   sync.Mutex
	free [classes][][]T
	kept int

	gets, misses uint64
}

func (s *shelf[T]) stats(name string) PoolStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	var one T
	return PoolStats{Name: name, Gets: s.gets, Misses: s.misses, KeptBytes: int64(s.kept) * int64(unsafe.Sizeof(one))}
}

func (s *shelf[T]) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free, s.kept = [classes][][]T{}, 0
}

// get returns an empty slice with room for n elements.
func (s *shelf[T]) get(n int) []T {
	class, room := 0, s.smallest
	for ; room < n; room <<= 2 {
		if class++; class == classes {
			return make([]T, 0, n) // too large to pool
		}
	}
	s.mu.Lock()
	s.gets++
	if last := len(s.free[class]) - 1; last >= 0 {
		b := s.free[class][last]
		s.free[class][last] = nil
		s.free[class] = s.free[class][:last]
		s.kept -= cap(b)
		s.mu.Unlock()
		return b[:0]
	}
	s.misses++
	s.mu.Unlock()
	return make([]T, 0, room)
}

// put pools b in the largest class whose minimum its capacity reaches, unless it is too small or
// too large for any, or the shelf is full.
func (s *shelf[T]) put(b []T) {
	class, room := -1, s.smallest
	for class < classes-1 && cap(b) >= room {
		class++
		room <<= 2
	}
	if class < 0 || class == classes-1 && cap(b) > room/2 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept+cap(b) > s.limit {
		return
	}
	s.kept += cap(b)
	s.free[class] = append(s.free[class], b)
}
