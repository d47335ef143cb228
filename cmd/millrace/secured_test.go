package main

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/testkit"
)

// needSecured skips t unless tests on a Kafka that asks its clients who they are were asked for.
func needSecured(t *testing.T) {
	t.Helper()
	testkit.OnDemand(t, "MILLRACE_TEST_SECURED", "a Kafka with TLS, SCRAM, OAUTHBEARER and access control lists was not tried: `make secured` does")
}

// two is a Kafka for two users, each of whom may use one topic and one group.
type two struct {
	addr, shared   string                     // of kfake: its address, a topic for both
	wrong          int                        // status of a wrong password: kfake just hangs up
	cluster        string                     // its id
	properties     func(user string) []string // of a node that logs in as the user
	topics, groups map[string]string          // by user
}

// The passwords of the users, which tests also look for where they must not be.
var passwords = map[string]string{"node": "planted-node-0f", "alice": "planted-alice-1f", "bob": "planted-bob-2f"}

// startTwo starts a real Kafka.
func startTwo(t *testing.T, o testkit.SecuredOptions) (*two, *testkit.Secured) {
	t.Helper()
	o.Users = passwords
	s := testkit.StartSecured(t, o)
	k := &two{wrong: 401, cluster: testkit.ClusterID, properties: s.Properties, topics: map[string]string{}, groups: map[string]string{}}
	for _, user := range []string{"alice", "bob"} {
		k.topics[user], k.groups[user] = s.Topic(t), testkit.Group(t)
		s.Allow(t, user, []string{k.topics[user]}, kadm.OpRead, kadm.OpWrite, kadm.OpDescribe, kadm.OpAlterConfigs, kadm.OpDescribeConfigs)
		s.Allow(t, user, []string{k.groups[user]}, kadm.OpRead, kadm.OpDescribe)
		s.Allow(t, user, []string{"cluster"}, kadm.OpIdempotentWrite)
		s.Allow(t, "node", []string{k.topics[user], k.groups[user]}, kadm.OpAll)
	}
	return k, s
}

// fakeTwo starts a Kafka in this process, without TLS.
func fakeTwo(t *testing.T) *two {
	t.Helper()
	k := &two{wrong: 503, cluster: "fake", shared: testkit.Topic(t), topics: map[string]string{}, groups: map[string]string{}}
	opts := []kfake.Opt{kfake.ClusterID("fake"), kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-512", "node", passwords["node"]), kfake.SeedTopics(1, k.shared)}
	for _, user := range []string{"alice", "bob"} {
		k.topics[user], k.groups[user] = testkit.Topic(t), testkit.Group(t)
		acls := []kfake.ACL{{Pattern: kmsg.ACLResourcePatternTypeLiteral, Resource: kmsg.ACLResourceTypeCluster, Name: "kafka-cluster", Operation: kmsg.ACLOperationIdempotentWrite, Allow: true}}
		for _, op := range []kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationAlterConfigs, kmsg.ACLOperationDescribeConfigs} {
			acls = append(acls, kfake.ACL{Pattern: kmsg.ACLResourcePatternTypeLiteral, Resource: kmsg.ACLResourceTypeTopic, Name: k.topics[user], Operation: op, Allow: true})
		}
		for _, op := range []kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationDescribe} {
			acls = append(acls, kfake.ACL{Pattern: kmsg.ACLResourcePatternTypeLiteral, Resource: kmsg.ACLResourceTypeGroup, Name: k.groups[user], Operation: op, Allow: true})
		}
		acls = append(acls, kfake.ACL{Pattern: kmsg.ACLResourcePatternTypeLiteral, Resource: kmsg.ACLResourceTypeTopic, Name: k.shared, Operation: kmsg.ACLOperationWrite, Allow: true})
		opts = append(opts, kfake.User("SCRAM-SHA-512", user, passwords[user], acls...), kfake.SeedTopics(1, k.topics[user]))
	}
	fake := testkit.Fake(t, opts...)
	k.addr = fake.Addrs[0]
	k.properties = func(user string) []string {
		return []string{
			"bootstrap.servers=SASL_PLAINTEXT://" + fake.Addrs[0], "client.sasl.mechanism=SCRAM-SHA-512",
			fmt.Sprintf("client.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=%q password=%q;", user, passwords[user]),
		}
	}
	return k
}

