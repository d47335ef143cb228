package admin

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

// Topic is a topic as a broker describes it.
type Topic struct {
	Name string
	// Internal topics are Kafka's own.
	Internal bool
	// Partitions are sorted by number.
	Partitions []Partition
	// Operations are the names of what this node's principal may do with the topic, if they were
	// asked for.
	Operations []string
}

// Partition is one partition of a topic.
type Partition struct {
	ID int32
	// Leader is the id of a broker, -1 for none.
	Leader int32
	// Replicas begin with the preferred leader; ISR are those in sync.
	Replicas, ISR []int32
}

// Partition returns the partition of that number.
func (t *Topic) Partition(id int32) (Partition, error) {
	for _, p := range t.Partitions {
		if p.ID == id {
			return p, nil
		}
	}
	return Partition{}, apierr.PartitionNotFound.New("Topic %s has no partition %d.", t.Name, id)
}

// DescribeTopic asks a broker about a topic. operations asks for Topic.Operations too, which
// costs the broker a look at its access control lists.
func (a *Admin) DescribeTopic(ctx context.Context, name string, operations bool) (*Topic, error) {
	if err := a.open(name); err != nil {
		return nil, err
	}
	topics, err := a.describe(ctx, []string{name}, operations)
	if err != nil {
		return nil, err
	}
	if len(topics) != 1 {
		return nil, failed(kerr.UnknownServerError)
	}
	return newTopic(name, &topics[0])
}

// DescribeTopics asks a broker about all topics that are not reserved, with Topic.Operations. Those
// that it cannot describe are left out.
func (a *Admin) DescribeTopics(ctx context.Context) ([]*Topic, error) {
	topics, err := a.describe(ctx, nil, true)
	if err != nil {
		return nil, err
	}
	var all []*Topic
	for i := range topics {
		name := topics[i].Topic
		if name == nil || a.open(*name) != nil {
			continue
		}
		if t, err := newTopic(*name, &topics[i]); err == nil {
			all = append(all, t)
		}
	}
	return all, nil
}

// describe asks a broker about topics, all of them for none, and for operations as
// [Topic.Operations] says.
func (a *Admin) describe(ctx context.Context, names []string, operations bool) ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
	}
	req.IncludeTopicAuthorizedOperations = operations
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return nil, failed(err)
	}
	return resp.Topics, nil
}

func newTopic(name string, t *kmsg.MetadataResponseTopic) (*Topic, error) {
	switch err := kerr.ErrorForCode(t.ErrorCode); err {
	case nil:
	case kerr.UnknownTopicOrPartition:
		return nil, apierr.TopicNotFound.Wrap(err, "Topic %s not found.", name)
	default:
		return nil, apierr.From(err)
	}
	topic := &Topic{Name: name, Internal: t.IsInternal, Operations: operations(t.AuthorizedOperations)}
	for _, p := range t.Partitions {
		topic.Partitions = append(topic.Partitions, Partition{p.Partition, p.Leader, p.Replicas, p.ISR})
	}
	slices.SortFunc(topic.Partitions, func(a, b Partition) int { return cmp.Compare(a.ID, b.ID) })
	return topic, nil
}

// operations are the names of the operations whose bits are set (KIP-430); none where the broker
// was not asked.
func operations(bits int32) []string {
	names := []string{}
	if bits == math.MinInt32 {
		return names
	}
	for op := kmsg.ACLOperationRead; op <= kmsg.ACLOperationDescribeTokens; op++ {
		if bits&(1<<op) != 0 {
			names = append(names, op.String())
		}
	}
	return names
}

// NewTopic is a topic to create.
type NewTopic struct {
	Name string
	// Partitions and Replicas are -1 for the brokers' defaults.
	Partitions int32
	Replicas   int16
	// Assignments are the brokers of each partition, in place of Partitions and Replicas; nil:
	// Kafka chooses.
	Assignments map[int32][]int32
	// Configs are settings of the topic; a nil value is the default.
	Configs []SetConfig
	// ValidateOnly has the brokers check the request and create nothing.
	ValidateOnly bool
}

// Created are the counts of a topic that was created, or would be.
type Created struct {
	Partitions int32
	Replicas   int16
}

// maxNewPartitions bounds the partitions that one request makes. Kafka's controller refuses more at
// once itself, and other brokers, such as that of dev mode, would spend all their memory on them.
const maxNewPartitions = 10_000

