package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// model is a Kafka cluster in this process, with the rules that idempotence has there: sequences,
// the last five batches of a producer, epochs, and a partition that accepts any first sequence. It
// reads requests with the library's own types. Batches hold record values as text; one that begins
// with "bad" is refused.
type model struct {
	mu      sync.Mutex
	topics  map[string]*modelTopic
	ids     int64
	version int16
	brokers map[int32]*modelBroker
	latency func() time.Duration
	// fault, if not nil, is asked before a batch is looked at.
	fault func(topic string, partition int32, b *kmsg.RecordBatch) (code int16)
	// cut, if not nil, is asked with each request whether its connection is to end before
	// (1) or after (2) it is carried out.
	cut func() int
	// lookUps are the codes of the next look-ups of topics.
	lookUps   []int16
	idRefused int16 // the code of look-ups of a producer id
	// unnamed: brokers do not say which records they refuse.
	unnamed  bool
	vague    bool // half of the batches that are UNKNOWN_SERVER_ERROR were written
	throttle int32
	swallow  bool              // requests lead nowhere, and wait with hold
	hold     chan struct{}     // not nil: requests wait for it before they are answered
	configs  map[string]string // of all topics
	asked    int               // for configs
	requests int
	disorder int   // batches that were refused for their sequence
	sizes    []int // records of each batch that came
	closed   bool
}

type modelBroker struct {
	mu         sync.Mutex // requests are carried out one after another
	connection int
}

type modelTopic struct {
	id      [16]byte
	limit   int
	leaders []int32
	epochs  []int32
	logs    []*modelLog
}

type modelLog struct {
	records   []string
	producers map[int64]*modelProducer
}

type modelProducer struct {
	epoch int16
	last  []modelBatch // the last five
}

type modelBatch struct {
	first, next int32
	offset      int64
}

func newModel() *model {
	return &model{topics: map[string]*modelTopic{}, brokers: map[int32]*modelBroker{}, version: maxProduce, latency: func() time.Duration { return 0 }}
}

// create makes a topic, or makes it anew.
func (m *model) create(name string, partitions int) *modelTopic {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids++
	t := &modelTopic{id: [16]byte{15: byte(m.ids)}, limit: math.MaxInt}
	for range partitions {
		t.leaders, t.epochs = append(t.leaders, 1), append(t.epochs, 0)
		t.logs = append(t.logs, &modelLog{producers: map[int64]*modelProducer{}})
	}
	m.topics[name] = t
	return t
}

// move makes another broker the leader.
func (m *model) move(topic string, partition, leader int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.topics[topic]
	t.leaders[partition] = leader
	t.epochs[partition]++
}

// log is what a partition holds.
func (m *model) log(topic string, partition int) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.topics[topic].logs[partition].records...)
}

// count is how many produce requests were sent.
func (m *model) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests
}

func (m *model) broker(id int32) *modelBroker {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.brokers[id] == nil {
		m.brokers[id] = &modelBroker{}
	}
	return m.brokers[id]
}

// Send implements [Client].
func (m *model) Send(id int32, req kmsg.Request) (kmsg.Response, error) {
	b := m.broker(id)
	b.mu.Lock()
	if m.isClosed() {
		b.mu.Unlock()
		return nil, kgo.ErrClientClosed
	}
	req.SetVersion(min(m.version, req.MaxVersion()))
	raw := req.AppendTo(nil)
	in := kmsg.NewPtrProduceRequest()
	in.Version = req.GetVersion()
	if err := in.ReadFrom(raw); err != nil {
		panic(fmt.Sprintf("the request cannot be read: %v", err))
	}
	end := 0
	if m.cut != nil {
		end = m.cut()
	}
	if end == 1 {
		b.connection++
		b.mu.Unlock()
		return nil, io.EOF
	}
	var out *kmsg.ProduceResponse
	if !m.swallow {
		out = m.carryOut(id, in)
	}
	if end == 2 {
		b.connection++
	}
	mine := b.connection
	b.mu.Unlock()
	if end == 2 {
		return nil, io.ErrUnexpectedEOF
	}
	m.mu.Lock()
	hold, wait := m.hold, m.latency()
	m.mu.Unlock()
	if hold != nil {
		<-hold
	}
	<-time.After(wait)
	b.mu.Lock()
	ended := b.connection != mine
	b.mu.Unlock()
	switch {
	case m.isClosed():
		return nil, kgo.ErrClientClosed
	case ended:
		return nil, errors.New("the broker connection has died")
	case in.Acks == 0:
		return out, nil
	}
	resp := req.ResponseKind()
	return resp, resp.ReadFrom(out.AppendTo(nil))
}

