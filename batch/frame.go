package batch

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The header of a record batch, message format 2 (KIP-98), by the offset of each field.
const (
	atLength          = 8  // int32: bytes behind this field
	atLeaderEpoch     = 12 // int32: the broker's
	atMagic           = 16 // int8: 2
	atChecksum        = 17 // uint32: CRC-32C of everything behind it
	atAttributes      = 21 // int16: the codec in the low three bits
	atLastOffsetDelta = 23 // int32
	atBaseTimestamp   = 27 // int64: milliseconds
	atMaxTimestamp    = 35 // int64
	atProducerID      = 43 // int64: -1 for none
	atProducerEpoch   = 51 // int16
	atSequence        = 53 // int32: of the first record, -1 for none
	atRecords         = 57 // int32
	headerBytes       = 61
)

const magic2 = 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the part of a batch's header that varies.
type header struct {
	codec         kgo.CompressionCodecType
	records       int32
	baseTimestamp int64
	maxTimestamp  int64
	producer      producerEpoch
	sequence      int32
}

// producerEpoch is a producer id with an epoch of it; the id is -1 without idempotence.
type producerEpoch struct {
	id    int64
	epoch int16
}

// put writes the header of a batch of payload, its records as they are sent, with the checksum
// over both.
func (h *header) put(dst *[headerBytes]byte, payload []byte) {
	be := binary.BigEndian
	b := dst[:]
	be.PutUint64(b, 0) // the broker assigns offsets
	be.PutUint32(b[atLength:], uint32(headerBytes-atLeaderEpoch+len(payload)))
	be.PutUint32(b[atLeaderEpoch:], ^uint32(0))
	b[atMagic] = magic2
	be.PutUint16(b[atAttributes:], uint16(h.codec))
	be.PutUint32(b[atLastOffsetDelta:], uint32(h.records-1))
	be.PutUint64(b[atBaseTimestamp:], uint64(h.baseTimestamp))
	be.PutUint64(b[atMaxTimestamp:], uint64(h.maxTimestamp))
	be.PutUint64(b[atProducerID:], uint64(h.producer.id))
	be.PutUint16(b[atProducerEpoch:], uint16(h.producer.epoch))
	be.PutUint32(b[atSequence:], uint32(h.sequence))
	be.PutUint32(b[atRecords:], uint32(h.records))
	sum := crc32.Checksum(b[atAttributes:], castagnoli)
	be.PutUint32(b[atChecksum:], crc32.Update(sum, castagnoli, payload))
}

// zigzagLen is the length of n as a zigzag varint.
func zigzagLen(n int64) int { return uvarintLen(uint64(n<<1 ^ n>>63)) }

func uvarintLen(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

// fieldLen is the length of a nullable field with the length before it.
func fieldLen(f []byte) int {
	if f == nil {
		return 1
	}
	return zigzagLen(int64(len(f))) + len(f)
}

// bodyLen is the length of r as a record behind its own length.
func bodyLen(r *kgo.Record, timeDelta int64, offsetDelta int32) int {
	n := 1 + zigzagLen(timeDelta) + zigzagLen(int64(offsetDelta)) + fieldLen(r.Key) + fieldLen(r.Value) + zigzagLen(int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		n += zigzagLen(int64(len(h.Key))) + len(h.Key) + fieldLen(h.Value)
	}
	return n
}

// appendRecord appends r as it stands in a batch; body is its [bodyLen]. It borrows r.
func appendRecord(dst []byte, r *kgo.Record, body int, timeDelta int64, offsetDelta int32) []byte {
	dst = binary.AppendVarint(dst, int64(body))
	dst = append(dst, 0) // attributes, of which there are none
	dst = binary.AppendVarint(dst, timeDelta)
	dst = binary.AppendVarint(dst, int64(offsetDelta))
	dst = appendField(dst, r.Key)
	dst = appendField(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		dst = append(binary.AppendVarint(dst, int64(len(h.Key))), h.Key...)
		dst = appendField(dst, h.Value)
	}
	return dst
}

// HeaderBytes is the size of the header of a record batch, which is not compressed.
const HeaderBytes = headerBytes

// AppendRecord appends r as it stands in a batch as record number offsetDelta, timeDelta
// milliseconds after the first. It is for measuring what batches take.
func AppendRecord(dst []byte, r *kgo.Record, timeDelta int64, offsetDelta int) []byte {
	return appendRecord(dst, r, bodyLen(r, timeDelta, int32(offsetDelta)), timeDelta, int32(offsetDelta))
}

func appendField(dst, f []byte) []byte {
	if f == nil {
		return append(dst, 1) // the varint of -1
	}
	return append(binary.AppendVarint(dst, int64(len(f))), f...)
}

// framed is a record in a batch, as a view.
type framed struct {
	timeDelta int64
	rest      []byte // everything behind the offset delta
	size      int    // of the whole, its length included
}

var errNotRecord = errors.New("BUG: a batch holds what is no record")

// nextFramed returns the record that frames begin with. Frames are this package's own, so what
// is wrong with them is a defect.
func nextFramed(frames []byte) (framed, error) {
	body, n := binary.Varint(frames)
	if n <= 0 || body < 1 || int64(len(frames)-n) < body {
		return framed{}, errNotRecord
	}
	r := frames[n : n+int(body)]
	delta, t := binary.Varint(r[1:])
	_, o := binary.Varint(r[1+max(t, 0):])
	if t <= 0 || o <= 0 {
		return framed{}, errNotRecord
	}
	return framed{timeDelta: delta, rest: r[1+t+o:], size: n + int(body)}, nil
}

// appendFramed appends a record of another batch, with the deltas of this one.
func appendFramed(dst []byte, f framed, timeDelta int64, offsetDelta int32) []byte {
	dst = binary.AppendVarint(dst, int64(1+zigzagLen(timeDelta)+zigzagLen(int64(offsetDelta))+len(f.rest)))
	dst = append(dst, 0)
	dst = binary.AppendVarint(dst, timeDelta)
	dst = binary.AppendVarint(dst, int64(offsetDelta))
	return append(dst, f.rest...)
}