func tooManyPartitions() error {
	return apierr.KafkaInvalid.New("A request may create %d partitions. PATCH adds more to a topic that exists.", maxNewPartitions)
}

// CreateTopic creates a topic, and returns when a broker shows it.
func (a *Admin) CreateTopic(ctx context.Context, t NewTopic) (Created, error) {
	if err := a.open(t.Name); err != nil {
		return Created{}, err
	}
	if t.Partitions > maxNewPartitions {
		return Created{}, tooManyPartitions()
	}
	resp, err := a.createRequest(t).RequestWith(ctx, a.brokers)
	if err != nil {
		return Created{}, failed(err)
	}
	if len(resp.Topics) != 1 {
		return Created{}, failed(kerr.UnknownServerError)
	}
	answer := &resp.Topics[0]
	if err := refused(answer.ErrorCode, answer.ErrorMessage); err != nil {
		return Created{}, err
	}
	made := Created{Partitions: answer.NumPartitions, Replicas: answer.ReplicationFactor}
	if t.ValidateOnly {
		return made.orAsked(t), nil
	}
	a.settle(ctx, func(ctx context.Context) bool {
		now, err := a.DescribeTopic(ctx, t.Name, false)
		if err == nil && made.Partitions < 0 && len(now.Partitions) > 0 { // the broker withholds them
			made = Created{int32(len(now.Partitions)), int16(len(now.Partitions[0].Replicas))}
		}
		return err == nil && led(now)
	})
	a.changed()
	return made.orAsked(t), nil
}

// orAsked returns the counts, with those that the client asked for where the broker told none.
func (c Created) orAsked(t NewTopic) Created {
	if c.Partitions <= 0 {
		c.Partitions = max(t.Partitions, int32(len(t.Assignments)))
	}
	if c.Replicas <= 0 {
		c.Replicas = max(t.Replicas, int16(len(t.Assignments[0])))
	}
	return c
}

// led reports whether each partition has a leader.
func led(t *Topic) bool {
	return len(t.Partitions) > 0 && !slices.ContainsFunc(t.Partitions, func(p Partition) bool { return p.Leader < 0 })
}

func (a *Admin) createRequest(t NewTopic) *kmsg.CreateTopicsRequest {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = t.Name, t.Partitions, t.Replicas
	for partition, brokers := range t.Assignments {
		of := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		of.Partition, of.Replicas = partition, brokers
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, of)
	}
	if len(t.Assignments) > 0 { // Kafka wants no counts then
		topic.NumPartitions, topic.ReplicationFactor = -1, -1
	}
	for _, c := range t.Configs {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = c.Name, c.Value
		topic.Configs = append(topic.Configs, config)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, topic)
	req.TimeoutMillis = a.timeoutMillis()
	req.ValidateOnly = t.ValidateOnly
	return req
}

// AddPartitions raises the number of a topic's partitions to count, and returns when a broker
// shows it.
func (a *Admin) AddPartitions(ctx context.Context, name string, count int32) error {
	if err := a.open(name); err != nil {
		return err
	}
	if count > maxNewPartitions {
		now, err := a.DescribeTopic(ctx, name, false)
		if err != nil {
			return err
		}
		if int(count)-len(now.Partitions) > maxNewPartitions {
			return tooManyPartitions()
		}
	}
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = name, count
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Topics = append(req.Topics, topic)
	req.TimeoutMillis = a.timeoutMillis()
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return failed(err)
	}
	if len(resp.Topics) != 1 {
		return failed(kerr.UnknownServerError)
	}
	if err := refused(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage); err != nil {
		return err
	}
	a.settle(ctx, func(ctx context.Context) bool {
		now, err := a.DescribeTopic(ctx, name, false)
		return err == nil && len(now.Partitions) >= int(count) && led(now)
	})
	a.changed()
	return nil
}

// DeleteTopic deletes a topic, and returns when a broker no longer shows it.
func (a *Admin) DeleteTopic(ctx context.Context, name string) error {
	if err := a.open(name); err != nil {
		return err
	}
	deleted, err := within(ctx, func() (kadm.DeleteTopicResponses, error) { return a.kadm.DeleteTopics(ctx, name) })
	if err != nil {
		return failed(err)
	}
	if err := apierr.FromKafka(deleted[name].Err, deleted[name].ErrMessage); err != nil {
		return err
	}
	a.settle(ctx, func(ctx context.Context) bool {
		_, err := a.DescribeTopic(ctx, name, false)
		return apierr.TopicNotFound.Is(err)
	})
	a.changed()
	return nil
}