func (m *model) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// carryOut answers partitions in the reverse order: a client must not rely on one.
func (m *model) carryOut(broker int32, in *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests++
	out := kmsg.NewPtrProduceResponse()
	out.Version, out.ThrottleMillis = in.Version, m.throttle
	for i := len(in.Topics) - 1; i >= 0; i-- {
		t := in.Topics[i]
		of := kmsg.NewProduceResponseTopic()
		of.Topic, of.TopicID = t.Topic, t.TopicID
		for k := len(t.Partitions) - 1; k >= 0; k-- {
			of.Partitions = append(of.Partitions, m.write(broker, in.Version, t, t.Partitions[k]))
		}
		out.Topics = append(out.Topics, of)
	}
	return out
}

func (m *model) write(broker int32, version int16, of kmsg.ProduceRequestTopic, p kmsg.ProduceRequestTopicPartition) kmsg.ProduceResponseTopicPartition {
	out := kmsg.NewProduceResponseTopicPartition()
	out.Partition, out.BaseOffset = p.Partition, -1
	refuse := func(err *kerr.Error) kmsg.ProduceResponseTopicPartition {
		out.ErrorCode = err.Code
		return out
	}
	name, t := of.Topic, m.topics[of.Topic]
	if version >= topicIDsSince {
		for n, other := range m.topics {
			if other.id == of.TopicID {
				name, t = n, other
			}
		}
	}
	switch {
	case t == nil && version >= topicIDsSince:
		return refuse(kerr.UnknownTopicID)
	case t == nil || int(p.Partition) >= len(t.logs):
		return refuse(kerr.UnknownTopicOrPartition)
	case t.leaders[p.Partition] != broker:
		out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = t.leaders[p.Partition], t.epochs[p.Partition]
		return refuse(kerr.NotLeaderForPartition)
	}
	raw := append([]byte(nil), p.Records...)
	b, records := readBatch(raw)
	m.sizes = append(m.sizes, len(records))
	if m.fault != nil {
		if code := m.fault(name, p.Partition, &b); code != 0 {
			written := code == kerr.NotEnoughReplicasAfterAppend.Code ||
				m.vague && code == kerr.UnknownServerError.Code && m.requests%2 == 0
			if written && len(raw) <= t.limit && !anyBad(records) {
				t.logs[p.Partition].append(&b, records, &out)
			}
			if out.ErrorCode == 0 {
				out.ErrorCode, out.BaseOffset = code, -1
			}
			return out
		}
	}
	if len(raw) > t.limit {
		return refuse(kerr.MessageTooLarge)
	}
	for i, r := range records {
		if bytes.HasPrefix(r.Value, []byte(`"bad`)) {
			out.ErrorCode = kerr.InvalidTimestamp.Code
			if !m.unnamed && version >= recordErrsSince {
				e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
				e.RelativeOffset, e.ErrorMessage = int32(i), kmsg.StringPtr(fmt.Sprintf("Timestamp 1 of message with offset %d is out of range.", i))
				out.ErrorRecords = append(out.ErrorRecords, e)
			}
		}
	}
	if out.ErrorCode == 0 {
		t.logs[p.Partition].append(&b, records, &out)
	}
	if out.ErrorCode == kerr.OutOfOrderSequenceNumber.Code {
		m.disorder++
	}
	return out
}

func anyBad(records []*kgo.Record) bool {
	return slices.ContainsFunc(records, func(r *kgo.Record) bool { return bytes.HasPrefix(r.Value, []byte(`"bad`)) })
}

