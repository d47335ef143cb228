package config

import (
	"strings"
	"testing"
	"time"
)

func TestClusterNeedsASecret(t *testing.T) {
	if load(t).Cluster.Enabled {
		t.Error("a node is one of several by default")
	}
	for _, set := range [][]string{
		{"cluster.enable=true"},
		{"cluster.enable=true", "cluster.secret=short"},
	} {
		if fault := loadFault(t, set...); !strings.Contains(fault, "cluster.secret") || strings.Contains(fault, "short,") {
			t.Errorf("%q: %s", set, fault)
		}
	}
	c := load(t, "cluster.enable=true", "cluster.secret=sixteen letters.", "id=me", "consumer.instance.timeout.ms=60000")
	if !c.Cluster.Enabled || c.Cluster.ID != "me" || c.Cluster.Idle != time.Minute || c.Peer.TLS == nil {
		t.Errorf("the cluster's settings are %+v", c.Cluster)
	}
	if fault := loadFault(t, "cluster.lease.ms=5000"); !strings.Contains(fault, "9000") {
		t.Errorf("a lease that is too short: %s", fault)
	}
}
