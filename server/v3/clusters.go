package v3

import (
	"millrace/internal/apierr"
	"millrace/server"
)

// clusters is the one Kafka cluster that the node is in front of.
type clusters struct{ *shared }

func (s *clusters) routes() []server.Route {
	return []server.Route{
		with(s.complete(server.Route{Method: "GET", Path: "/v3/clusters", Name: "api.v3.clusters.list", Action: server.Describe, Resource: server.Cluster}, s.list), pageWords...),
		s.get("", "api.v3.clusters.get", server.Cluster, s.one),
	}
}

// cluster is the description of the cluster.
type cluster struct {
	Kind           string `json:"kind"`
	Metadata       self   `json:"metadata"`
	ClusterID      string `json:"cluster_id"`
	Controller     *link  `json:"controller,omitempty"`
	ACLs           link   `json:"acls"`
	Brokers        link   `json:"brokers"`
	BrokerConfigs  link   `json:"broker_configs"`
	ConsumerGroups link   `json:"consumer_groups"`
	Topics         link   `json:"topics"`
	Reassignments  link   `json:"partition_reassignments"`
}

// list handles GET /v3/clusters.
func (s *clusters) list(c *call) error {
	own, err := s.describe(c)
	if err != nil {
		return err
	}
	all := urls{base: c.urls.base}
	return respondList(c, listOf[*cluster]("KafkaClusterList", all.to()), []*cluster{own},
		func(k *cluster) string { return k.ClusterID },
		func(k *cluster) *cluster { return k })
}

// one handles GET /v3/clusters/{cluster_id}.
func (s *clusters) one(c *call) error {
	own, err := s.describe(c)
	if err != nil {
		return err
	}
	return c.respond(own)
}

func (s *clusters) describe(c *call) (*cluster, error) {
	view, err := s.Metadata.Snapshot(c.life)
	if err != nil {
		return nil, err
	}
	if view.ClusterID == "" {
		return nil, apierr.NotFound.New("The brokers are too old to tell the id of their cluster.")
	}
	u := &c.urls
	u.cluster = view.ClusterID
	own := &cluster{
		Kind:           "KafkaCluster",
		Metadata:       self{u.to(), u.name()},
		ClusterID:      view.ClusterID,
		ACLs:           u.link("acls"),
		Brokers:        u.link("brokers"),
		BrokerConfigs:  u.link("broker-configs"),
		ConsumerGroups: u.link("consumer-groups"),
		Topics:         u.link("topics"),
		Reassignments:  u.link("topics", "-", "partitions", "-", "reassignment"),
	}
	if view.Controller >= 0 {
		controller := u.link("brokers", view.Controller)
		own.Controller = &controller
	}
	return own, nil
}
