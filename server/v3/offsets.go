package v3

import (
	"strings"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// partitionOffsets is the answer of the Confluent proxy about a partition's offsets.
type partitionOffsets struct {
	Kind      string `json:"kind"`
	Metadata  self   `json:"metadata"`
	ClusterID string `json:"cluster_id"`
	Topic     string `json:"topic_name"`
	Partition int32  `json:"partition_id"`
	Earliest  int64  `json:"earliest_offset"`
	Latest    int64  `json:"latest_offset"`
}

// partitionOffset is the answer about one offset of a partition: ours.
type partitionOffset struct {
	Kind      string `json:"kind"`
	Metadata  self   `json:"metadata"`
	ClusterID string `json:"cluster_id"`
	Topic     string `json:"topic_name"`
	Partition int32  `json:"partition_id"`
	Type      string `json:"offset_type"`
	Offset    *int64 `json:"offset"`
	Timestamp *int64 `json:"timestamp"`
}

// bothOffsets is the offset_type that the Confluent proxy has.
const bothOffsets = "earliest_and_latest"

// offset handles GET /topics/{topic}/partitions/{partition}/offset.
func (s *partitions) offset(c *call) error {
	of, err := server.QueryText(c.RequestCtx, "offset_type", server.MaxWord)
	if err != nil {
		return err
	}
	if of = strings.ToLower(of); of == "" {
		of = bothOffsets
	}
	at, err := offsetAt(c, of)
	if err != nil {
		return err
	}
	t, p, err := c.partition()
	if err != nil {
		return err
	}
	found, err := s.Admin.Offset(c.life, t.Name, p.ID, at)
	if err != nil {
		return s.strictly(err)
	}
	meta := self{
		c.urls.to("topics", t.Name, "partitions", p.ID, "offset"),
		c.urls.name("topic", t.Name, "partition", p.ID, "offset_type", of),
	}
	if of == bothOffsets {
		latest, err := s.Admin.Offset(c.life, t.Name, p.ID, admin.Latest)
		if err != nil {
			return s.strictly(err)
		}
		return c.respond(partitionOffsets{"KafkaPartitionWithOffsets", meta, c.urls.cluster, t.Name, p.ID, found.Offset, latest.Offset})
	}
	answer := partitionOffset{Kind: "KafkaPartitionOffset", Metadata: meta, ClusterID: c.urls.cluster, Topic: t.Name, Partition: p.ID, Type: of}
	if found.Offset >= 0 {
		answer.Offset = &found.Offset
	}
	if found.Timestamp >= 0 {
		answer.Timestamp = &found.Timestamp
	}
	return c.respond(answer)
}

// offsetAt returns what [admin.Admin.Offset] is asked for.
func offsetAt(c *call, of string) (int64, error) {
	switch of {
	case bothOffsets, "earliest":
		return admin.Earliest, nil
	case "latest":
		return admin.Latest, nil
	case "max_timestamp":
		return admin.MaxTimestamp, nil
	case "timestamp":
		if !c.QueryArgs().Has("timestamp") {
			return 0, apierr.BadRequest.New("offset_type=timestamp needs the query parameter timestamp.")
		}
		at, err := server.QueryTime(c.RequestCtx, "timestamp")
		return max(0, at.UnixMilli()), err
	}
	return 0, apierr.BadRequest.New("offset_type must be earliest_and_latest, earliest, latest, max_timestamp or timestamp, not %q.", of)
}
