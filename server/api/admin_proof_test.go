package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/sync/errgroup"

	"millrace/internal/testkit"
)

// proofProperties have brokers ask clients at the listener CLIENTS who they are, and let nobody but
// those at the other one do what no entry allows. Transactions may hang there: with the default no
// client can make one that does.
var proofProperties = map[string]string{
	"listener.security.protocol.map":                       "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENTS:SASL_PLAINTEXT",
	"authorizer.class.name":                                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
	"super.users":                                          "User:ANONYMOUS",
	"listener.name.clients.sasl.enabled.mechanisms":        "SCRAM-SHA-256",
	"listener.name.clients.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
	"connection.failed.authentication.delay.ms":            "20",
	"transaction.partition.verification.enable":            "false",
	"share.coordinator.state.topic.replication.factor":     "3",
	"share.coordinator.state.topic.min.isr":                "2",
	"group.consumer.heartbeat.interval.ms":                 "500",
	"group.consumer.min.heartbeat.interval.ms":             "500",
}

// proof is a node in front of three brokers.
type proof struct {
	*v3
	client  *kgo.Client // that asks a broker of its choice
	clients []string    // addresses where brokers ask who calls
}

// Changes by v3 are seen on three brokers from beginning to end, and by a second client.
func TestAdminProof(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_TEST_ADMIN", "what v3 does to a cluster was not tried on three brokers; `make admin-proof` does")
	brokers := testkit.StartKafkasWith(t, testkit.KafkasOptions{
		Brokers: 3, Flags: []string{"-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"},
		Advertised: []string{"", "", ""}, Properties: proofProperties,
	})
	p := &proof{v3: startV3(t, brokers[0].Broker), client: testkit.Client(t, brokers[0].Broker)}
	for _, k := range brokers {
		p.clients = append(p.clients, k.ClientAddr)
	}
	t.Run("reassignment", p.reassignment)
	t.Run("election", p.election)
	t.Run("groups", p.groups)
	t.Run("users and rights", p.usersAndRights)
	t.Run("hanging transaction", p.hangingTransaction)
	t.Run("features", p.features)
	t.Run("script", func(t *testing.T) { p.script(t, 50) })
	t.Run("lists", p.lists)
}

// topic creates a topic of one partition on brokers, the preferred leader first.
func (p *proof) topic(t *testing.T, brokers string) string {
	t.Helper()
	name := testkit.Topic(t)
	p.call(t, "POST", "/topics", `{"topic_name":"`+name+`","replicas_assignments":{"0":[`+brokers+`]}}`).want(t, 201, "")
	return name
}

