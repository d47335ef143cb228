package v3

import (
	"slices"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// partitions are the partitions of a topic, their offsets and their replicas.
type partitions struct{ *shared }

const partitionPath = "/topics/{topic}/partitions/{partition}"

func (s *partitions) routes() []server.Route {
	return []server.Route{
		s.pages("/topics/{topic}/partitions", "api.v3.partitions.list", server.Topic, s.list),
		s.get(partitionPath, "api.v3.partitions.get", server.Topic, s.one),
		with(s.get(partitionPath+"/offset", "api.v3.partitions.list.offsets", server.Topic, s.offset), "offset_type", "timestamp"),
		s.pages(partitionPath+"/replicas", "api.v3.replicas.list", server.Topic, s.replicas),
		s.get(partitionPath+"/replicas/{broker_id}", "api.v3.replicas.get", server.Topic, s.replica),
	}
}

// partition is the description of one partition.
type partition struct {
	Kind         string `json:"kind"`
	Metadata     self   `json:"metadata"`
	ClusterID    string `json:"cluster_id"`
	Topic        string `json:"topic_name"`
	ID           int32  `json:"partition_id"`
	Leader       *link  `json:"leader,omitempty"`
	Replicas     link   `json:"replicas"`
	Reassignment link   `json:"reassignment"`
}

func newPartition(u *urls, topic string, p admin.Partition) partition {
	d := partition{
		Kind:         "KafkaPartition",
		Metadata:     self{u.to("topics", topic, "partitions", p.ID), u.name("topic", topic, "partition", p.ID)},
		ClusterID:    u.cluster,
		Topic:        topic,
		ID:           p.ID,
		Replicas:     u.link("topics", topic, "partitions", p.ID, "replicas"),
		Reassignment: u.link("topics", topic, "partitions", p.ID, "reassignment"),
	}
	if p.Leader >= 0 {
		leader := u.link("topics", topic, "partitions", p.ID, "replicas", p.Leader)
		d.Leader = &leader
	}
	return d
}

// list handles GET /topics/{topic}/partitions.
func (s *partitions) list(c *call) error {
	t, err := c.topic(false)
	if err != nil {
		return err
	}
	return respondList(c, listOf[partition]("KafkaPartitionList", c.urls.to("topics", t.Name, "partitions")), t.Partitions,
		func(p admin.Partition) string { return ordered(p.ID) },
		func(p admin.Partition) partition { return newPartition(&c.urls, t.Name, p) })
}

// one handles GET /topics/{topic}/partitions/{partition}.
func (s *partitions) one(c *call) error {
	t, p, err := c.partition()
	if err != nil {
		return err
	}
	return c.respond(newPartition(&c.urls, t.Name, p))
}

// partition describes the partition that the path names, and its topic.
func (c *call) partition() (*admin.Topic, admin.Partition, error) {
	id, err := c.pathNumber("partition")
	if err != nil {
		return nil, admin.Partition{}, err
	}
	t, err := c.topic(false)
	if err != nil {
		return nil, admin.Partition{}, err
	}
	p, err := t.Partition(id)
	return t, p, err
}

// replicaOf is a replica of a partition.
type replicaOf struct {
	topic     string
	partition int32
	broker    int32
	leader    int32
	isr       []int32
}

func (r replicaOf) key() string { return r.topic + "\x00" + ordered(r.partition) + ordered(r.broker) }

// replica is the description of one replica.
type replica struct {
	Kind      string `json:"kind"`
	Metadata  self   `json:"metadata"`
	ClusterID string `json:"cluster_id"`
	Topic     string `json:"topic_name"`
	Partition int32  `json:"partition_id"`
	BrokerID  int32  `json:"broker_id"`
	Leader    bool   `json:"is_leader"`
	InSync    bool   `json:"is_in_sync"`
	Broker    link   `json:"broker"`
}

func newReplica(u *urls, r replicaOf) replica {
	return replica{
		Kind: "KafkaReplica",
		Metadata: self{
			u.to("topics", r.topic, "partitions", r.partition, "replicas", r.broker),
			u.name("topic", r.topic, "partition", r.partition, "replica", r.broker),
		},
		ClusterID: u.cluster,
		Topic:     r.topic,
		Partition: r.partition,
		BrokerID:  r.broker,
		Leader:    r.broker == r.leader,
		InSync:    slices.Contains(r.isr, r.broker),
		Broker:    u.link("brokers", r.broker),
	}
}

// replicas handles GET /topics/{topic}/partitions/{partition}/replicas.
func (s *partitions) replicas(c *call) error {
	t, p, err := c.partition()
	if err != nil {
		return err
	}
	var all []replicaOf
	for _, id := range p.Replicas {
		all = append(all, replicaOf{t.Name, p.ID, id, p.Leader, p.ISR})
	}
	return respondList(c, listOf[replica]("KafkaReplicaList", c.urls.to("topics", t.Name, "partitions", p.ID, "replicas")), all,
		replicaOf.key,
		func(r replicaOf) replica { return newReplica(&c.urls, r) })
}

// replica handles GET /topics/{topic}/partitions/{partition}/replicas/{broker_id}.
func (s *partitions) replica(c *call) error {
	t, p, err := c.partition()
	if err != nil {
		return err
	}
	id, err := c.pathNumber("broker_id")
	if err != nil {
		return err
	}
	if !slices.Contains(p.Replicas, id) {
		return apierr.NotFound.New("Partition %d of topic %s has no replica on broker %d.", p.ID, t.Name, id)
	}
	return c.respond(newReplica(&c.urls, replicaOf{t.Name, p.ID, id, p.Leader, p.ISR}))
}
