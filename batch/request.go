package batch

import (
	"cmp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The versions of Produce that are spoken: from 3 on it carries record batches of format 2, and
// from topicIDsSince on ids in place of the topics' names.
const (
	produceKey      = 0
	maxProduce      = 13
	topicIDsSince   = 13
	flexibleSince   = 9
	recordErrsSince = 8
)

// sending is a batch in a request, and the topic's id when the request was built.
type sending struct {
	p  *partition
	b  *batch
	id [16]byte
}

// produceRequest is one Produce request, with at most one batch of a partition. It implements
// [kmsg.Request], because the library's own request type fails a batch while another goroutine
// encodes it, and because AppendTo tells that the place of the request in the order of the
// connection is fixed: the library calls it on the broker's one goroutine, just before the write.
//
// AppendTo may be called twice, when nothing of the first write left. It changes nothing of the
// bytes.
type produceRequest struct {
	acks    int16
	timeout time.Duration
	version int16
	named   bool // a topic has no id, so that topics go by their names
	batches []sending
	size    int // of the batches
	written func()
	tried   bool // AppendTo was called: the broker may have the bytes
	resp    produceResponse
}

func (r *produceRequest) reset() {
	clear(r.batches)
	r.batches, r.size, r.named, r.tried = r.batches[:0], 0, false, false
	r.resp.reset()
}

// seal prepares the request for its first AppendTo, once its batches are packed.
func (r *produceRequest) seal() {
	for i := range r.batches {
		at := &r.batches[i]
		at.id = [16]byte{}
		if id := at.p.topic.id.Load(); id != nil {
			at.id = *id
		} else {
			r.named = true
		}
		at.b.header.put(&at.b.head, at.b.payload)
		r.size += at.b.wireLen()
	}
	r.sort()
}

// sort brings batches of one topic together, in the order in which a response is looked up.
func (r *produceRequest) sort() {
	slices.SortFunc(r.batches, func(a, b sending) int {
		return cmp.Or(cmp.Compare(a.p.topic.name, b.p.topic.name), cmp.Compare(a.p.index, b.p.index))
	})
}

// Key implements [kmsg.Request].
func (*produceRequest) Key() int16 { return produceKey }

// MaxVersion implements [kmsg.Request].
func (r *produceRequest) MaxVersion() int16 {
	if r.named {
		return topicIDsSince - 1
	}
	return maxProduce
}

// SetVersion implements [kmsg.Request].
func (r *produceRequest) SetVersion(v int16) { r.version = v }

// GetVersion implements [kmsg.Request].
func (r *produceRequest) GetVersion() int16 { return r.version }

// IsFlexible implements [kmsg.Request].
func (r *produceRequest) IsFlexible() bool { return r.version >= flexibleSince }

// Timeout implements [kmsg.TimeoutRequest].
func (r *produceRequest) Timeout() int32 { return int32(r.timeout.Milliseconds()) }

// ReadFrom implements [kmsg.Request]. Nobody reads requests.
func (*produceRequest) ReadFrom([]byte) error { return kbin.ErrNotEnoughData }

// ResponseKind implements [kmsg.Request].
func (r *produceRequest) ResponseKind() kmsg.Response {
	r.resp.version = r.version
	return &r.resp
}

// AppendTo implements [kmsg.Request].
func (r *produceRequest) AppendTo(dst []byte) []byte {
	dst = r.appendTo(slices.Grow(dst, r.size+64*len(r.batches)+64))
	r.tried = true
	r.written()
	return dst
}

func (r *produceRequest) appendTo(dst []byte) []byte {
	flexible := r.IsFlexible()
	if flexible {
		dst = kbin.AppendCompactNullableString(dst, nil)
	} else {
		dst = kbin.AppendNullableString(dst, nil) // no transaction
	}
	dst = kbin.AppendInt16(dst, r.acks)
	dst = kbin.AppendInt32(dst, r.Timeout())
	topics := 0
	for range r.topics() {
		topics++
	}
	dst = appendArrayLen(dst, topics, flexible)
	for of := range r.topics() {
		switch {
		case r.version >= topicIDsSince:
			dst = append(dst, of[0].id[:]...)
		case flexible:
			dst = kbin.AppendCompactString(dst, of[0].p.topic.name)
		default:
			dst = kbin.AppendString(dst, of[0].p.topic.name)
		}
		dst = appendArrayLen(dst, len(of), flexible)
		for _, s := range of {
			dst = kbin.AppendInt32(dst, s.p.index)
			if flexible {
				dst = kbin.AppendUvarint(dst, uint32(s.b.wireLen())+1)
			} else {
				dst = kbin.AppendInt32(dst, int32(s.b.wireLen()))
			}
			dst = append(append(dst, s.b.head[:]...), s.b.payload...)
			dst = appendNoTags(dst, flexible)
		}
		dst = appendNoTags(dst, flexible)
	}
	return appendNoTags(dst, flexible)
}

func appendArrayLen(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return kbin.AppendCompactArrayLen(dst, n)
	}
	return kbin.AppendArrayLen(dst, n)
}

func appendNoTags(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return dst
}

// topics yields the batches of each topic.
func (r *produceRequest) topics() func(yield func([]sending) bool) {
	return func(yield func([]sending) bool) {
		for rest := r.batches; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].p.topic == rest[0].p.topic {
				n++
			}
			if !yield(rest[:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// withoutAcks is the request in the library's own type: only with that does it not wait for a
// response that a broker does not send.
func (r *produceRequest) withoutAcks() *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.TimeoutMillis = r.Timeout()
	for of := range r.topics() {
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID = of[0].p.topic.name, of[0].id
		for _, s := range of {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition = s.p.index
			p.Records = append(append(make([]byte, 0, s.b.wireLen()), s.b.head[:]...), s.b.payload...)
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}
