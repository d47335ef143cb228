package v3

import (
	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// groups are the consumer groups of the cluster, their members, and what those are assigned.
type groups struct{ *shared }

const (
	groupPath       = "/consumer-groups/{group}"
	memberPath      = groupPath + "/consumers/{consumer_id}"
	assignmentsPath = memberPath + "/assignments"
)

func (s *groups) routes() []server.Route {
	return []server.Route{
		s.pages("/consumer-groups", "api.v3.consumer-groups.list", server.Groups, s.list),
		s.get(groupPath, "api.v3.consumer-groups.get", server.Group, s.one),
		s.pages(groupPath+"/consumers", "api.v3.consumers.list", server.Group, s.members),
		s.get(memberPath, "api.v3.consumers.get", server.Group, s.member),
		s.pages(assignmentsPath, "api.v3.consumer-assignments.list", server.Group, s.assignments),
		s.get(assignmentsPath+"/{topic}/partitions/{partition}", "api.v3.consumer-assignments.get", server.Group, s.assignment),
	}
}

// group is the description of one group.
type group struct {
	Kind        string `json:"kind"`
	Metadata    self   `json:"metadata"`
	ClusterID   string `json:"cluster_id"`
	ID          string `json:"consumer_group_id"`
	Simple      bool   `json:"is_simple"`
	Assignor    string `json:"partition_assignor"`
	State       string `json:"state"`
	Type        string `json:"type"`
	Mixed       bool   `json:"is_mixed_consumer_group"`
	Coordinator link   `json:"coordinator"`
	Consumers   link   `json:"consumers"`
	LagSummary  link   `json:"lag_summary"`
}

func newGroup(u *urls, g *admin.Group) group {
	return group{
		Kind:        "KafkaConsumerGroup",
		Metadata:    self{u.to("consumer-groups", g.ID), u.name("consumer-group", g.ID)},
		ClusterID:   u.cluster,
		ID:          g.ID,
		Simple:      g.Simple,
		Assignor:    g.Assignor,
		State:       g.State,
		Type:        g.Type,
		Mixed:       g.Mixed,
		Coordinator: u.link("brokers", g.Coordinator),
		Consumers:   u.link("consumer-groups", g.ID, "consumers"),
		LagSummary:  u.link("consumer-groups", g.ID, "lag-summary"),
	}
}

// list handles GET /consumer-groups. Only the groups of the page are described.
func (s *groups) list(c *call) error {
	names, err := s.Admin.GroupNames(c.life)
	if err != nil {
		return err
	}
	id := func(n admin.GroupName) string { return n.ID }
	shown, next, err := page(c, visible(c, server.Group, names, id), id)
	if err != nil {
		return err
	}
	all, err := s.Admin.Groups(c.life, shown)
	if err != nil {
		return err
	}
	answer := listOf[group]("KafkaConsumerGroupList", c.urls.to("consumer-groups"))
	answer.Data = make([]group, 0, len(all))
	for _, g := range all {
		answer.Data = append(answer.Data, newGroup(&c.urls, g))
	}
	if next != "" {
		answer.Metadata.Next = &next
	}
	return c.respond(answer)
}

// one handles GET /consumer-groups/{group}.
func (s *groups) one(c *call) error {
	g, err := c.group()
	if err != nil {
		return err
	}
	return c.respond(newGroup(&c.urls, g))
}

// group describes the group that the path names.
func (c *call) group() (*admin.Group, error) {
	id, err := server.PathParam(c.RequestCtx, "group")
	if err != nil {
		return nil, err
	}
	return c.Admin.Group(c.life, id)
}

// member is the description of one member of a group.
type member struct {
	Kind        string  `json:"kind"`
	Metadata    self    `json:"metadata"`
	ClusterID   string  `json:"cluster_id"`
	Group       string  `json:"consumer_group_id"`
	ID          string  `json:"consumer_id"`
	InstanceID  *string `json:"instance_id"`
	ClientID    string  `json:"client_id"`
	Assignments link    `json:"assignments"`
}

func newMember(u *urls, group string, m admin.Member) member {
	return member{
		Kind:        "KafkaConsumer",
		Metadata:    self{u.to("consumer-groups", group, "consumers", m.ID), u.name("consumer-group", group, "consumer", m.ID)},
		ClusterID:   u.cluster,
		Group:       group,
		ID:          m.ID,
		InstanceID:  m.InstanceID,
		ClientID:    m.ClientID,
		Assignments: u.link("consumer-groups", group, "consumers", m.ID, "assignments"),
	}
}

// members handles GET /consumer-groups/{group}/consumers.
func (s *groups) members(c *call) error {
	g, err := c.group()
	if err != nil {
		return err
	}
	return respondList(c, listOf[member]("KafkaConsumerList", c.urls.to("consumer-groups", g.ID, "consumers")), g.Members,
		func(m admin.Member) string { return m.ID },
		func(m admin.Member) member { return newMember(&c.urls, g.ID, m) })
}

// member handles GET /consumer-groups/{group}/consumers/{consumer_id}.
func (s *groups) member(c *call) error {
	g, m, err := c.member()
	if err != nil {
		return err
	}
	return c.respond(newMember(&c.urls, g.ID, m))
}

// member describes the member that the path names, and its group.
func (c *call) member() (*admin.Group, admin.Member, error) {
	id, err := server.PathParam(c.RequestCtx, "consumer_id")
	if err != nil {
		return nil, admin.Member{}, err
	}
	g, err := c.group()
	if err != nil {
		return nil, admin.Member{}, err
	}
	for _, m := range g.Members {
		if m.ID == id {
			return g, m, nil
		}
	}
	return nil, admin.Member{}, apierr.NotFound.New("Consumer %s cannot be found in group %s.", id, g.ID)
}

// assignment is the description of a partition that a member is assigned.
type assignment struct {
	Kind      string `json:"kind"`
	Metadata  self   `json:"metadata"`
	ClusterID string `json:"cluster_id"`
	Group     string `json:"consumer_group_id"`
	Consumer  string `json:"consumer_id"`
	Topic     string `json:"topic_name"`
	ID        int32  `json:"partition_id"`
	Partition link   `json:"partition"`
	Lag       link   `json:"lag"`
}

func newAssignment(u *urls, group, consumer string, p admin.TopicPartition) assignment {
	return assignment{
		Kind: "KafkaConsumerAssignment",
		Metadata: self{
			u.to("consumer-groups", group, "consumers", consumer, "assignments", p.Topic, "partitions", p.Partition),
			u.name("consumer-group", group, "consumer", consumer, "assignment", p.Topic, "partition", p.Partition),
		},
		ClusterID: u.cluster,
		Group:     group,
		Consumer:  consumer,
		Topic:     p.Topic,
		ID:        p.Partition,
		Partition: u.link("topics", p.Topic, "partitions", p.Partition),
		Lag:       u.link("consumer-groups", group, "lags", p.Topic, "partitions", p.Partition),
	}
}

// assignments handles GET …/consumers/{consumer_id}/assignments.
func (s *groups) assignments(c *call) error {
	g, m, err := c.member()
	if err != nil {
		return err
	}
	at := c.urls.to("consumer-groups", g.ID, "consumers", m.ID, "assignments")
	return respondList(c, listOf[assignment]("KafkaConsumerAssignmentList", at), visible(c, server.Topic, m.Assigned, topicOf), partitionKey,
		func(p admin.TopicPartition) assignment { return newAssignment(&c.urls, g.ID, m.ID, p) })
}

// partitionKey orders partitions.
func partitionKey(p admin.TopicPartition) string { return p.Topic + "\x00" + ordered(p.Partition) }

// assignment handles GET …/assignments/{topic}/partitions/{partition}.
func (s *groups) assignment(c *call) error {
	p, err := c.topicPartition()
	if err != nil {
		return err
	}
	g, m, err := c.member()
	if err != nil {
		return err
	}
	for _, assigned := range m.Assigned {
		if assigned == p {
			return c.respond(newAssignment(&c.urls, g.ID, m.ID, p))
		}
	}
	return apierr.NotFound.New("Partition %d of topic %s is not assigned to consumer %s.", p.Partition, p.Topic, m.ID)
}

// topicPartition returns the partition that the path names, which need not exist.
func (c *call) topicPartition() (p admin.TopicPartition, err error) {
	if p.Topic, err = server.PathParam(c.RequestCtx, "topic"); err != nil {
		return p, err
	}
	p.Partition, err = c.pathNumber("partition")
	return p, err
}
