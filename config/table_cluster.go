package config

import "time"

var clusterRows = []row{
	{
		name: "cluster.enable", def: "false", doc: "Form one service with the other proxies that name the same topic on the same Kafka cluster: any of them serves any consumer instance, and instances outlive their proxy.",
		store: into(boolean, func(d *draft) *bool { return &d.Cluster.Enabled }),
	},
	{
		name: "cluster.secret", doc: "What proves to a node that a request comes from another one. The same on all nodes, 16 characters or more.",
		store: into(password, func(d *draft) *string { return &d.Peer.Secret }),
	},
	{
		name: "cluster.advertised.url", doc: "Base URL that the other nodes reach this one at; a load balancer's will not do. Without it the first listener's, with host.name or the name of the host.",
		store: into(webURLs, func(d *draft) *[]string { return &d.peerURL }),
	},
	{
		name: "cluster.topic", def: "_millrace-cluster", doc: "Topic that the nodes share. It is created with one partition and cleanup.policy=compact where it does not exist.",
		store: into(text, func(d *draft) *string { return &d.Cluster.Topic }),
	},
	{
		name: "cluster.topic.replication.factor", def: "-1", doc: "Replication factor of that topic when it is created; -1 is the broker's default.",
		store: into(whole(-1, 32767), func(d *draft) *int { return &d.Cluster.Replication }),
	},
	{
		name: "cluster.heartbeat.interval.ms", def: "3000", doc: "How often a node shows that it lives.",
		store: into(millis(50, 60_000), func(d *draft) *time.Duration { return &d.Cluster.Heartbeat }),
	},
	{
		name: "cluster.lease.ms", def: "10000", doc: "How long a node counts as alive after its last heartbeat; then others may take over its instances. At least three times cluster.heartbeat.interval.ms.",
		store: into(millis(150, 600_000), func(d *draft) *time.Duration { return &d.Cluster.Lease }),
	},
}