// replicas asks every broker who has the partition, and who leads it. While they do not agree, as
// after a change, it returns nil and -1.
func (p *proof) replicas(t *testing.T, topic string) (all []int32, leader int32) {
	t.Helper()
	for broker := range 3 {
		req := kmsg.NewPtrMetadataRequest()
		named := kmsg.NewMetadataRequestTopic()
		named.Topic = &topic
		req.Topics = append(req.Topics, named)
		answer, err := p.client.Broker(broker+1).RetriableRequest(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		found := answer.(*kmsg.MetadataResponse).Topics
		if len(found) != 1 || len(found[0].Partitions) != 1 {
			return nil, -1
		}
		partition := found[0].Partitions[0]
		if broker > 0 && (!slices.Equal(partition.Replicas, all) || partition.Leader != leader) {
			return nil, -1
		}
		all, leader = partition.Replicas, partition.Leader
	}
	return all, leader
}

// reassignment moves a partition so slowly that it is seen, cancels, and moves it again to the end.
func (p *proof) reassignment(t *testing.T) {
	topic := p.topic(t, "1")
	client := testkit.Client(t, p.stack.broker)
	for range 32 { // 16 MB
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(strings.Repeat("x", 512<<10))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	p.call(t, "POST", "/topics/"+topic+"/configs:alter", `{"data":[{"name":"leader.replication.throttled.replicas","value":"*"},{"name":"follower.replication.throttled.replicas","value":"*"}]}`).want(t, 204, "")
	p.call(t, "POST", "/broker-configs:alter", `{"data":[{"name":"leader.replication.throttled.rate","value":"65536"},{"name":"follower.replication.throttled.rate","value":"65536"}]}`).want(t, 204, "")
	path := "/topics/" + topic + "/partitions/0/reassignment"
	for _, last := range []bool{false, true} {
		p.call(t, "PUT", path, `{"replicas":[2,3]}`).want(t, 204, "")
		for _, list := range []string{"/topics/-/partitions/-/reassignment", "/topics/" + topic + "/partitions/-/reassignment"} {
			p.call(t, "GET", list, "").want(t, 200, `"topic_name":"`+topic+`","partition_id":0,"adding_replicas":[2,3],"removing_replicas":[1]`)
		}
		p.call(t, "GET", path, "").wantAt(t, "adding_replicas/1", 3)
		if !last {
			p.call(t, "DELETE", path, "").want(t, 204, "")
			testkit.Eventually(t, time.Minute, "the cancellation", func() bool {
				all, _ := p.replicas(t, topic)
				return slices.Equal(all, []int32{1}) && p.call(t, "GET", path, "").status == 404
			})
		}
	}
	for _, name := range []string{"leader.replication.throttled.rate", "follower.replication.throttled.rate"} {
		p.call(t, "DELETE", "/broker-configs/"+name, "").want(t, 204, "")
	}
	testkit.Eventually(t, 2*time.Minute, "the end of the reassignment", func() bool {
		return p.call(t, "GET", path, "").status == 404
	})
	p.call(t, "GET", "/topics/-/partitions/-/reassignment", "").want(t, 200, `"data":[]`)
	testkit.Eventually(t, time.Minute, "the brokers to hear of it", func() bool {
		all, leader := p.replicas(t, topic)
		return slices.Equal(all, []int32{2, 3}) && leader != 1
	})
	p.call(t, "GET", "/topics/"+topic+"/partitions/0/replicas/1", "").want(t, 404, "")
	p.call(t, "GET", "/topics/"+topic+"/partitions/0/replicas", "").wantAt(t, "data/0/broker_id", 2).wantAt(t, "data/1/broker_id", 3)
}

// election makes another broker the preferred leader, and then the leader.
func (p *proof) election(t *testing.T) {
	topic := p.topic(t, "1,2,3")
	p.call(t, "PUT", "/topics/"+topic+"/partitions/0/reassignment", `{"replicas":[2,1,3]}`).want(t, 204, "")
	testkit.Eventually(t, time.Minute, "another preferred leader", func() bool {
		all, _ := p.replicas(t, topic)
		return slices.Equal(all, []int32{2, 1, 3})
	})
	if _, leader := p.replicas(t, topic); leader != 1 {
		t.Fatalf("%d leads already", leader)
	}
	p.call(t, "POST", "/topics/-/partitions/-/leader:elect", `{"data":[{"topic_name":"`+topic+`","partition_id":0}]}`).want(t, 200, `"failures":[]`)
	testkit.Eventually(t, time.Minute, "another leader", func() bool {
		_, leader := p.replicas(t, topic)
		return leader == 2
	})
	p.call(t, "GET", "/topics/"+topic+"/partitions/0/replicas/2", "").wantAt(t, "is_leader", true)
}

// groups lists and describes a group of each type, with a member that has the topic's partition.
func (p *proof) groups(t *testing.T) {
	topic := p.topic(t, "1,2,3")
	named := func(kind string) string { return strings.ToLower(kind) + "-" + topic }
	for _, opts := range [][]kgo.Opt{
		{kgo.ConsumerGroup(named("CLASSIC"))},
		{kgo.ConsumerGroup(named("CONSUMER")), kgo.ServerSideBalancer()},
		{kgo.ShareGroup(named("SHARE"))},
	} {
		client := testkit.Client(t, p.stack.broker, append(opts, kgo.ConsumeTopics(topic))...)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				client.PollFetches(ctx)
			}
		}()
	}
	stream := &streamsMember{client: testkit.Client(t, p.stack.broker), id: "member-" + topic, group: named("STREAMS"), topic: topic}
	for _, kind := range []string{"CLASSIC", "CONSUMER", "SHARE", "STREAMS"} {
		path := "/consumer-groups/" + named(kind)
		testkit.Eventually(t, time.Minute, "a member of the group of type "+kind, func() bool {
			if kind == "STREAMS" {
				stream.beat(t, p)
			}
			members := p.call(t, "GET", path+"/consumers", "")
			if members.status != 200 || strings.Contains(members.body, `"data":[]`) {
				return false
			}
			id, _ := members.at(t, "data/0/consumer_id").(string)
			return strings.Contains(p.call(t, "GET", path+"/consumers/"+id+"/assignments", "").body, `"topic_name":"`+topic+`","partition_id":0`)
		})
		p.call(t, "GET", path, "").wantAt(t, "type", kind).wantAt(t, "state", "STABLE").wantAt(t, "is_simple", false)
		p.call(t, "GET", "/consumer-groups", "").want(t, 200, `"consumer_group_id":"`+named(kind)+`"`)
		p.call(t, "DELETE", path, "").want(t, 400, "has members")
	}
}

