package v3

import (
	"strconv"
	"strings"

	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/server"
)

// brokers are the brokers of the cluster, and the replicas that each has.
type brokers struct{ *shared }

func (s *brokers) routes() []server.Route {
	return []server.Route{
		s.pages("/brokers", "api.v3.brokers.list", server.Cluster, s.list),
		s.get("/brokers/{broker_id}", "api.v3.brokers.get", server.Cluster, s.one),
		s.pages("/brokers/{broker_id}/partition-replicas", "api.v3.replicas.search-by-broker", server.Cluster, s.replicas),
	}
}

// broker is the description of one broker.
type broker struct {
	Kind       string  `json:"kind"`
	Metadata   self    `json:"metadata"`
	ClusterID  string  `json:"cluster_id"`
	BrokerID   int32   `json:"broker_id"`
	Host       string  `json:"host"`
	Port       int32   `json:"port"`
	Rack       *string `json:"rack"`
	Configs    link    `json:"configs"`
	Partitions link    `json:"partition_replicas"`
}

func newBroker(u *urls, b metadata.Broker) broker {
	d := broker{
		Kind:       "KafkaBroker",
		Metadata:   self{u.to("brokers", b.ID), u.name("broker", b.ID)},
		ClusterID:  u.cluster,
		BrokerID:   b.ID,
		Host:       b.Host,
		Port:       b.Port,
		Configs:    u.link("brokers", b.ID, "configs"),
		Partitions: u.link("brokers", b.ID, "partition-replicas"),
	}
	if b.Rack != "" {
		d.Rack = &b.Rack
	}
	return d
}

// list handles GET /brokers.
func (s *brokers) list(c *call) error {
	view, err := s.Metadata.Snapshot(c.life)
	if err != nil {
		return err
	}
	return respondList(c, listOf[broker]("KafkaBrokerList", c.urls.to("brokers")), view.Brokers,
		func(b metadata.Broker) string { return ordered(b.ID) },
		func(b metadata.Broker) broker { return newBroker(&c.urls, b) })
}

// one handles GET /brokers/{broker_id}.
func (s *brokers) one(c *call) error {
	b, err := c.broker()
	if err != nil {
		return err
	}
	return c.respond(newBroker(&c.urls, b))
}

// broker returns the broker that the path names.
func (c *call) broker() (metadata.Broker, error) {
	id, err := c.pathNumber("broker_id")
	if err != nil {
		return metadata.Broker{}, err
	}
	view, err := c.Metadata.Snapshot(c.life)
	if err != nil {
		return metadata.Broker{}, err
	}
	for _, b := range view.Brokers {
		if b.ID == id {
			return b, nil
		}
	}
	return metadata.Broker{}, apierr.NotFound.New("Broker %d cannot be found.", id)
}

// pathNumber returns a number that the path has. Text that is no number names nothing.
func (c *call) pathNumber(name string) (int32, error) {
	given, err := server.PathParam(c.RequestCtx, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(given, 10, 32)
	if err != nil {
		return 0, apierr.NotFound.New("%q is not the number of a %s.", given, strings.TrimSuffix(name, "_id"))
	}
	return int32(n), nil
}

// replicas handles GET /brokers/{broker_id}/partition-replicas.
func (s *brokers) replicas(c *call) error {
	b, err := c.broker()
	if err != nil {
		return err
	}
	view, err := s.Metadata.Snapshot(c.life)
	if err != nil {
		return err
	}
	var all []replicaOf
	for _, t := range view.Topics {
		for id := range t.Partitions {
			p := &t.Partitions[id]
			for _, r := range p.Replicas {
				if r == b.ID {
					all = append(all, replicaOf{t.Name, int32(id), r, p.Leader, p.ISR})
				}
			}
		}
	}
	all = visible(c, server.Topic, all, func(r replicaOf) string { return r.topic })
	return respondList(c, listOf[replica]("KafkaReplicaList", c.urls.to("brokers", b.ID, "partition-replicas")), all,
		replicaOf.key,
		func(r replicaOf) replica { return newReplica(&c.urls, r) })
}
