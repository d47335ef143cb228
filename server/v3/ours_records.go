package v3

import (
	"math"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// records are what millrace does with the records and the replicas of topics, beyond the Confluent
// proxy.
type records struct{ *shared }

func (s *records) routes() []server.Route {
	return []server.Route{
		s.change("POST /topics/{topic}/records:delete", "millrace.v3.records.delete", server.Topic, fields(deleteRecords{}), s.delete),
		s.change("POST /topics/-/partitions/-/leader:elect", "millrace.v3.leaders.elect", server.Cluster, fields(electLeaders{}), s.elect),
		s.change("PUT "+partitionPath+"/reassignment", "millrace.v3.partition-reassignments.start", server.Topic, fields(newReplicas{}), s.reassign),
		s.change("DELETE "+partitionPath+"/reassignment", "millrace.v3.partition-reassignments.cancel", server.Topic, nil, s.cancel),
	}
}

// deleteRecords is the body of a request that deletes the first records of partitions.
type deleteRecords struct {
	Data []deleteBefore `json:"data" max:"10000"`
}

// deleteBefore is the offset before which the records of a partition are deleted; null: all.
type deleteBefore struct {
	Partition *number `json:"partition_id"`
	Before    *offset `json:"before_offset"`
}

// deletedRecords is the answer.
type deletedRecords struct {
	Data     []lowWatermark `json:"data"`
	Failures []refusal      `json:"failures"`
}

// lowWatermark is the first offset of a partition that is left.
type lowWatermark struct {
	Partition int32 `json:"partition_id"`
	Earliest  int64 `json:"earliest_offset"`
}

// delete handles POST /topics/{topic}/records:delete.
func (s *records) delete(c *call) error {
	topic, err := server.PathParam(c.RequestCtx, "topic")
	if err != nil {
		return err
	}
	var body deleteRecords
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	before := map[int32]int64{}
	for _, d := range body.Data {
		if d.Partition == nil || *d.Partition < 0 {
			return apierr.Unprocessable.New("Each element of data needs a partition_id.")
		}
		before[int32(*d.Partition)] = admin.Latest
		if d.Before != nil {
			before[int32(*d.Partition)] = int64(*d.Before)
		}
	}
	if len(before) == 0 {
		return apierr.Unprocessable.New("data is missing or empty.")
	}
	t, err := s.Admin.DescribeTopic(c.life, topic, false)
	if err != nil {
		return s.strictly(err)
	}
	for id := range before {
		if _, err := t.Partition(id); err != nil {
			return err
		}
	}
	c.note("before_offsets", before)
	all, err := s.Admin.DeleteRecords(c.life, topic, before)
	if err != nil {
		return err
	}
	answer := deletedRecords{Data: []lowWatermark{}, Failures: []refusal{}}
	for _, d := range all {
		if d.Err != nil {
			answer.Failures = append(answer.Failures, newRefusalOf(d.TopicPartition, d.Err))
		} else {
			answer.Data = append(answer.Data, lowWatermark{d.Partition, d.Low})
		}
	}
	return c.respondMulti(answer, len(answer.Failures))
}

func newRefusalOf(p admin.TopicPartition, err error) refusal {
	r := newRefusal(p.Topic, err)
	r.Partition = &p.Partition
	return r
}

// respondMulti answers with v, as 207 when some of many changes failed.
func (c *call) respondMulti(v any, failed int) error {
	if failed > 0 {
		c.note("failed", failed)
		c.SetStatusCode(fasthttp.StatusMultiStatus)
	}
	return c.respond(v)
}

// electLeaders is the body of a request that elects leaders.
type electLeaders struct {
	// Type is PREFERRED, the default, or UNCLEAN.
	Type *text            `json:"type" max:"64"`
	Data []partitionNamed `json:"data" max:"10000"`
}

// partitionNamed names a partition in a body.
type partitionNamed struct {
	Topic     text    `json:"topic_name" max:"249"`
	Partition *number `json:"partition_id"`
}

// elect handles POST /topics/-/partitions/-/leader:elect: of the partitions in data, or with none
// and the type PREFERRED of all.
func (s *records) elect(c *call) error {
	var body electLeaders
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	how := "PREFERRED"
	if body.Type != nil {
		how = strings.ToUpper(string(*body.Type))
	}
	switch {
	case how != "PREFERRED" && how != "UNCLEAN":
		return apierr.BadRequest.New("type must be PREFERRED or UNCLEAN, not %q.", how)
	case how == "UNCLEAN" && len(body.Data) == 0:
		return apierr.Unprocessable.New("An election that may lose records needs data: the partitions that it is for.")
	case len(body.Data) == 0 && !server.CallerOf(c.RequestCtx).MayAll(server.Administer, server.Topic):
		return apierr.Unauthorized.New("An election in all partitions is for callers that may administer every topic. Name the partitions.")
	}
	var of map[string][]int32
	for _, d := range body.Data {
		if d.Topic == "" || d.Partition == nil {
			return apierr.Unprocessable.New("Each element of data needs topic_name and partition_id.")
		}
		if err := server.Allow(c.RequestCtx, server.Administer, server.Topic, string(d.Topic)); err != nil {
			return err
		}
		if of == nil {
			of = map[string][]int32{}
		}
		of[string(d.Topic)] = append(of[string(d.Topic)], int32(*d.Partition))
	}
	c.note("type", how)
	c.note("partitions", len(body.Data))
	failed, err := s.Admin.ElectLeaders(c.life, of, how == "UNCLEAN")
	if err != nil {
		return err
	}
	answer := refusals{Failures: []refusal{}}
	for _, p := range sortedPartitions(failed) {
		answer.Failures = append(answer.Failures, newRefusalOf(p, failed[p]))
	}
	return c.respondMulti(answer, len(failed))
}

// newReplicas is the body of a request that moves a partition.
type newReplicas struct {
	// Replicas are the ids of the brokers, the preferred leader first.
	Replicas []number `json:"replicas" max:"1000"`
}

// reassign handles PUT …/partitions/{partition}/reassignment.
func (s *records) reassign(c *call) error {
	t, p, err := c.partition()
	if err != nil {
		return err
	}
	var body newReplicas
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if len(body.Replicas) == 0 {
		return apierr.Unprocessable.New("replicas is missing or empty. DELETE cancels a reassignment.")
	}
	ids := brokerIDs(body.Replicas)
	c.note("replicas", ids)
	if err := s.Admin.Reassign(c.life, admin.TopicPartition{Topic: t.Name, Partition: p.ID}, ids); err != nil {
		return err
	}
	return c.done()
}

// cancel handles DELETE …/partitions/{partition}/reassignment.
func (s *records) cancel(c *call) error {
	t, p, err := c.partition()
	if err != nil {
		return err
	}
	if err := s.Admin.Reassign(c.life, admin.TopicPartition{Topic: t.Name, Partition: p.ID}, nil); err != nil {
		return err
	}
	return c.done()
}

// offset is a whole number of 64 bits that a body may also write as a string.
type offset int64

// UnmarshalJSON implements json.Unmarshaler.
func (o *offset) UnmarshalJSON(raw []byte) error {
	n, err := wholeNumber(raw, math.MaxInt64)
	*o = offset(n)
	return err
}