// streamsMember is a member of a group of Kafka Streams, as far as its coordinator can tell.
type streamsMember struct {
	client           *kgo.Client
	id, group, topic string
	epoch            int32
}

// beat sends a heartbeat, the first of which joins the group.
func (m *streamsMember) beat(t *testing.T, p *proof) {
	t.Helper()
	found := p.admin.FindGroupCoordinators(t.Context(), m.group)[m.group]
	if found.Err != nil {
		return
	}
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = m.group, m.id, m.epoch
	if m.epoch == 0 {
		sub := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		sub.SubtopologyID, sub.SourceTopics = "0", []string{m.topic}
		topology := kmsg.NewStreamsGroupHeartbeatRequestTopology()
		topology.Subtopologies = append(topology.Subtopologies, sub)
		req.Topology, req.ProcessID = &topology, &m.id
		req.RebalanceTimeoutMillis = 60_000
	}
	req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	resp, err := req.RequestWith(t.Context(), m.client.Broker(int(found.NodeID)))
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		t.Logf("a heartbeat: %v", err)
		return
	}
	m.epoch = resp.MemberEpoch
}

// usersAndRights makes a user of SCRAM who logs in, and may do what entries allow her, until they
// are deleted.
func (p *proof) usersAndRights(t *testing.T) {
	topic := p.topic(t, "1,2,3")
	p.call(t, "PUT", "/scram-users/alice", `{"mechanism":"SCRAM-SHA-256","password":"of-alice"}`).want(t, 204, "")
	write := func(password string) error {
		client := testkit.Client(t, testkit.Broker{Name: "kafka", Addrs: p.clients}, kgo.SASL(scram.Auth{User: "alice", Pass: password}.AsSha256Mechanism()),
			kgo.DisableIdempotentWrite(), kgo.RecordRetries(0), kgo.UnknownTopicRetries(0))
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := client.Ping(ctx); err != nil {
			return err
		}
		return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("of alice")}).FirstErr()
	}
	refused := func(what string, password string, want error) {
		t.Helper()
		testkit.Eventually(t, time.Minute, what, func() bool {
			err := write(password)
			return err != nil && strings.Contains(err.Error(), want.Error())
		})
	}
	refused("the refusal of a user without rights", "of-alice", kerr.TopicAuthorizationFailed)
	refused("the refusal of a wrong password", "of-bob", kerr.SaslAuthenticationFailed)
	entry := `{"resource_type":"TOPIC","resource_name":"` + topic + `","pattern_type":"LITERAL","principal":"User:alice","host":"*","permission":"ALLOW","operation":`
	p.call(t, "POST", "/acls:batch", `{"data":[`+entry+`"WRITE"},`+entry+`"DESCRIBE"}]}`).want(t, 201, "")
	p.call(t, "GET", "/acls?principal=User:alice", "").wantAt(t, "data/0/resource_name", topic).wantAt(t, "data/1/permission", "ALLOW")
	testkit.Eventually(t, time.Minute, "the right to write", func() bool { return write("of-alice") == nil })
	p.call(t, "DELETE", "/acls?resource_type=TOPIC&resource_name="+topic+"&pattern_type=LITERAL&operation=ANY&permission=ANY", "").want(t, 200, `"operation":"WRITE"`)
	refused("the end of the right", "of-alice", kerr.TopicAuthorizationFailed)
	p.call(t, "DELETE", "/scram-users/alice?mechanism=SCRAM-SHA-256", "").want(t, 204, "")
	refused("the end of the user", "of-alice", kerr.SaslAuthenticationFailed)
}

