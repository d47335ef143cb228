package rest

import "millrace/consumer"

// The responses that are marshalled. Lists in them are never nil, so that an empty one is [].

// createdAnswer is the response to a created instance.
type createdAnswer struct {
	InstanceID string `json:"instance_id"`
	BaseURI    string `json:"base_uri"`
}

// topicsAnswer is the subscription of an instance.
type topicsAnswer struct {
	Topics []string `json:"topics"`
}

// partitionsAnswer is the assignment of an instance.
type partitionsAnswer struct {
	Partitions []partitionAnswer `json:"partitions"`
}

type partitionAnswer struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// offsetsAnswer are committed offsets.
type offsetsAnswer struct {
	Offsets []offsetAnswer `json:"offsets"`
}

type offsetAnswer struct {
	partitionAnswer
	Offset   int64  `json:"offset"`
	Metadata string `json:"metadata"`
}

// progressAnswer is the response of v1 to a commit, for one partition.
type progressAnswer struct {
	partitionAnswer
	Consumed  int64 `json:"consumed"`
	Committed int64 `json:"committed"`
}

// startAnswer has the ETags that a stream of changes is relative to.
type startAnswer struct {
	Topics  string `json:"topics"`
	Brokers string `json:"brokers"`
}

// changesAnswer has the names of topics.
type changesAnswer struct {
	Created []string `json:"created"`
	Deleted []string `json:"deleted"`
	Changed []string `json:"changed"`
}

// each returns f of every element, and never nil.
func each[T, A any](list []T, f func(T) A) []A {
	out := make([]A, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// names returns list, and never nil.
func names(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func partitionOf(tp consumer.TopicPartition) partitionAnswer {
	return partitionAnswer{Topic: tp.Topic, Partition: tp.Partition}
}
