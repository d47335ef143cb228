package api_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// declared is what a script wants of a topic.
type declared struct {
	name       string
	partitions int
	retention  string
}

// apply has the cluster be as declared, as tools such as Terraform do: it reads, compares, and
// changes what differs. It returns how many changes that took.
func (s *v3) apply(t *testing.T, all []declared) (changes int) {
	t.Helper()
	change := func(method, path, body string, status int) {
		t.Helper()
		changes++
		s.call(t, method, path, body).want(t, status, "")
	}
	for _, d := range all {
		path := "/topics/" + d.name
		retention := path + "/configs/retention.ms"
		now := s.call(t, "GET", path, "")
		if now.status == 404 {
			change("POST", "/topics", fmt.Sprintf(`{"topic_name":%q,"partitions_count":%d,"configs":[{"name":"retention.ms","value":%q}]}`, d.name, d.partitions, d.retention), 201)
			continue
		}
		if fmt.Sprint(now.at(t, "partitions_count")) != fmt.Sprint(d.partitions) {
			change("PATCH", path, fmt.Sprintf(`{"partitions_count":%d}`, d.partitions), 200)
		}
		if s.call(t, "GET", retention, "").at(t, "value") != d.retention {
			change("PUT", retention, fmt.Sprintf(`{"value":%q}`, d.retention), 204)
		}
		acl := fmt.Sprintf("resource_type=TOPIC&resource_name=%s&pattern_type=LITERAL&principal=User:%s&host=*&operation=READ&permission=ALLOW", d.name, d.name)
		if strings.Contains(s.call(t, "GET", "/acls?"+acl, "").body, `"data":[]`) {
			change("POST", "/acls", fmt.Sprintf(`{"resource_type":"TOPIC","resource_name":%q,"pattern_type":"LITERAL","principal":"User:%s","host":"*","operation":"READ","permission":"ALLOW"}`, d.name, d.name), 201)
		}
	}
	return changes
}

// A script that declares topics, their settings and rights ends where nothing is left to change.
func TestV3Script(t *testing.T) {
	t.Parallel()
	startV3(t, testkit.Fake(t).Broker).script(t, 20)
}

// script declares topics, the same again, others, and none.
func (s *v3) script(t *testing.T, topics int) {
	t.Helper()
	var all []declared
	for i := range topics {
		all = append(all, declared{fmt.Sprintf("%s%02d", declaredPrefix, i), 1 + i%3, "3600000"})
	}
	if n := s.apply(t, all); n != topics {
		t.Errorf("%d changes, want %d topics created", n, topics)
	}
	if n := s.apply(t, all); n != topics {
		t.Errorf("%d changes, want %d rights created", n, topics)
	}
	if n := s.apply(t, all); n != 0 {
		t.Errorf("%d changes, want none: all is as declared", n)
	}
	for i := range all {
		all[i].partitions++
		all[i].retention = "7200000"
	}
	if n := s.apply(t, all); n != 2*topics {
		t.Errorf("%d changes, want %d", n, 2*topics)
	}
	if n := s.apply(t, all); n != 0 {
		t.Errorf("%d changes, want none: all is as declared", n)
	}
	s.asDeclared(t, all)
	for _, d := range all {
		s.call(t, "DELETE", "/topics/"+d.name, "").want(t, 204, "")
	}
	s.call(t, "DELETE", "/acls?resource_type=TOPIC&pattern_type=ANY&operation=ANY&permission=ANY", "").want(t, 200, "KafkaAcl")
	s.asDeclared(t, nil)
}

// declaredPrefix begins the names of the topics of a script.
const declaredPrefix = "declared-"

// asDeclared asks Kafka itself, whose brokers hear of a change one after another.
func (s *v3) asDeclared(t *testing.T, all []declared) {
	t.Helper()
	var topics kadm.TopicDetails
	testkit.Eventually(t, 30*time.Second, fmt.Sprintf("%d topics and rights", len(all)), func() bool {
		var err error
		if topics, err = s.admin.ListTopics(t.Context()); err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(topics, func(name string, _ kadm.TopicDetail) bool { return !strings.HasPrefix(name, declaredPrefix) })
		return len(topics) == len(all) && len(s.acls(t)) == len(all)
	})
	if len(all) == 0 {
		return
	}
	configs, err := s.admin.DescribeTopicConfigs(t.Context(), topics.Names()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if n := len(topics[d.name].Partitions); n != d.partitions {
			t.Errorf("%s has %d partitions, want %d", d.name, n, d.partitions)
		}
		of, err := configs.On(d.name, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range of.Configs {
			if c.Key == "retention.ms" && c.MaybeValue() != d.retention {
				t.Errorf("%s has retention %s, want %s", d.name, c.MaybeValue(), d.retention)
			}
		}
	}
}

// acls asks Kafka for all rights.
func (s *v3) acls(t *testing.T) (all []kadm.DescribedACL) {
	t.Helper()
	b := kadm.NewACLs().AnyResource().ResourcePatternType(kmsg.ACLResourcePatternTypeAny).Operations(kmsg.ACLOperationAny).Allow().AllowHosts().Deny().DenyHosts()
	results, err := s.admin.DescribeACLs(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		all = append(all, r.Described...)
	}
	return all
}

// A list of a thousand topics takes little longer than the broker's own time.
func TestV3ListsAThousandTopics(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("topic-%04d", i))
	}
	s := startV3(t, testkit.Fake(t, kfake.SeedTopics(1, names...)).Broker)
	s.soonListed(t, "/topics", 1000, s.allTopics)
}

func (s *v3) allTopics(ctx context.Context) error {
	_, err := s.admin.ListTopics(ctx)
	return err
}

// soonListed fails t unless a list of that many takes at most a second more than Kafka itself takes
// for own, at one of some tries: the machine may have other things to do.
func (s *v3) soonListed(t *testing.T, path string, count int, own func(context.Context) error) {
	t.Helper()
	var it, ours time.Duration
	testkit.Eventually(t, time.Minute, "a list of "+path+" in time", func() bool {
		began := time.Now()
		if err := own(t.Context()); err != nil {
			t.Fatal(err)
		}
		it, began = time.Since(began), time.Now()
		body := s.call(t, "GET", path, "").want(t, 200, "").body
		ours = time.Since(began)
		if n := strings.Count(body, `"metadata":{"self"`) - 1; n < count {
			t.Fatalf("GET %s has %d elements, want %d", path, n, count)
		}
		return ours <= it+time.Second
	})
	t.Logf("GET %s: %v, Kafka itself %v", path, ours.Round(time.Millisecond), it.Round(time.Millisecond))
}
