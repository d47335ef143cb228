package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccessSettings sets up names and passwords as for the Confluent proxy, and finds each fault.
func TestAccessSettings(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := file("users", "alice: OBF:1v2j1uum1xtv1zej1zer1xtn1uvk1v1v,admin\n")
	jaas := file("jaas.conf", "/* of Java */\nKafkaRest {\n  org.eclipse.jetty.jaas.spi.PropertyFileLoginModule required\n    debug=\"true\"\n    file=\""+users+"\";\n};\n")
	bad := file("bad", "alice: CRYPT:ab\n")
	rules := file("rules.yaml", "rules:\n  - who: [user:alice]\n    allow: [all]\n")

	c := load(t, "authentication.method=BASIC", "authentication.realm=KafkaRest", "authentication.jaas.file="+jaas, "authentication.roles=admin")
	if c.Access.Passwords != users || !c.Access.Enabled() {
		t.Errorf("the JAAS file leads to %q", c.Access.Passwords)
	}
	if c := load(t); c.Access.Enabled() {
		t.Error("callers are asked without any setting")
	}
	c = load(t, "authorization.rules.file="+rules, "authentication.passwords.file="+users)
	if c.Access.Rules != rules {
		t.Error("the file of rules is not stored")
	}
	c = load(t, "rate.limit.enable=true", "rate.limit.permits.per.sec=7", "dos.filter.enabled=true", "dos.filter.max.requests.per.sec=8", "dos.filter.delay.ms=-1")
	if l := c.Access.Limits; len(l) != 2 || l[0].Requests != 7 || l[1].Requests != 8 || c.Access.Enabled() {
		t.Errorf("limits as the Confluent proxy names them: %+v", l)
	}
	for _, f := range []struct {
		set  []string
		want string
	}{
		{[]string{"authentication.method=BASIC"}, "needs names and passwords"},
		{[]string{"authentication.method=NONE", "authentication.passwords.file=" + users}, "NONE does not go with"},
		{[]string{"authentication.method=BEARER"}, "allowed: NONE, BASIC"},
		{[]string{"authentication.passwords.file=" + bad}, "line 1: CRYPT"},
		{[]string{"authentication.passwords.file=" + dir + "/none"}, "no such file"},
		{[]string{"authentication.jaas.file=" + jaas}, "has no section millrace"},
		{[]string{"authentication.keys.file=" + users}, "authentication.keys.file"},
		{[]string{"authorization.rules.file=" + users}, "authorization.rules.file"},
		{[]string{"authentication.certificates=true"}, "no certificates are asked for"},
		{[]string{"authentication.jwt.keys=https://example.com/keys", "authentication.jwt.issuer=i"}, "authentication.jwt.audience: is missing"},
		{[]string{"authentication.jwt.keys=https://example.com/keys", "authentication.jwt.audience=i"}, "authentication.jwt.issuer: is missing"},
		{[]string{"ssl.principal.mapping.rules=RULE:(/x/"}, "is not valid"},
	} {
		if got := loadFault(t, f.set...); !strings.Contains(got, f.want) || strings.Contains(got, "1v2j1uum") {
			t.Errorf("%q: got %s, want %s", f.set, got, f.want)
		}
	}
}

// Callers with rights of their own in Kafka exclude what would use those of the node, and
// connections by which their credentials would be read.
func TestDelegationSettings(t *testing.T) {
	login := []string{"client.sasl.mechanism=SCRAM-SHA-512", `client.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="p";`}
	secured := append([]string{"client.security.protocol=SASL_SSL"}, login...)
	plain := append([]string{"client.security.protocol=SASL_PLAINTEXT"}, login...)
	const scram, bare = "authentication.kafka.passwords=SCRAM-SHA-512", "authentication.kafka.passwords=PLAIN"
	c := load(t, append(secured, bare)...)
	if d := c.Access.Delegation; d.Passwords != "PLAIN" || c.UI || !c.Access.Enabled() {
		t.Errorf("%+v, dashboard %v", d, c.UI)
	}
	if c := load(t, append(plain, scram)...); c.Access.Delegation.Passwords != "SCRAM-SHA-512" {
		t.Errorf("%+v", c.Access.Delegation)
	}
	logins := "authentication.kafka.logins.file=" + writeFile(t, t.TempDir(), "logins", "logins:\n  - {who: ['key:edge'], mechanism: PLAIN, username: u, password: hunter2}\n")
	if c := load(t, append(secured, logins)...); !c.Access.Delegation.Enabled() {
		t.Errorf("%+v", c.Access.Delegation)
	}
	for _, f := range []struct {
		set  []string
		want string
	}{
		{[]string{scram}, "security.protocol: is PLAINTEXT"},
		{append(plain, logins), "line 2: anybody on the way reads"},
		{append(plain, bare), "anybody on the way reads"},
		{append(secured, scram, "ui.enable=true"), "ui.enable"},
		{append(secured, scram, "ingest.spool.dir="+t.TempDir()), "ingest.spool.dir"},
		{append(secured, scram, "cluster.enable=true", "cluster.secret=0123456789abcdef", "cluster.advertised.url=http://a:1"), "cluster.advertised.url"},
		{append(secured, "authentication.kafka.tokens=true"), "authentication.jwt.keys"},
		{append(secured, "producer.security.protocol=PLAINTEXT", scram), "producer.security.protocol"},
	} {
		if got := loadFault(t, f.set...); !strings.Contains(got, f.want) || strings.Contains(got, "hunter2") {
			t.Errorf("%q: got %s, want %s", f.set, got, f.want)
		}
	}
}
