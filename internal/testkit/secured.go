package testkit

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Secured is a real Kafka that asks its clients who they are, over TLS, and lets nobody do what no
// access control list allows (StandardAuthorizer). Its own listener, of the embedded
// [Kafka.Addrs], is for the test alone: who comes there may do everything.
type Secured struct {
	*Kafka
	*Authority
	// Admin is a super user.
	Admin *kadm.Client
	// Client is that of Admin.
	Client *kgo.Client

	users map[string]string
}

// SecuredOptions say how a [Secured] is started.
type SecuredOptions struct {
	// Users are names with passwords, of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. A password has no
	// quotation marks and no backslashes.
	Users map[string]string
	// Issuer, if not nil, signs the tokens that OAUTHBEARER accepts.
	Issuer *Issuer
	// KDC, if not nil, gives the tickets that GSSAPI accepts.
	KDC *KDC
	// Properties are added to the broker's server.properties, over ours.
	Properties map[string]string
}

// StartSecured starts such a Kafka, which belongs to t alone, and adds the users. Topics are
// created by nobody but [Secured.Admin] and those that an access control list allows it.
// Without Java the test is skipped with a loud line; with CI=1 it fails.
func StartSecured(t testing.TB, o SecuredOptions) *Secured {
	t.Helper()
	authority, err := NewAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{"-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
	set := securedProperties(authority, o.Users)
	if o.Issuer != nil {
		maps.Copy(set, o.Issuer.properties())
		flags = append(flags, "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls="+o.Issuer.KeysURL())
	}
	if o.KDC != nil {
		maps.Copy(set, o.KDC.properties(t))
		flags = append(flags, "-Djava.security.krb5.conf="+o.KDC.Config)
	}
	maps.Copy(set, o.Properties)
	k := StartKafkasWith(t, KafkasOptions{Brokers: 1, Flags: flags, Advertised: []string{""}, Properties: set})[0]
	client, err := kgo.NewClient(kgo.DisableClientMetrics(), kgo.SeedBrokers(k.Addrs...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s := &Secured{Kafka: k, Authority: authority, Client: client, Admin: kadm.NewClient(client), users: o.Users}
	for _, name := range slices.Sorted(maps.Keys(o.Users)) {
		s.SetPassword(t, name, o.Users[name])
	}
	return s
}

// securedProperties are those of the listener CLIENTS, and of the authorizer.
func securedProperties(a *Authority, users map[string]string) map[string]string {
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, name := range slices.Sorted(maps.Keys(users)) {
		plain += fmt.Sprintf(" user_%s=%q", name, users[name])
	}
	const listener, scramModule = "listener.name.clients.", "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	return map[string]string{
		"listener.security.protocol.map":            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENTS:SASL_SSL",
		"authorizer.class.name":                     "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                               "User:ANONYMOUS", // of the listeners that ask nobody
		"auto.create.topics.enable":                 "false",
		"connection.failed.authentication.delay.ms": "20",
		listener + "ssl.keystore.type":              "PEM",
		listener + "ssl.keystore.location":          a.KeyFile,
		listener + "sasl.enabled.mechanisms":        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		listener + "plain.sasl.jaas.config":         plain + ";",
		listener + "scram-sha-256.sasl.jaas.config": scramModule,
		listener + "scram-sha-512.sasl.jaas.config": scramModule,
		listener + "connections.max.reauth.ms":      "3600000", // a connection ends with its token
	}
}

// SetPassword gives a user another password for SCRAM, and returns when Kafka takes it.
func (s *Secured) SetPassword(t testing.TB, name, password string) {
	t.Helper()
	for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} { // one a request
		done, err := s.Admin.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: name, Mechanism: m, Iterations: 4096, Password: password}})
		if err == nil {
			err = done.Error()
		}
		if err != nil {
			t.Fatalf("cannot set the password of %s: %v", name, err)
		}
	}
	login := kgo.SASL(scram.Auth{User: name, Pass: password}.AsSha512Mechanism())
	Eventually(t, time.Minute, "Kafka to take the password of "+name, func() bool {
		client, err := kgo.NewClient(kgo.DisableClientMetrics(), kgo.SeedBrokers(s.ClientAddr), kgo.DialTLSConfig(&tls.Config{RootCAs: s.Pool}), login, kgo.RequestRetries(0))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return client.Ping(ctx) == nil
	})
}

// Properties are the lines of kafka-rest.properties by which a node logs in with SCRAM-SHA-512 as
// one of the users.
func (s *Secured) Properties(user string) []string {
	return []string{
		"bootstrap.servers=SASL_SSL://" + s.ClientAddr,
		"client.sasl.mechanism=SCRAM-SHA-512",
		fmt.Sprintf("client.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=%q password=%q;", user, s.users[user]),
		"client.ssl.truststore.type=PEM",
		"client.ssl.truststore.location=" + s.File,
	}
}

// Topic creates a topic of one partition for t, and returns its name.
func (s *Secured) Topic(t testing.TB) string {
	t.Helper()
	return CreateTopic(t, s.Broker, 1)
}

// Allow has an access control list allow a user the operations on topics, groups (those with the
// prefix "group-"), or the cluster ("cluster"). It returns when Kafka's broker knows of them.
func (s *Secured) Allow(t testing.TB, user string, resources []string, operations ...kadm.ACLOperation) {
	t.Helper()
	acls := kadm.NewACLs().Allow("User:" + user).AllowHosts("*").ResourcePatternType(kadm.ACLPatternLiteral).Operations(operations...)
	var topics, groups []string
	for _, name := range resources {
		switch {
		case name == "cluster":
			acls = acls.Clusters()
		case strings.HasPrefix(name, "group-"):
			groups = append(groups, name)
		default:
			topics = append(topics, name)
		}
	}
	if len(topics) > 0 {
		acls = acls.Topics(topics...)
	}
	if len(groups) > 0 {
		acls = acls.Groups(groups...)
	}
	created, err := s.Admin.CreateACLs(t.Context(), acls)
	if err != nil {
		t.Fatalf("cannot allow %s anything: %v", user, err)
	}
	for _, c := range created {
		if c.Err != nil {
			t.Fatalf("cannot allow %s anything: %v", user, c.Err)
		}
	}
	Eventually(t, time.Minute, "the access control lists of "+user, func() bool {
		found, err := s.Admin.DescribeACLs(t.Context(), acls)
		if err != nil {
			return false
		}
		for _, f := range found {
			if f.Err != nil || len(f.Described) == 0 {
				return false
			}
		}
		return true
	})
}
