package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// A node logs in by the keys of a keytab (GSSAPI), and gets new tickets before the last end. The
// access control lists hold for its principal. A keytab whose keys were renewed counts at once, and
// one that the KDC no longer takes is named by /readyz and by each answer.
func TestSecuredNodeLogsInByKerberos(t *testing.T) {
	needSecured(t)
	const life = 12 * time.Second
	kdc := testkit.StartKDC(t, life)
	t.Setenv("KRB5_CONFIG", kdc.Config)
	k, s := startTwo(t, testkit.SecuredOptions{KDC: kdc, Properties: map[string]string{
		"listener.name.clients.connections.max.reauth.ms": "4000", // so that tickets are shown again and again
	}})
	keytabs := map[string]string{}
	for _, user := range []string{"alice", "bob"} {
		keytabs[user] = kdc.Keytab(t, user+"@"+testkit.Realm)
	}
	k.properties = func(user string) []string {
		return []string{
			"bootstrap.servers=SASL_SSL://" + s.ClientAddr,
			"client.sasl.kerberos.service.name=kafka",
			fmt.Sprintf("client.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=%q principal=%q;", keytabs[user], user+"@"+testkit.Realm),
			"client.ssl.truststore.type=PEM",
			"client.ssl.truststore.location=" + s.File,
		}
	}
	_, url := k.start(t, "bob")
	k.canOnly(asker{t: t, url: url}, "bob", "alice")
	_, url = k.start(t, "alice")
	a := asker{t: t, url: url}
	k.canOnly(a, "alice", "bob")
	write := func() int {
		status, _ := a.ask("POST", "/topics/"+k.topics["alice"], `{"records":[{"value":"on"}]}`)
		return status
	}
	for end := time.Now().Add(2 * life); time.Now().Before(end); {
		if status := write(); status != 200 {
			t.Fatalf("%d, with tickets of %v", status, life)
		}
	}
	former := keytabs["alice"] + ".former"
	if err := os.Link(keytabs["alice"], former); err != nil {
		t.Fatal(err)
	}
	kdc.Renew(t, "alice@"+testkit.Realm, keytabs["alice"])
	for end := time.Now().Add(life); time.Now().Before(end); {
		if status := write(); status != 200 {
			t.Fatalf("%d, after the keys were renewed", status)
		}
	}

	keytabs["alice"] = former
	_, url = k.start(t, "alice")
	awaitReason(t, url, "KDC")
	wantAnswer(t, "GET", url+"/readyz", "", "503", "KDC", "refuses the credentials of this node")
	refused := asker{t: t, url: url}
	refused.want("GET", "/topics", "", 401, "40101")
	refused.want("POST", "/topics/"+k.topics["alice"], `{"records":[{"value":1}]}`, 401, "40101")
}

// Keys that the KDC no longer takes, and a principal that it does not know, are told apart from a
// service that is none: the first two are faults of the credentials of the node.
func TestSecuredKerberosRefuses(t *testing.T) {
	needSecured(t)
	kdc := testkit.StartKDC(t, time.Minute)
	keytab := kdc.Keytab(t, "alice@"+testkit.Realm)
	kdc.Keytab(t, "kafka/127.0.0.1@"+testkit.Realm)
	former := keytab + ".former"
	if err := os.Link(keytab, former); err != nil {
		t.Fatal(err)
	}
	kdc.Renew(t, "alice@"+testkit.Realm, keytab)
	for _, c := range []struct {
		keytab, principal string
		refused           bool
	}{{former, "alice", true}, {keytab, "nobody", true}, {keytab, "alice", false}} {
		m, err := kafka.Kerberos{Config: kdc.Config, Keytab: c.keytab, Principal: c.principal, Realm: testkit.Realm, Service: "kafka"}.Mechanism()
		if err != nil {
			t.Fatal(err)
		}
		defer m.(sasl.ClosingMechanism).Close()
		_, first, err := m.Authenticate(t.Context(), "127.0.0.1:9092")
		var none interface{ TokenRefused() (string, bool) }
		if !c.refused {
			if err != nil || len(first) == 0 {
				t.Errorf("%s: no ticket: %v", c.principal, err)
			}
			continue
		}
		if !errors.As(err, &none) {
			t.Fatalf("%s: %v", c.principal, err)
		}
		if by, refused := none.TokenRefused(); !refused || !strings.Contains(by, "KDC") {
			t.Errorf("%s: %v, %s", c.principal, err, by)
		}
	}
}
