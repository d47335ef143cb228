package cluster

import "millrace/metrics"

// Stats returns what the node knows of the cluster, for the metrics.
func (n *Node) Stats() metrics.Cluster {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := now()
	nodes, instances := n.table.unsealed(at)
	return metrics.Cluster{
		Leased:      n.leased(at),
		Nodes:       n.table.count(at),
		Instances:   len(n.table.instances),
		Adopted:     n.adopted.Load(),
		AdoptFailed: n.adoptFailed.Load(),

		RefusedRecords:    n.refused.Load(),
		UnsealedNodes:     nodes,
		UnsealedInstances: instances,
	}
}
