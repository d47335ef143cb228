package v3

import (
	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// reassignments are the partitions that are being moved to other brokers.
type reassignments struct{ *shared }

func (s *reassignments) routes() []server.Route {
	return []server.Route{
		s.pages("/topics/-/partitions/-/reassignment", "api.v3.partition-reassignments.list", server.Topics, s.all),
		s.pages("/topics/{topic}/partitions/-/reassignment", "api.v3.partition-reassignments.search-by-topic", server.Topic, s.ofTopic),
		s.get(partitionPath+"/reassignment", "api.v3.partition-reassignments.get", server.Topic, s.one),
	}
}

// reassignment is the description of one partition that is being moved.
type reassignment struct {
	Kind      string  `json:"kind"`
	Metadata  self    `json:"metadata"`
	ClusterID string  `json:"cluster_id"`
	Topic     string  `json:"topic_name"`
	Partition int32   `json:"partition_id"`
	Adding    []int32 `json:"adding_replicas"`
	Removing  []int32 `json:"removing_replicas"`
	Replicas  link    `json:"replicas"`
}

func newReassignment(u *urls, r admin.Reassignment) reassignment {
	return reassignment{
		Kind: "KafkaReassignment",
		Metadata: self{
			u.to("topics", r.Topic, "partitions", r.Partition, "reassignment"),
			u.name("topic", r.Topic, "partition", r.Partition, "reassignment"),
		},
		ClusterID: u.cluster,
		Topic:     r.Topic,
		Partition: r.Partition,
		Adding:    notNil(r.Adding),
		Removing:  notNil(r.Removing),
		Replicas:  u.link("topics", r.Topic, "partitions", r.Partition, "replicas"),
	}
}

// notNil returns a list that JSON has as [] when it is empty.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// all handles GET /topics/-/partitions/-/reassignment.
func (s *reassignments) all(c *call) error { return s.respond(c, "-", nil) }

// ofTopic handles GET /topics/{topic}/partitions/-/reassignment.
func (s *reassignments) ofTopic(c *call) error {
	t, err := c.topic(false)
	if err != nil {
		return err
	}
	var ids []int32
	for _, p := range t.Partitions {
		ids = append(ids, p.ID)
	}
	return s.respond(c, t.Name, map[string][]int32{t.Name: ids})
}

func (s *reassignments) respond(c *call, topic string, of map[string][]int32) error {
	found, err := s.Admin.Reassignments(c.life, of)
	if err != nil {
		return err
	}
	found = visible(c, server.Topic, found, func(r admin.Reassignment) string { return r.Topic })
	// The Confluent proxy's link has an s that its path has not; ours leads back.
	at := c.urls.to("topics", topic, "partitions", "-", "reassignment")
	return respondList(c, listOf[reassignment]("KafkaReassignmentList", at), found,
		func(r admin.Reassignment) string { return r.Topic + "\x00" + ordered(r.Partition) },
		func(r admin.Reassignment) reassignment { return newReassignment(&c.urls, r) })
}

// one handles GET /topics/{topic}/partitions/{partition}/reassignment.
func (s *reassignments) one(c *call) error {
	t, p, err := c.partition()
	if err != nil {
		return err
	}
	found, err := s.Admin.Reassignments(c.life, map[string][]int32{t.Name: {p.ID}})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return apierr.NotFound.New("Partition %d of topic %s is not being reassigned.", p.ID, t.Name)
	}
	return c.respond(newReassignment(&c.urls, found[0]))
}
