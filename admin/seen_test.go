package admin_test

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/admin"
	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// A change of many topics is answered when the brokers show what was taken, also where they have
// refused others.
func TestChangeOfSomeTopicsIsSeen(t *testing.T) {
	f := testkit.Fake(t)
	const behind = 3
	var asked atomic.Int32
	value := "5000"
	f.ControlKey(int16(kmsg.IncrementalAlterConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		for _, of := range req.(*kmsg.IncrementalAlterConfigsRequest).Resources {
			r := kmsg.NewIncrementalAlterConfigsResponseResource()
			r.ResourceType, r.ResourceName = of.ResourceType, of.ResourceName
			if of.ResourceName != "good" {
				r.ErrorCode = kerr.UnknownTopicOrPartition.Code
			}
			resp.Resources = append(resp.Resources, r)
		}
		return resp, nil, true
	})
	f.ControlKey(int16(kmsg.DescribeConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "good"
		if asked.Add(1) == behind { // until then it shows nothing of the change
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Value = "retention.ms", &value
			r.Configs = append(r.Configs, c)
		}
		resp.Resources = append(resp.Resources, r)
		return resp, nil, true
	})
	client, err := kafka.NewAdmin(kafka.Settings{Brokers: f.Broker.Addrs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	changes := map[string][]admin.SetConfig{}
	for _, topic := range []string{"good", "b", "c", "d", "e", "f", "g", "h"} {
		changes[topic] = []admin.SetConfig{{Name: "retention.ms", Value: &value}}
	}
	refused, err := admin.New(client, admin.Settings{}, admin.Deps{}).AlterConfigs(t.Context(), admin.OfTopic, changes, false)
	if err != nil || len(refused) != len(changes)-1 || refused["good"] != nil {
		t.Errorf("refused %v, error %v", refused, err)
	}
	if n := asked.Load(); n != behind {
		t.Errorf("%d looks at the topic, want %d", n, behind)
	}
}
