package metadata

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"millrace/codec/json"
	"millrace/internal/apierr"
)

// Resource is a kind of resource that readers query.
type Resource uint8

// The resources, and the JSON of each.
const (
	AllTopics        Resource = iota // the names of all topics, sorted: ["a","b"]
	AllBrokers                       // the ids of all brokers, sorted: {"brokers":[1,2]}
	OneTopic                         // {"name":…,"configs":{…},"partitions":[…]}
	TopicPartitions                  // an array of all partitions of a topic
	OnePartition                     // {"partition":0,"leader":1,"replicas":[…]}
	PartitionOffsets                 // {"beginning_offset":0,"end_offset":7}
)

// Query is a reader's query.
type Query struct {
	Of Resource
	// Topic and Partition name the resource, where there are several. The name is borrowed: it
	// may be a view of the request.
	Topic     string
	Partition int32
	// Younger bounds the age of the answer, where Bounded and where it is less than
	// Settings.MaxAge. It may be 0: then the brokers are asked after the query. The rate limit
	// may then delay the reader, up to a second.
	Younger time.Duration
	Bounded bool
	// Visible reports whether the reader may see a topic in [AllTopics]; nil: all of them.
	Visible func(topic string) bool
}

// Answer is an encoded answer. All its readers share it, and it is immutable.
type Answer struct {
	// Body is JSON.
	Body []byte
	// ETag is the body's strong validator, quoted: equal bodies have equal ETags, also after a
	// refresh, on another node and after a restart.
	ETag string
}

func newAnswer(body []byte) *Answer {
	a := makeAnswer(body)
	return &a
}

func makeAnswer(body []byte) Answer {
	sum := sha256.Sum256(body)
	var tag [2 + 24]byte
	tag[0], tag[len(tag)-1] = '"', '"'
	hex.Encode(tag[1:], sum[:12])
	return Answer{Body: body, ETag: string(tag[:])}
}

// Reply is an answer as of one time.
type Reply struct {
	*Answer
	// Stale is set when the brokers could not be asked as recently as the reader, or
	// Settings.MaxAge, demands; the answer is Age old then.
	Stale bool
	Age   time.Duration
}

// Answer answers q. A cached answer that is young enough takes no lock and no allocation. While
// no broker responds, the last answer is returned as stale, for Settings.StaleFor; offsets, and
// resources that were never looked up, are not.
//
// Errors: TopicNotFound, PartitionNotFound, KafkaInvalid (no such name is possible),
// Unauthorized, KafkaRetriable (no leader), BrokersAway, KafkaTimedOut.
func (c *Cache) Answer(ctx context.Context, q Query) (Reply, error) {
	maxAge := c.settings.MaxAge
	if q.Bounded {
		maxAge = min(maxAge, max(q.Younger, 0))
	}
	if q.Of >= OneTopic && !ValidTopicName(q.Topic) {
		return Reply{}, errBadName
	}
	v, r, err := c.fresh(ctx, maxAge)
	if err != nil {
		return Reply{}, err
	}
	switch q.Of {
	case AllTopics:
		r.Answer = v.topicsFor(q.Visible)
		return r, nil
	case AllBrokers:
		r.Answer = v.brokers
		return r, nil
	}
	t, err := c.find(ctx, v, q.Topic)
	if err != nil {
		return Reply{}, err
	}
	switch q.Of {
	case OneTopic:
		return c.wholeTopic(ctx, t, r, maxAge)
	case TopicPartitions:
		r.Answer = &t.answers().list
		return r, nil
	}
	if int(q.Partition) >= len(t.Partitions) { // it may have been added
		if t, err = c.Afresh(ctx, q.Topic); err != nil {
			return Reply{}, err
		}
	}
	if q.Partition < 0 || int(q.Partition) >= len(t.Partitions) {
		return Reply{}, apierr.PartitionNotFound.New("Topic %s has no partition %d.", t.Name, q.Partition)
	}
	if q.Of == PartitionOffsets {
		a, err := c.offsetsOf(ctx, t, q.Partition, maxAge)
		if err != nil {
			return Reply{}, err
		}
		return Reply{Answer: &a.Answer}, nil
	}
	r.Answer = &t.answers().each[q.Partition]
	return r, nil
}

