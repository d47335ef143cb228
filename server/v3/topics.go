package v3

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/server"
)

// topics are the topics of the cluster.
type topics struct{ *shared }

func (s *topics) routes() []server.Route {
	const one = "/topics/{topic}"
	return []server.Route{
		with(s.pages("/topics", "api.v3.topics.list", server.Topics, s.list), "include_authorized_operations"),
		s.change("POST /topics", "api.v3.topics.create", server.Topics, fields(newTopic{}), s.create),
		with(s.get(one, "api.v3.topics.get", server.Topic, s.one), "include_authorized_operations"),
		s.change("PATCH "+one, "api.v3.topics.partitions", server.Topic, fields(newCount{}), s.patch),
		s.change("DELETE "+one, "api.v3.topics.delete", server.Topic, nil, s.delete),
	}
}

// topic is the description of one topic.
type topic struct {
	Kind          string   `json:"kind"`
	Metadata      self     `json:"metadata"`
	ClusterID     string   `json:"cluster_id"`
	Name          string   `json:"topic_name"`
	Internal      bool     `json:"is_internal"`
	Replicas      int      `json:"replication_factor"`
	Count         int      `json:"partitions_count"`
	Partitions    link     `json:"partitions"`
	Configs       link     `json:"configs"`
	Reassignments link     `json:"partition_reassignments"`
	Operations    []string `json:"authorized_operations"`
}

// describeTopic returns the description of a topic with so many partitions and replicas.
func describeTopic(u *urls, name string, partitions, replicas int) topic {
	return topic{
		Kind:          "KafkaTopic",
		Metadata:      self{u.to("topics", name), u.name("topic", name)},
		ClusterID:     u.cluster,
		Name:          name,
		Replicas:      replicas,
		Count:         partitions,
		Partitions:    u.link("topics", name, "partitions"),
		Configs:       u.link("topics", name, "configs"),
		Reassignments: u.link("topics", name, "partitions", "-", "reassignment"),
		Operations:    []string{},
	}
}

func fromAdmin(u *urls, t *admin.Topic) topic {
	replicas := 0
	if len(t.Partitions) > 0 {
		replicas = len(t.Partitions[0].Replicas)
	}
	d := describeTopic(u, t.Name, len(t.Partitions), replicas)
	d.Internal, d.Operations = t.Internal, t.Operations
	return d
}

func fromView(u *urls, t *metadata.Topic) topic {
	d := describeTopic(u, t.Name, len(t.Partitions), len(t.Partitions[0].Replicas))
	d.Internal = t.Internal
	return d
}

// list handles GET /topics. Authorized operations are asked for by topic, so a page with them is
// bounded.
func (s *topics) list(c *call) error {
	operations, err := server.QueryBool(c.RequestCtx, "include_authorized_operations")
	if err != nil {
		return err
	}
	of := listOf[topic]("KafkaTopicList", c.urls.to("topics"))
	if operations {
		all, err := s.Admin.DescribeTopics(c.life)
		if err != nil {
			return err
		}
		name := func(t *admin.Topic) string { return t.Name }
		return respondList(c, of, visible(c, server.Topic, all, name), name, func(t *admin.Topic) topic { return fromAdmin(&c.urls, t) })
	}
	view, err := s.Metadata.Snapshot(c.life)
	if err != nil {
		return err
	}
	name := func(t *metadata.Topic) string { return t.Name }
	return respondList(c, of, visible(c, server.Topic, view.Topics, name), name, func(t *metadata.Topic) topic { return fromView(&c.urls, t) })
}

// one handles GET /topics/{topic}.
func (s *topics) one(c *call) error {
	operations, err := server.QueryBool(c.RequestCtx, "include_authorized_operations")
	if err != nil {
		return err
	}
	t, err := c.topic(operations)
	if err != nil {
		return err
	}
	return c.respond(fromAdmin(&c.urls, t))
}

// topic describes the topic that the path names.
func (c *call) topic(operations bool) (*admin.Topic, error) {
	name, err := server.PathParam(c.RequestCtx, "topic")
	if err != nil {
		return nil, err
	}
	t, err := c.Admin.DescribeTopic(c.life, name, operations)
	return t, c.strictly(err)
}

// strictly gives a topic that does not exist the code of today's Confluent proxy if
// api.compatibility.strict is on.
func (s *shared) strictly(err error) error {
	if s.Strict && apierr.TopicNotFound.Is(err) {
		return &apierr.Error{Kind: apierr.TopicNotFoundStrict, Cause: err}
	}
	return err
}