// append is what Kafka's ProducerAppendInfo and UnifiedLog do.
func (l *modelLog) append(b *kmsg.RecordBatch, records []*kgo.Record, out *kmsg.ProduceResponseTopicPartition) {
	next := int64(len(l.records))
	if b.ProducerID >= 0 {
		p := l.producers[b.ProducerID]
		if p == nil {
			p = &modelProducer{epoch: b.ProducerEpoch}
			l.producers[b.ProducerID] = p
		}
		for _, known := range p.last {
			if p.epoch == b.ProducerEpoch && known.first == b.FirstSequence && known.next == addSequence(b.FirstSequence, b.NumRecords) {
				out.BaseOffset = known.offset
				return
			}
		}
		switch {
		case b.ProducerEpoch < p.epoch:
			out.ErrorCode = kerr.InvalidProducerEpoch.Code
			return
		case b.ProducerEpoch > p.epoch && b.FirstSequence != 0,
			b.ProducerEpoch == p.epoch && len(p.last) > 0 && p.last[len(p.last)-1].next != b.FirstSequence:
			out.ErrorCode = kerr.OutOfOrderSequenceNumber.Code
			return
		}
		if b.ProducerEpoch > p.epoch {
			p.last = nil
		}
		p.epoch = b.ProducerEpoch
		p.last = append(p.last, modelBatch{b.FirstSequence, addSequence(b.FirstSequence, b.NumRecords), next})
		p.last = p.last[max(0, len(p.last)-5):]
	}
	for _, r := range records {
		l.records = append(l.records, string(r.Value))
	}
	out.BaseOffset = next
}

// readBatch reads a batch with the library's own types; it must be whole.
func readBatch(raw []byte) (b kmsg.RecordBatch, records []*kgo.Record) {
	if err := b.ReadFrom(raw); err != nil {
		panic(fmt.Sprintf("the batch cannot be read: %v", err))
	}
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches, p.HighWatermark = raw, math.MaxInt64
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &p, kgo.DefaultDecompressor(), nil)
	if got.Err != nil || len(got.Records) != int(b.NumRecords) {
		panic(fmt.Sprintf("the batch has %d records, says %d: %v", len(got.Records), b.NumRecords, got.Err))
	}
	return b, got.Records
}

// Ask implements [Client].
func (m *model) Ask(_ context.Context, req kmsg.Request) (kmsg.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, kgo.ErrClientClosed
	}
	switch r := req.(type) {
	case *kmsg.InitProducerIDRequest:
		out := kmsg.NewPtrInitProducerIDResponse()
		m.ids++
		out.ProducerID, out.ErrorCode = m.ids, m.idRefused
		return out, nil
	case *kmsg.DescribeConfigsRequest:
		m.asked++
		out, of := kmsg.NewPtrDescribeConfigsResponse(), kmsg.NewDescribeConfigsResponseResource()
		of.ResourceName = r.Resources[0].ResourceName
		for name, value := range m.configs {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Value = name, kmsg.StringPtr(value)
			of.Configs = append(of.Configs, c)
		}
		out.Resources = append(out.Resources, of)
		return out, nil
	case *kmsg.MetadataRequest:
		out := kmsg.NewPtrMetadataResponse()
		for _, want := range r.Topics {
			out.Topics = append(out.Topics, m.describe(*want.Topic))
		}
		return out, nil
	}
	return nil, errors.New("not a request of a producer")
}

func (m *model) describe(name string) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic = kmsg.StringPtr(name)
	if len(m.lookUps) > 0 {
		out.ErrorCode, m.lookUps = m.lookUps[0], m.lookUps[1:]
		return out
	}
	t := m.topics[name]
	if t == nil {
		out.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return out
	}
	out.TopicID = t.id
	for i := range t.logs {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch = int32(i), t.leaders[i], t.epochs[i]
		out.Partitions = append(out.Partitions, p)
	}
	return out
}

// Reset implements [Client]. The model has no connection of its own to end.
func (m *model) Reset(int32) {}

// Close implements [Client].
func (m *model) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.hold != nil {
		close(m.hold)
		m.hold = nil
	}
}