// hangingTransaction has a producer write in a transaction that its coordinator knows nothing of,
// which only an abort ends.
func (p *proof) hangingTransaction(t *testing.T) {
	topic := p.topic(t, "1,2,3")
	client := testkit.Client(t, p.stack.broker, kgo.TransactionalID(topic), kgo.MaxVersions(kversion.V3_5_0()))
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("committed")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	var start int64
	testkit.Eventually(t, time.Minute, "the marker of the commit", func() bool {
		start = p.stable(t, topic)
		return start == 2
	})
	p.writeUnannounced(t, client, topic)
	if at := p.stable(t, topic); at != start {
		t.Fatalf("committed up to %d, want %d: nothing hangs", at, start)
	}
	hanging := "/topics/" + topic + "/hanging-transactions?idle_ms=0"
	p.call(t, "GET", hanging, "").wantAt(t, "data/0/start_offset", start).wantAt(t, "data/0/partition_id", 0).wantAt(t, "data/0/transactional_id", topic)
	p.call(t, "GET", "/topics/-/hanging-transactions?idle_ms=0", "").want(t, 200, `"topic_name":"`+topic+`"`)
	p.call(t, "POST", "/topics/"+topic+"/partitions/0/transactions:abort", fmt.Sprintf(`{"start_offset":%d}`, start)).want(t, 204, "")
	testkit.Eventually(t, time.Minute, "the end of the transaction", func() bool { return p.stable(t, topic) == start+2 })
	p.call(t, "GET", hanging, "").want(t, 200, `"data":[]`)
}

// writeUnannounced writes a record of a transaction that the coordinator has not been told of.
func (p *proof) writeUnannounced(t *testing.T, client *kgo.Client, topic string) {
	t.Helper()
	id, epoch, err := client.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := kmsg.NewRecord()
	r.Value = []byte("hangs")
	r.Length = int32(len(r.AppendTo(nil)) - 1) // without itself
	now := time.Now().UnixMilli()
	const transactional = 1 << 4
	req := testkit.ProduceRequest(topic, 0, testkit.EncodeBatch(kmsg.RecordBatch{
		Attributes: transactional, FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: id, ProducerEpoch: epoch, FirstSequence: 1, NumRecords: 1, Records: r.AppendTo(nil),
	}))
	req.TransactionID = &topic
	_, leader := p.replicas(t, topic)
	if err := testkit.SendProduce(t.Context(), client.Broker(int(leader)), req); err != nil {
		t.Fatal(err)
	}
}

// lists asks for long lists.
func (p *proof) lists(t *testing.T) {
	const topics, groups = 1000, 500
	var names []string
	for i := range topics {
		names = append(names, fmt.Sprintf("listed-%04d", i))
	}
	if made, err := p.admin.CreateTopics(t.Context(), 1, 1, nil, names...); err != nil || made.Error() != nil {
		t.Fatal(err, made.Error())
	}
	testkit.Eventually(t, time.Minute, "all topics", func() bool {
		found, err := p.admin.ListTopics(t.Context(), names...)
		return err == nil && found.Error() == nil
	})
	ids := make(chan string, groups)
	for i := range groups {
		ids <- fmt.Sprintf("listed-%03d", i)
	}
	close(ids)
	var commits errgroup.Group
	for range 16 {
		commits.Go(func() error {
			for id := range ids {
				var offsets kadm.Offsets
				offsets.AddOffset(names[0], 0, 0, -1)
				if err := p.admin.CommitAllOffsets(t.Context(), id, offsets); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := commits.Wait(); err != nil {
		t.Fatal(err)
	}
	p.soonListed(t, "/topics", topics, p.allTopics)
	p.soonListed(t, "/topics?include_authorized_operations=true", topics, p.allTopics)
	p.soonListed(t, "/topics/-/partitions/-/reassignment", 0, p.allTopics)
	p.soonListed(t, "/topics/-/configs", 30*topics, func(ctx context.Context) error {
		_, err := p.admin.DescribeTopicConfigs(ctx, names...)
		return err
	})
	p.soonListed(t, "/consumer-groups", groups, func(ctx context.Context) error {
		listed, err := p.admin.ListGroups(ctx)
		if err != nil {
			return err
		}
		_, err = p.admin.DescribeGroups(ctx, listed.Groups()...)
		return err
	})
}

// features lists what three brokers support, and has them check a change.
func (p *proof) features(t *testing.T) {
	list := p.call(t, "GET", "/features", "").want(t, 200, `"feature_name":"metadata.version"`)
	p.call(t, "POST", "/features:update", `{"validate_only":true,"data":[{"feature_name":"share.version","version":0,"type":"SAFE_DOWNGRADE"}]}`).want(t, 204, "")
	if now := p.call(t, "GET", "/features", ""); now.body != list.body {
		t.Errorf("the features have changed from %s to %s", list.body, now.body)
	}
}
