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
