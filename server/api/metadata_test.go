package api_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

func TestMetadataExchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		topic := testkit.CreateTopic(t, b, 3) // first, so that no view of the cluster lacks it
		s := start(t, b)
		testkit.RunExchanges(t, "testdata/metadata.txt", s.base, map[string]string{"topic": topic, "new": testkit.Topic(t)})
	})
}

func TestMetadataStrict(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) { o.rest.Strict = true })
	for _, path := range []string{"/topics/none", "/topics/none/partitions", "/topics/none/partitions/0", "/topics/none/partitions/0/offsets"} {
		s.do(t, "GET", path, "").want(t, 404, `{"error_code":40403,"message":"This server does not host this topic-partition."}`)
	}
}

// Reading metadata never creates a topic, though producing would.
func TestMetadataCreatesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	for _, path := range []string{"/topics/none", "/topics/none/partitions/0/offsets"} {
		s.do(t, "GET", path, "").want(t, 404, "40401")
	}
	s.do(t, "GET", "/topics", "").want(t, 200, "[]")
}

func TestMetadataForbidden(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "closed"))
	b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	s := start(t, b.Broker)
	s.do(t, "GET", "/topics/closed", "").want(t, 403, `{"error_code":40301,`)
	s.do(t, "GET", "/topics/closed/partitions", "").want(t, 200, `[{"partition":0,`) // needs no configuration
}

// An outage of the brokers shows at once: readiness is off, and no request waits.
func TestMetadataWithoutBrokers(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t, kfake.SeedTopics(1, "t"))
	s := start(t, b.Broker)
	s.do(t, "GET", "/topics", "").want(t, 200, `["t"]`)
	b.Close()
	testkit.Eventually(t, 10*time.Second, "readiness to be off", func() bool {
		return s.do(t, "GET", "/readyz", "").status == 503
	})
	began := time.Now()
	for _, path := range []string{"/readyz", "/topics", "/topics/t", "/topics/t/partitions/0/offsets", "/brokers"} {
		r := s.do(t, "GET", path, "").want(t, 503, `{"error_code":50303,`)
		if r.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	s.do(t, "GET", "/", "").want(t, 200, "{}")
	s.do(t, "GET", "/healthz", "").want(t, 200, "ok")
	if took := time.Since(began); took > 8*time.Second { // one request that waits takes 10 s
		t.Errorf("seven answers took %v", took)
	}
}