// find returns a topic of the view, or looks it up: it was created since the view was taken, or
// does not exist. find never creates a topic.
func (c *Cache) find(ctx context.Context, v *view, name string) (*Topic, error) {
	if t := v.topic(name); t != nil {
		return t, nil
	}
	return c.lookUp(ctx, name, false)
}

// listed returns all topics but Kafka's own, sorted by name.
func (v *view) listed() []*Topic {
	return slices.DeleteFunc(slices.Clone(v.all()), func(t *Topic) bool { return t.Internal })
}

// topicsAnswer returns the names of all topics but Kafka's own, as the Confluent proxy does.
func (v *view) topicsAnswer() *Answer {
	if a := v.list.Load(); a != nil {
		return a
	}
	a := newAnswer(appendTopicNames(nil, v.listed()))
	v.list.Store(a)
	return a
}

// topicsFor returns the names of the topics that a reader may see.
func (v *view) topicsFor(visible func(string) bool) *Answer {
	if visible == nil {
		return v.topicsAnswer()
	}
	var seen []*Topic
	for _, t := range v.all() {
		if !t.Internal && visible(t.Name) {
			seen = append(seen, t)
		}
	}
	return newAnswer(appendTopicNames(nil, seen))
}

// partitionAnswers are the answers about a topic's partitions; the body of each is a part of the
// list's.
type partitionAnswers struct {
	list Answer
	each []Answer
}

func (t *Topic) answers() *partitionAnswers {
	if a := t.partitions.Load(); a != nil {
		return a
	}
	a := &partitionAnswers{each: make([]Answer, len(t.Partitions))}
	body := []byte{'['}
	ends := make([]int, len(t.Partitions))
	for i := range t.Partitions {
		if i > 0 {
			body = append(body, ',')
		}
		body = t.appendPartition(body, i)
		ends[i] = len(body)
	}
	body = append(body, ']')
	begin := 1
	for i, end := range ends {
		a.each[i] = makeAnswer(body[begin:end:end])
		begin = end + 1
	}
	a.list = makeAnswer(body)
	t.partitions.Store(a)
	return a
}

// wholeAnswer is the answer about a topic with one state of its configuration.
type wholeAnswer struct {
	Answer
	configs []byte
}

// wholeTopic answers about a topic with its configuration. r has the age of the topic.
func (c *Cache) wholeTopic(ctx context.Context, t *Topic, r Reply, maxAge time.Duration) (Reply, error) {
	kept, stale, err := c.topicConfigs(ctx, t.Name, maxAge, r.Stale)
	if err != nil {
		return Reply{}, err
	}
	if stale {
		r.Stale, r.Age = true, max(r.Age, time.Since(kept.at))
	}
	w := t.whole.Load()
	if w == nil || !bytes.Equal(w.configs, kept.json) {
		dst := append([]byte(nil), `{"name":`...)
		dst = json.AppendString(dst, t.Name)
		dst = append(dst, `,"configs":`...)
		dst = append(dst, kept.json...)
		dst = append(dst, `,"partitions":`...)
		dst = append(dst, t.answers().list.Body...)
		w = &wholeAnswer{Answer: makeAnswer(append(dst, '}')), configs: kept.json}
		t.whole.Store(w)
	}
	r.Answer = &w.Answer
	return r, nil
}

// appendOffsets appends {"beginning_offset":0,"end_offset":7}.
func appendOffsets(dst []byte, r offsetRange) []byte {
	dst = append(dst, `{"beginning_offset":`...)
	dst = strconv.AppendInt(dst, r.beginning, 10)
	dst = append(dst, `,"end_offset":`...)
	dst = strconv.AppendInt(dst, r.end, 10)
	return append(dst, '}')
}