// newTopic is the body of a request that creates a topic.
type newTopic struct {
	Name         *text               `json:"topic_name" max:"249"`
	Partitions   *number             `json:"partitions_count"`
	Replicas     *number             `json:"replication_factor"`
	Assignments  map[string][]number `json:"replicas_assignments" max:"10000"`
	Configs      []newConfig         `json:"configs" max:"1000"`
	ValidateOnly bool                `json:"validate_only"`
}

// newConfig is a setting of a topic to create.
type newConfig struct {
	Name  text  `json:"name" max:"249"`
	Value *text `json:"value" max:"65536"`
}

// create handles POST /topics.
func (s *topics) create(c *call) error {
	var body newTopic
	if err := c.read(&body, apierr.PayloadError.New("Payload error. The request needs a body with topic_name.")); err != nil {
		return err
	}
	t, err := body.topic()
	if err == nil {
		err = server.Allow(c.RequestCtx, server.Administer, server.Topic, t.Name)
	}
	if err != nil {
		return err
	}
	c.note("topic", t.Name)
	c.note("validate_only", t.ValidateOnly)
	made, err := s.Admin.CreateTopic(c.life, t)
	if err != nil {
		return err
	}
	c.Response.Header.Set(fasthttp.HeaderLocation, c.urls.to("topics", t.Name))
	if !t.ValidateOnly {
		c.SetStatusCode(fasthttp.StatusCreated)
	}
	return c.respond(describeTopic(&c.urls, t.Name, int(made.Partitions), int(made.Replicas)))
}

// topic returns the topic to create.
func (b *newTopic) topic() (admin.NewTopic, error) {
	t := admin.NewTopic{Partitions: -1, Replicas: -1, ValidateOnly: b.ValidateOnly}
	if b.Name == nil || !metadata.ValidTopicName(string(*b.Name)) {
		return t, apierr.PayloadError.New("Payload error. Invalid topic name. It needs 1 to %d characters out of a-z, A-Z, 0-9, '.', '_' and '-', and must not be '.' or '..'.", server.MaxName)
	}
	t.Name = string(*b.Name)
	if b.Partitions != nil {
		t.Partitions = int32(*b.Partitions)
	}
	if b.Replicas != nil {
		if *b.Replicas > maxReplicas || *b.Replicas < -1 {
			return t, apierr.KafkaInvalid.New("replication_factor must be at most %d.", maxReplicas)
		}
		t.Replicas = int16(*b.Replicas)
	}
	for _, set := range b.Configs {
		t.Configs = append(t.Configs, admin.SetConfig{Name: string(set.Name), Value: (*string)(set.Value)})
	}
	var err error
	t.Assignments, err = assignments(b.Assignments)
	return t, err
}

// maxReplicas bounds a replication factor: Kafka's is a number of 16 bits.
const maxReplicas = 1<<15 - 1

// assignments reads replicas_assignments: the brokers by partition.
func assignments(given map[string][]number) (map[int32][]int32, error) {
	var all map[int32][]int32
	for name, ids := range given {
		partition, err := strconv.ParseInt(name, 10, 32)
		if err != nil || partition < 0 {
			return nil, apierr.BadRequest.New("%q in replicas_assignments is not the number of a partition.", name)
		}
		if all == nil {
			all = make(map[int32][]int32, len(given))
		}
		all[int32(partition)] = brokerIDs(ids)
	}
	return all, nil
}

// brokerIDs returns the ids of brokers in a body.
func brokerIDs(given []number) []int32 {
	ids := make([]int32, 0, len(given))
	for _, id := range given {
		ids = append(ids, int32(id))
	}
	return ids
}

// newCount is the body of a request that adds partitions.
type newCount struct {
	Count *number `json:"partitions_count"`
}

// patch handles PATCH /topics/{topic}.
func (s *topics) patch(c *call) error {
	name, err := server.PathParam(c.RequestCtx, "topic")
	if err != nil {
		return err
	}
	var body newCount
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if body.Count == nil {
		return apierr.Unprocessable.New("partitions_count is missing.")
	}
	c.note("partitions_count", int(*body.Count))
	if err := s.Admin.AddPartitions(c.life, name, int32(*body.Count)); err != nil {
		return s.strictly(err)
	}
	t, err := s.Admin.DescribeTopic(c.life, name, false)
	if err != nil {
		return s.strictly(err)
	}
	return c.respond(fromAdmin(&c.urls, t))
}

// delete handles DELETE /topics/{topic}.
func (s *topics) delete(c *call) error {
	name, err := server.PathParam(c.RequestCtx, "topic")
	if err != nil {
		return err
	}
	if err := s.Admin.DeleteTopic(c.life, name); err != nil {
		return s.strictly(err)
	}
	return c.done()
}
