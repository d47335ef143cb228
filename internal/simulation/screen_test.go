package simulation

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// compacted is the topic of which each record needs a key.
const compacted = "compacted"

// maxAhead is how far ahead of the broker's clock a timestamp may be
// (message.timestamp.after.max.ms).
const maxAhead = time.Hour

// limitConfig is the setting of a topic that bounds its batches.
const limitConfig = "max.message.bytes"

// recordErrorsSince is the version of Produce in which brokers name the records that they refuse
// (KIP-467).
const recordErrorsSince = 8

// breaks returns why a broker refuses the record, or nil, in the order of Kafka's LogValidator.
func breaks(topic string, r *kgo.Record, now time.Time) *kerr.Error {
	switch {
	case topic == compacted && r.Key == nil:
		return kerr.InvalidRecord
	case r.Timestamp.After(now.Add(maxAhead)):
		return kerr.InvalidTimestamp
	}
	return nil
}

// screen gives a kfake broker what it lacks:
//
//   - Batches with a record that breaks a rule are taken out of each produce request, before kfake
//     sees it, and refused in the response, which names the records.
//   - A producer's epoch is one for each partition, as in Kafka's ProducerStateManager. kfake has
//     one for all partitions, so each of them sees a producer id of its own.
type screen struct {
	net.Listener
	node    int32
	cluster func() *kfake.Cluster
}

// Accept implements [net.Listener].
func (s *screen) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &screened{Conn: conn, screen: s, refused: map[int32]refusal{}}, nil
}

// screened is a connection as kfake has it.
type screened struct {
	net.Conn
	screen *screen
	rest   []byte // of the frame that is being read

	mu      sync.Mutex
	refused map[int32]refusal // by correlation id
}

// refusal is what is to be added to a response.
type refusal struct {
	version int16
	topics  []kmsg.ProduceResponseTopic
}

// Read implements [net.Conn].
func (c *screened) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		frame := make([]byte, 4)
		if _, err := io.ReadFull(c.Conn, frame); err != nil {
			return 0, err
		}
		frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
		if _, err := io.ReadFull(c.Conn, frame[4:]); err != nil {
			return 0, err
		}
		c.rest = c.request(frame)
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// request returns the frame without the batches that are refused.
func (c *screened) request(frame []byte) []byte {
	r := kbin.Reader{Src: frame[4:]}
	key, version, correlation := r.Int16(), r.Int16(), r.Int32()
	r.NullableString()
	req := kmsg.NewPtrProduceRequest()
	if key != req.Key() {
		return frame
	}
	req.Version = version
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	head := len(frame) - len(r.Src)
	if err := req.ReadFrom(slices.Clone(r.Src)); err != nil {
		panic(err)
	}
	if refused := c.screen.refuse(req); len(refused) > 0 {
		c.mu.Lock()
		c.refused[correlation] = refusal{version, refused}
		c.mu.Unlock()
	}
	for _, t := range req.Topics {
		name := c.screen.name(&t)
		for _, p := range t.Partitions {
			separate(name, p)
		}
	}
	out := req.AppendTo(frame[:head:head])
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

// The bytes of a record batch that [separate] changes.
const (
	batchCRC, batchAttributes, batchProducer = 17, 21, 43
	batchHeader                              = 61
)

// separate makes the producer's id one of the partition.
func separate(topic string, p kmsg.ProduceRequestTopicPartition) {
	b := p.Records
	if len(b) < batchHeader {
		return
	}
	sum := fnv.New32a()
	fmt.Fprint(sum, topic, p.Partition)
	if was := int64(binary.BigEndian.Uint64(b[batchProducer:])); was >= 0 {
		binary.BigEndian.PutUint64(b[batchProducer:], uint64(was)^uint64(sum.Sum32()))
		binary.BigEndian.PutUint32(b[batchCRC:], crc32.Checksum(b[batchAttributes:], crc32.MakeTable(crc32.Castagnoli)))
	}
}

// refuse takes the batches that break a rule out of req, and returns their part of the response.
func (s *screen) refuse(req *kmsg.ProduceRequest) []kmsg.ProduceResponseTopic {
	var out []kmsg.ProduceResponseTopic
	for i := range req.Topics {
		t := &req.Topics[i]
		name := s.name(t)
		of := kmsg.NewProduceResponseTopic()
		of.Topic, of.TopicID = t.Topic, t.TopicID
		t.Partitions = slices.DeleteFunc(t.Partitions, func(p kmsg.ProduceRequestTopicPartition) bool {
			if info := s.cluster().PartitionInfo(name, p.Partition); info == nil || info.Leader != s.node || len(p.Records) > s.limit(name) {
				return false
			}
			resp, bad := judge(name, req.Version, p)
			if bad {
				of.Partitions = append(of.Partitions, resp)
			}
			return bad
		})
		if len(of.Partitions) > 0 {
			out = append(out, of)
		}
	}
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.ProduceRequestTopic) bool { return len(t.Partitions) == 0 })
	return out
}

// name is the topic's. Requests since version 13 have its id only.
func (s *screen) name(t *kmsg.ProduceRequestTopic) string {
	if info := s.cluster().TopicIDInfo(t.TopicID); info != nil {
		return info.Topic
	}
	return t.Topic
}

// limit is how large a batch of the topic may be. A larger one is refused as such.
func (s *screen) limit(topic string) int {
	if info := s.cluster().TopicInfo(topic); info != nil && info.Configs[limitConfig] != nil {
		n, _ := strconv.Atoi(*info.Configs[limitConfig])
		return n
	}
	return math.MaxInt
}

// judge returns what a broker says of a batch that breaks a rule.
func judge(topic string, version int16, p kmsg.ProduceRequestTopicPartition) (kmsg.ProduceResponseTopicPartition, bool) {
	out := kmsg.NewProduceResponseTopicPartition()
	out.Partition, out.BaseOffset = p.Partition, -1
	for i, r := range readBatch(p.Records) {
		err := breaks(topic, r, time.Now())
		if err == nil {
			continue
		}
		out.ErrorCode = err.Code
		if version >= recordErrorsSince {
			named := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			named.RelativeOffset, named.ErrorMessage = int32(i), kmsg.StringPtr(err.Description)
			out.ErrorRecords = append(out.ErrorRecords, named)
		}
	}
	return out, out.ErrorCode != 0
}

// readBatch returns the records of a batch, none of one that cannot be read.
func readBatch(raw []byte) []*kgo.Record {
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches, p.HighWatermark = slices.Clone(raw), math.MaxInt64
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &p, kgo.DefaultDecompressor(), nil)
	return got.Records
}

// Write implements [net.Conn]. kfake writes a response at once.
func (c *screened) Write(b []byte) (int, error) {
	c.mu.Lock()
	correlation := int32(binary.BigEndian.Uint32(b[4:]))
	add, ok := c.refused[correlation]
	delete(c.refused, correlation)
	c.mu.Unlock()
	if !ok {
		return c.Conn.Write(b)
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = add.version
	head := 8 // size and correlation id
	if resp.IsFlexible() {
		head++
	}
	if err := resp.ReadFrom(b[head:]); err != nil {
		panic(err)
	}
	for _, t := range add.topics {
		i := slices.IndexFunc(resp.Topics, func(o kmsg.ProduceResponseTopic) bool { return o.Topic == t.Topic && o.TopicID == t.TopicID })
		if i < 0 {
			resp.Topics = append(resp.Topics, t)
			continue
		}
		resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, t.Partitions...)
	}
	out := resp.AppendTo(slices.Clone(b[:head]))
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}
