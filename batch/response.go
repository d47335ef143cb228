package batch

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// recordError is what a broker has against one record of a batch. The text is a view.
type recordError struct {
	index int32
	text  []byte
}

// result is the answer to one batch. All slices are views of the response.
type result struct {
	topic       []byte // name, or id
	partition   int32
	code        int16
	base        int64
	records     []recordError
	text        []byte // why, if it says
	leader      int32  // the leader that the broker knows (KIP-951), -1 for none
	leaderEpoch int32
}

// produceResponse implements [kmsg.Response] and [kmsg.ThrottleResponse]. It is read into slices
// that are used again; its texts are views of the bytes that the library read for it.
type produceResponse struct {
	version  int16
	results  []result
	errs     []recordError
	throttle int32
	reader   kbin.Reader
}

func (r *produceResponse) reset() {
	clear(r.results)
	clear(r.errs)
	r.results, r.errs, r.throttle = r.results[:0], r.errs[:0], 0
}

// Key implements [kmsg.Response].
func (*produceResponse) Key() int16 { return produceKey }

// MaxVersion implements [kmsg.Response].
func (*produceResponse) MaxVersion() int16 { return maxProduce }

// SetVersion implements [kmsg.Response].
func (r *produceResponse) SetVersion(v int16) { r.version = v }

// GetVersion implements [kmsg.Response].
func (r *produceResponse) GetVersion() int16 { return r.version }

// IsFlexible implements [kmsg.Response].
func (r *produceResponse) IsFlexible() bool { return r.version >= flexibleSince }

// AppendTo implements [kmsg.Response]. Nobody writes responses.
func (*produceResponse) AppendTo(dst []byte) []byte { return dst }

// RequestKind implements [kmsg.Response].
func (*produceResponse) RequestKind() kmsg.Request { return new(produceRequest) }

// Throttle implements [kmsg.ThrottleResponse]. Since version 6 a broker answers first and then
// holds the connection back (KIP-219).
func (r *produceResponse) Throttle() (int32, bool) { return r.throttle, r.version >= 6 }

// ReadFrom implements [kmsg.Response].
func (r *produceResponse) ReadFrom(src []byte) error {
	r.reset()
	r.reader = kbin.Reader{Src: src}
	b, flexible := &r.reader, r.IsFlexible()
	for range readArrayLen(b, flexible) {
		if !b.Ok() {
			break
		}
		var topic []byte
		switch {
		case r.version >= topicIDsSince:
			topic = b.Span(16)
		case flexible:
			topic = b.Span(int(b.Uvarint()) - 1)
		default:
			topic = b.Span(int(b.Int16()))
		}
		for range readArrayLen(b, flexible) {
			if !b.Ok() {
				break
			}
			r.results = append(r.results, r.readPartition(b, topic))
		}
		skipTags(b, flexible)
	}
	r.throttle = b.Int32()
	skipTags(b, flexible)
	return b.Complete()
}

func (r *produceResponse) readPartition(b *kbin.Reader, topic []byte) result {
	flexible := r.IsFlexible()
	p := result{topic: topic, leader: -1, leaderEpoch: -1}
	p.partition = b.Int32()
	p.code = b.Int16()
	p.base = b.Int64()
	b.Int64() // the time of the append
	if r.version >= 5 {
		b.Int64() // the start of the log
	}
	if r.version >= recordErrsSince {
		first := len(r.errs)
		for range readArrayLen(b, flexible) {
			if !b.Ok() {
				break
			}
			e := recordError{index: b.Int32(), text: readText(b, flexible)}
			skipTags(b, flexible)
			r.errs = append(r.errs, e)
		}
		p.records = r.errs[first:len(r.errs):len(r.errs)]
		p.text = readText(b, flexible)
	}
	if flexible {
		for range b.Uvarint() {
			if !b.Ok() {
				break
			}
			tag, size := b.Uvarint(), b.Uvarint()
			field := kbin.Reader{Src: b.Span(int(size))}
			if tag == 0 {
				p.leader, p.leaderEpoch = field.Int32(), field.Int32()
			}
		}
	}
	return p
}

func readArrayLen(b *kbin.Reader, flexible bool) int32 {
	if flexible {
		return b.CompactArrayLen()
	}
	return b.ArrayLen()
}

// readText reads a nullable string, as a view.
func readText(b *kbin.Reader, flexible bool) []byte {
	n := 0
	if flexible {
		n = int(b.Uvarint()) - 1
	} else {
		n = int(b.Int16())
	}
	if n <= 0 {
		return nil
	}
	return b.Span(n)
}

func skipTags(b *kbin.Reader, flexible bool) {
	if flexible {
		kmsg.SkipTags(b)
	}
}

// find returns the answer to a batch of the request, which is sorted by topic and partition; nil
// if the broker gave none. Brokers answer in an order of their own.
func (r *produceResponse) find(s *sending) *result {
	byID := r.version >= topicIDsSince
	i, found := slices.BinarySearchFunc(r.results, s, func(a result, s *sending) int {
		return cmp.Or(compareTopic(a.topic, s, byID), cmp.Compare(a.partition, s.p.index))
	})
	if !found {
		return nil
	}
	return &r.results[i]
}

// sort prepares the response for find.
func (r *produceResponse) sort() {
	if len(r.results) < 2 {
		return
	}
	slices.SortFunc(r.results, func(a, b result) int {
		return cmp.Or(slices.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
}

func compareTopic(topic []byte, s *sending, byID bool) int {
	if byID {
		return slices.Compare(topic, s.id[:])
	}
	return slices.Compare(topic, s.p.topic.nameBytes)
}