// start starts a node with the lines of properties beside those by which it logs in as the user.
func (k *two) start(t *testing.T, user string, lines ...string) (p *testkit.Process, url string) {
	t.Helper()
	args := []string{"serve", "--set=listeners=http://127.0.0.1:0"}
	for _, line := range append(k.properties(user), lines...) {
		args = append(args, "--set="+line)
	}
	p = testkit.StartMillrace(t, args...)
	return p, p.WaitLine(t, `msg=serving addresses=\[(http://[^\]]+)\]`, 20*time.Second)[1]
}

// asker sends requests to a node with the same headers.
type asker struct {
	t       *testing.T
	url     string
	headers []string // "Name: value"
	client  *http.Client
}

func (a asker) ask(method, path, body string) (int, string) {
	a.t.Helper()
	req, err := http.NewRequest(method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	switch {
	case body != "" && strings.HasPrefix(path, "/topics"):
		req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	case body != "" && strings.HasPrefix(path, "/consumers"):
		req.Header.Set("Content-Type", "application/vnd.kafka.v2+json")
	case body != "":
		req.Header.Set("Content-Type", "application/json")
	}
	if strings.Contains(path, "/records") && method == "GET" {
		req.Header.Set("Accept", "application/vnd.kafka.json.v2+json")
	}
	for _, h := range a.headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := cmp.Or(a.client, http.DefaultClient).Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// want fails unless the response has the status and contains text.
func (a asker) want(method, path, body string, status int, text string) string {
	a.t.Helper()
	got, answer := a.ask(method, path, body)
	if got != status || !strings.Contains(answer, text) {
		a.t.Errorf("%s %s: got %d %s\nwant %d with %q", method, path, got, answer, status, text)
	}
	return answer
}

// canOnly fails unless the asker can do to its own topic and group all that the access control
// lists allow, and nothing to those of the other.
func (k *two) canOnly(a asker, user, other string) {
	a.t.Helper()
	own, foreign := k.topics[user], k.topics[other]
	a.want("POST", "/topics/"+own, `{"records":[{"value":"of `+user+`"}]}`, 200, `"offset":0`)
	a.want("POST", "/topics/"+foreign, `{"records":[{"value":1}]}`, 403, "40301")
	a.want("GET", "/topics/"+own, "", 200, own)
	a.want("GET", "/topics/"+foreign, "", 403, "40301")
	if list := a.want("GET", "/topics", "", 200, own); strings.Contains(list, foreign) {
		a.t.Errorf("%s sees the topic of %s: %s", user, other, list)
	}
	v3 := "/v3/clusters/" + k.cluster
	if list := a.want("GET", v3+"/topics", "", 200, own); strings.Contains(list, foreign) {
		a.t.Errorf("%s sees the topic of %s: %s", user, other, list)
	}
	a.want("POST", v3+"/topics/"+own+"/records", `{"value":{"type":"JSON","data":1}}`, 200, `"offset":1`)
	a.want("PUT", v3+"/topics/"+own+"/configs/retention.ms", `{"value":"60000"}`, 204, "")
	a.want("PUT", v3+"/topics/"+foreign+"/configs/retention.ms", `{"value":"60000"}`, 403, "")
	a.want("DELETE", v3+"/topics/"+own, "", 403, "") // which no list allows
	a.want("GET", "/topics/"+own+"/partitions/0/records?offset=0", "", 200, "of "+user)
	a.want("GET", "/topics/"+foreign+"/partitions/0/records?offset=0", "", 403, "")
	k.consumes(a, user, other)
}

// consumes is canOnly for consumer instances.
func (k *two) consumes(a asker, user, other string) {
	a.t.Helper()
	own, foreign := "/consumers/"+k.groups[user], "/consumers/"+k.groups[other]
	instance := `{"name":"` + user + `","format":"json","auto.offset.reset":"earliest"}`
	a.want("POST", own, instance, 200, user)
	a.want("POST", own+"/instances/"+user+"/subscription", `{"topics":["`+k.topics[user]+`"]}`, 204, "")
	testkit.Eventually(a.t, time.Minute, "records of the own topic", func() bool {
		status, text := a.ask("GET", own+"/instances/"+user+"/records", "")
		return status == 200 && strings.Contains(text, "of "+user)
	})
	a.want("POST", own+"/instances/"+user+"/offsets", "", 200, "")
	a.want("DELETE", own+"/instances/"+user, "", 204, "")

	a.want("POST", foreign, `{"name":"x`+user+`","format":"json","auto.offset.reset":"earliest"}`, 200, "")
	path := foreign + "/instances/x" + user
	a.want("POST", path+"/subscription", `{"topics":["`+k.topics[user]+`"]}`, 204, "")
	testkit.Eventually(a.t, time.Minute, "the refusal of another's group", func() bool {
		status, _ := a.ask("GET", path+"/records", "")
		return status == 403
	})
	a.want("DELETE", path, "", 204, "")
	a.want("POST", own, `{"name":"y`+user+`","format":"json","auto.offset.reset":"earliest"}`, 200, "")
	path = own + "/instances/y" + user
	a.want("POST", path+"/subscription", `{"topics":["`+k.topics[other]+`"]}`, 204, "")
	testkit.Eventually(a.t, time.Minute, "the refusal of another's topic", func() bool {
		status, _ := a.ask("GET", path+"/records", "")
		return status == 403
	})
	a.want("DELETE", path, "", 204, "")
}

// Access control lists of Kafka hold through millrace, for the principal of the node: to produce,
// to consume, to administer and in what is listed.
func TestAccessControlListsHold(t *testing.T) {
	needSecured(t)
	k, _ := startTwo(t, testkit.SecuredOptions{})
	for user, other := range map[string]string{"alice": "bob", "bob": "alice"} {
		_, url := k.start(t, user)
		k.canOnly(asker{t: t, url: url}, user, other)
	}
}

// as returns an asker that shows a name and a password.
func as(t *testing.T, url, name, password string) asker {
	return asker{t: t, url: url, headers: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}}
}

// The name and password of a caller reach Kafka, which checks them, and whose access control lists
// hold for that caller: the rights of the node, which has all, never take their place.
func TestCallersUseKafkaAsThemselves(t *testing.T) {
	t.Parallel()
	fakeTwo(t).delegates(t)
}

// The same on a real Kafka.
func TestAccessControlListsHoldForCallers(t *testing.T) {
	needSecured(t)
	k, _ := startTwo(t, testkit.SecuredOptions{})
	k.delegates(t)
}

func (k *two) delegates(t *testing.T) {
	t.Helper()
	p, url := k.start(t, "node", "authentication.kafka.passwords=SCRAM-SHA-512")
	none := asker{t: t, url: url}
	none.want("GET", "/topics", "", 401, "40101")
	none.want("GET", "/healthz", "", 200, "")
	as(t, url, "alice", "wrong").want("GET", "/topics", "", k.wrong, "")
	as(t, url, "nobody", "wrong").want("POST", "/topics/"+k.topics["alice"], `{"records":[{"value":1}]}`, k.wrong, "")
	as(t, url, "bob", passwords["alice"]).want("GET", "/topics", "", k.wrong, "")
	for user, other := range map[string]string{"alice": "bob", "bob": "alice"} {
		k.canOnly(as(t, url, user, passwords[user]), user, other)
	}
	log := p.Output()
	for user, secret := range passwords {
		if strings.Contains(log, secret) || strings.Contains(log, base64.StdEncoding.EncodeToString([]byte(user+":"+secret))) {
			t.Errorf("the log shows the password of %s", user)
		}
	}
}
