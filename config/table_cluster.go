package config

import "time"

var clusterRows = []row{
	{
		name: "cluster.enable", def: "false", doc: "Form one service with the other nodes that name the same topic on the same Kafka cluster: any of them serves any consumer instance, and instances outlive their node.",
		store: into(boolean, func(d *draft) *bool { return &d.Cluster.Enabled }),
	},
	{
		name: "cluster.secret", doc: "Known to the nodes and nobody else: their requests to each other and their records in cluster.topic are authenticated by it. It is not sent (but see cluster.authentication). The same on all nodes, 16 characters or more.",
		store: into(password, func(d *draft) *string { return &d.Peer.Secret }),
	},
	{
		name: "cluster.authentication", def: "require", doc: "Authentication of other nodes: require wants all requests and records authenticated; accept also takes those of versions that cannot do that yet, for the time of an upgrade.",
		store: into(oneOf("require", "accept"), func(d *draft) *string { return &d.authentication }),
	},
	{
		name: "cluster.secret.former", doc: "With cluster.authentication=accept, the cluster.secret of the nodes that are still of a former version, which send it as it is. Without it cluster.secret, which should then be changed after the upgrade.",
		store: into(password, func(d *draft) *string { return &d.Peer.Former }),
	},
	{
		name: "cluster.advertised.url", doc: "Base URL that the other nodes reach this one at; a load balancer's will not do. Without it the first listener's, with host.name or the name of the host.",
		store: into(webURLs, func(d *draft) *[]string { return &d.peerURL }),
	},
	{
		name: "cluster.topic", def: "_millrace-cluster", doc: "Topic that the nodes share. It is created with one partition and cleanup.policy=compact where it does not exist. No request reads, writes or describes it, whether cluster.enable is on or not.",
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
