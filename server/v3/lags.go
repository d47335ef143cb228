package v3

import (
	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// lags tell how far a group is behind.
type lags struct{ *shared }

func (s *lags) routes() []server.Route {
	return []server.Route{
		s.pages(groupPath+"/lags", "api.v3.consumer-lags.list", server.Group, s.list),
		s.get(groupPath+"/lags/{topic}/partitions/{partition}", "api.v3.consumer-lags.get", server.Group, s.one),
		s.get(groupPath+"/lag-summary", "api.v3.consumer-group-lag-summary.get", server.Group, s.summary),
	}
}

// lag is the description of how far a group is behind in one partition.
type lag struct {
	Kind       string  `json:"kind"`
	Metadata   self    `json:"metadata"`
	ClusterID  string  `json:"cluster_id"`
	Group      string  `json:"consumer_group_id"`
	Topic      string  `json:"topic_name"`
	Partition  int32   `json:"partition_id"`
	Consumer   string  `json:"consumer_id"` // empty: nobody has the partition
	InstanceID *string `json:"instance_id"`
	ClientID   string  `json:"client_id"`
	Current    int64   `json:"current_offset"`
	End        int64   `json:"log_end_offset"`
	Lag        int64   `json:"lag"`
}

func newLag(u *urls, group string, l admin.Lag) lag {
	d := lag{
		Kind: "KafkaConsumerLag",
		Metadata: self{
			u.to("consumer-groups", group, "lags", l.Topic, "partitions", l.Partition),
			u.name("consumer-group", group, "lag", l.Topic, "partition", l.Partition),
		},
		ClusterID: u.cluster,
		Group:     group,
		Topic:     l.Topic,
		Partition: l.Partition,
		Current:   l.Current,
		End:       l.End,
		Lag:       l.Behind(),
	}
	if l.Member != nil {
		d.Consumer, d.InstanceID, d.ClientID = l.Member.ID, l.Member.InstanceID, l.Member.ClientID
	}
	return d
}

// read returns the lags of the group that the path names, in the topics that the caller may see.
func (s *lags) read(c *call) (string, []admin.Lag, error) {
	g, err := c.group()
	if err != nil {
		return "", nil, err
	}
	all, err := s.Admin.Lags(c.life, g)
	return g.ID, visible(c, server.Topic, all, func(l admin.Lag) string { return l.Topic }), err
}

// list handles GET /consumer-groups/{group}/lags.
func (s *lags) list(c *call) error {
	group, all, err := s.read(c)
	if err != nil {
		return err
	}
	return respondList(c, listOf[lag]("KafkaConsumerLagList", c.urls.to("consumer-groups", group, "lags")), all,
		func(l admin.Lag) string { return partitionKey(l.TopicPartition) },
		func(l admin.Lag) lag { return newLag(&c.urls, group, l) })
}

// one handles GET /consumer-groups/{group}/lags/{topic}/partitions/{partition}.
func (s *lags) one(c *call) error {
	p, err := c.topicPartition()
	if err != nil {
		return err
	}
	group, all, err := s.read(c)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.TopicPartition == p {
			return c.respond(newLag(&c.urls, group, l))
		}
	}
	return apierr.NotFound.New("Group %s has no offset in partition %d of topic %s.", group, p.Partition, p.Topic)
}

// lagSummary tells how far a group is behind in all.
type lagSummary struct {
	Kind          string  `json:"kind"`
	Metadata      self    `json:"metadata"`
	ClusterID     string  `json:"cluster_id"`
	Group         string  `json:"consumer_group_id"`
	Max           int64   `json:"max_lag"`
	Total         int64   `json:"total_lag"`
	MaxConsumerID string  `json:"max_lag_consumer_id"`
	MaxConsumer   link    `json:"max_lag_consumer"`
	MaxClientID   string  `json:"max_lag_client_id"`
	MaxInstanceID *string `json:"max_lag_instance_id"`
	MaxTopic      string  `json:"max_lag_topic_name"`
	MaxPartition  int32   `json:"max_lag_partition_id"`
	MaxAt         link    `json:"max_lag_partition"`
}

// summary handles GET /consumer-groups/{group}/lag-summary.
func (s *lags) summary(c *call) error {
	group, all, err := s.read(c)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return apierr.NotFound.New("Consumer group %s has no offsets in topics that are there and that the caller may describe.", group)
	}
	worst, total := all[0], int64(0)
	for _, l := range all {
		total += l.Behind()
		if l.Behind() > worst.Behind() {
			worst = l
		}
	}
	of, u := newLag(&c.urls, group, worst), &c.urls
	return c.respond(lagSummary{
		Kind:          "KafkaConsumerGroupLagSummary",
		Metadata:      self{u.to("consumer-groups", group, "lag-summary"), u.name("consumer-group", group, "lag-summary")},
		ClusterID:     u.cluster,
		Group:         group,
		Max:           of.Lag,
		Total:         total,
		MaxConsumerID: of.Consumer,
		MaxConsumer:   u.link("consumer-groups", group, "consumers", of.Consumer),
		MaxClientID:   of.ClientID,
		MaxInstanceID: of.InstanceID,
		MaxTopic:      of.Topic,
		MaxPartition:  of.Partition,
		MaxAt:         u.link("topics", of.Topic, "partitions", of.Partition),
	})
}
