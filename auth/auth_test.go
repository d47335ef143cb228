package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/internal/apierr"
)

// accessOf returns an Access of the texts of files; empty: there is no such file.
func accessOf(t testing.TB, rules, keys, users string) *Access {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		if text == "" {
			return ""
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, err := New(Settings{Realm: "r", Rules: file("rules", rules), Keys: file("keys", keys), Passwords: file("users", users)}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// keyOf returns an entry of a file of keys, and the key.
func keyOf(t testing.TB, id string, roles ...string) (secret, entry string) {
	t.Helper()
	secret, entry, err := NewKey(id, roles, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return secret, entry
}

// Passwords as Jetty documents them, and as htpasswd and argon2 write them.
func TestPasswordsOfEachForm(t *testing.T) {
	t.Parallel()
	for text, password := range map[string]string{
		"OBF:1vny1zlo1x8e1vnw1vn61x8g1zlu1vn4": "storepwd",
		"OBF:1u2u1wml1z7s1z7a1wnl1u2g":         "keypwd",
		"OBF:1v2j1uum1xtv1zej1zer1xtn1uvk1v1v": "password",
		"MD5:5f4dcc3b5aa765d61d8327deb882cf99": "password",
		"plain":                                "plain",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4": "password",
	} {
		s, _, err := parseSecret(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !s.matches(password) {
			t.Errorf("%s does not match %s", text, password)
		}
		for _, wrong := range []string{"", password + "x", strings.ToUpper(password), text} {
			if s.matches(wrong) && wrong != password {
				t.Errorf("%s matches %q", text, wrong)
			}
		}
	}
	for _, text := range []string{"", "CRYPT:abcdefg", "MD5:00", "OBF:xx", "OBF:", "$2y$04$short", "$2y$31$" + strings.Repeat("a", 53), "$argon2id$v=19$m=9999999,t=3,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", "$argon2id$"} {
		if _, _, err := parseSecret(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string][2]string{
		"*":     {"a bb", ""},
		"a":     {"a", "A aa b"},
		"a*":    {"a ab a*", "ba b"},
		"*a":    {"a ba", "ab b"},
		"a*b":   {"ab axb axbxb", "a b axbx"},
		"a*b*c": {"abc axbxc abbc", "ab acb axc"},
		"aa*aa": {"aaaa aaxaa", "aaa aa"},
		"*-raw": {"x-raw", "x-raw-2"},
		"/v3/*": {"/v3/a/b", "/v2"},
	} {
		var p patterns
		p.add(pattern)
		for i, list := range names {
			for name := range strings.FieldsSeq(list) {
				if p.match(name) != (i == 0) {
					t.Errorf("%s on %s: %v", pattern, name, p.match(name))
				}
			}
		}
	}
}

const someRules = `
rules:
  - {who: ["*"], allow: [describe], topics: ["pub*"]}
  - {who: [anonymous], allow: [consume], topics: [open]}
  - {who: ["role:w*"], allow: [produce], topics: ["*"]}
  - {who: ["key:edge-*"], allow: [produce], topics: ["t-*", "*-raw"]}
  - {who: [role:ops], allow: [all]}
  - {who: ["*"], deny: [all], topics: [secret]}
`

// The name of a token may have any character. It gives nobody the roles of another.
func TestNameIsNotTakenForRoles(t *testing.T) {
	t.Parallel()
	a := accessOf(t, someRules, "", "")
	if ops := a.Named("jwt:bob", []string{"ops"}); !ops.May(Administer, Node, "/admin/config") {
		t.Fatal("the rules do not let ops administer")
	}
	for _, c := range []struct {
		name  string
		roles []string
	}{{"bob\x00ops", []string{"x"}}, {"bob", []string{"ops\x00x"}}, {`bob" ["ops" "x"]`, nil}} {
		a.Named("jwt:bob", []string{"ops", "x"})
		who := a.Named("jwt:"+c.name, c.roles)
		if who.May(Administer, Node, "/admin/config") || who.Principal() != "jwt:"+c.name {
			t.Errorf("%q with the roles %q is %q with the roles %q", c.name, c.roles, who.Principal(), who.Roles())
		}
	}
}

// A denied action is denied, whatever else allows it; without a rule nothing is allowed.
func TestDecisions(t *testing.T) {
	t.Parallel()
	a := accessOf(t, someRules, "", "")
	anonymous := a.Anonymous()
	edge, writer, ops := a.Named("key:edge-1", nil), a.Named("jwt:x", []string{"writers"}), a.Named("user:o", []string{"ops"})
	for _, c := range []struct {
		who    *Identity
		action Action
		res    Resource
		name   string
		want   bool
	}{
		{anonymous, Describe, Topic, "public", false}, // * in a rule that allows is not anonymous
		{anonymous, Consume, Topic, "open", true},
		{anonymous, Consume, Group, "open", false},
		{edge, Describe, Topic, "public", true},
		{edge, Produce, Topic, "t-1", true},
		{edge, Produce, Topic, "x-raw", true},
		{edge, Produce, Topic, "u", false},
		{edge, Consume, Topic, "t-1", false},
		{edge, Produce, Topics, "", true},
		{edge, Consume, Topics, "", false},
		{writer, Produce, Topic, "any", true},
		{writer, Produce, Topic, "secret", false},
		{ops, Administer, Node, "/admin/config", true},
		{ops, Describe, Topic, "secret", false},
		{ops, Undeclared, Node, "/x", false},
		{edge, Administer, Node, "/admin/config", false},
		{edge, Probe, Node, "/healthz", true},
		{nil, Administer, Node, "/", true},
	} {
		if got := c.who.May(c.action, c.res, c.name); got != c.want {
			t.Errorf("%s: %s %v %s: %v", c.who.Principal(), c.action, c.res, c.name, got)
		}
		if c.who == nil {
			continue
		}
		if allowed, why := c.who.Explain(c.action, c.res, c.name); allowed != c.want || why == "" {
			t.Errorf("%s: %s %v %s is explained by %q, %v", c.who.Principal(), c.action, c.res, c.name, why, allowed)
		}
	}
	if writer.MayAll(Produce, Topic) || !ops.MayAll(Produce, Group) || !anonymous.May(Consume, Topics, "") {
		t.Error("all, or any, of a kind is decided wrongly")
	}
}

// A file of rules with a mistake is refused with its line.
func TestRulesWithMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"rules:\n  - {who: [user:a], allow: [reed]}":                  `line 2: "reed" is no action`,
		"rules:\n  - {who: [a], allow: [all]}":                        `"a" names nobody`,
		"rules:\n  - {allow: [all]}":                                  "who is missing",
		"rules:\n  - {who: [user:a]}":                                 "either allow or deny",
		"rules:\n  - {who: [user:a], allow: [all], deny: [all]}":      "either allow or deny",
		"rules:\n  - {who: [user:a], allow: [all], topic: [x]}":       `line 2: "topic" is not known`,
		"rules:\n  - {who: [user:a], allow: [all], paths: [metrics]}": "begin with a slash",
		"rules:\n  - {who: [user:a], allow: [all], topics: ['']}":     "pattern is empty",
		"rules:\n  - {who: [user:a], allow: [all], topics: []}":       "line 2: topics, groups and paths are empty",
		"rules:\n  - who: [user:a]\n    allow: [all]\n    topics:\n":  "line 2: topics, groups and paths are empty",
		"quotas:\n  - {who: ['*'], requests: 1}":                      "name is missing",
		"quotas:\n  - {name: q, who: ['*']}":                          "none of requests",
		"quotas:\n  - {name: q, who: ['*'], per: day, requests: 1}":   `per is "day"`,
		"quotas:\n  - {name: q, who: ['*'], requests: -1}":            "out of range",
		"rule:\n  - {who: [user:a], allow: [all]}":                    "rule",
		"rules: []\n---\nrules: []":                                   "more than one document",
	} {
		if _, err := parseRules([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Kafka's own examples of ssl.principal.mapping.rules.
func TestMapping(t *testing.T) {
	t.Parallel()
	const kafka = `RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L, DEFAULT`
	m, err := ParseMapping(kafka)
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]string{
		"CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown": "serviceuser",
		"CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown":          "adminuser@admin",
		"OU=x,CN=Edge.7": "edge.7",
		"O=nobody":       "O=nobody",
	} {
		if got, ok := m.Name(subject); !ok || got != want {
			t.Errorf("%s: %q, want %q", subject, got, want)
		}
	}
	strict, err := ParseMapping(`RULE:CN=a\/(.*)/x-$1/U`)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := strict.Name("CN=a/b"); got != "X-B" {
		t.Errorf("an escaped slash: %q", got)
	}
	if got, ok := strict.Name("CN=b"); ok {
		t.Errorf("a subject that no rule fits has the name %q", got)
	}
	for _, bad := range []string{"", "RULE:a/b", "RULE:a/b/X", "rule:a/b/", "RULE:(/b/"} {
		if _, err := ParseMapping(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// A key is known by its SHA-256, and no longer after its end or without its entry.
func TestKeys(t *testing.T) {
	t.Parallel()
	secret, entry := keyOf(t, "edge", "writers")
	old, _, err := NewKey("old", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(old))
	entry += "- id: old\n  sha256: " + hex.EncodeToString(sum[:]) + "\n  expires: 2020-01-01\n"
	if strings.Contains(entry, secret) {
		t.Error("the entry shows the key")
	}
	a := accessOf(t, "", entry, "")
	id, err := a.Identify(Credentials{Key: []byte(secret)})
	if err != nil || id.Principal() != "key:edge" || !id.has("writers") {
		t.Fatalf("%v, %v", id.Principal(), err)
	}
	for _, wrong := range []string{old, secret + "x", "x", keyPrefix} {
		if _, err := a.Identify(Credentials{Key: []byte(wrong)}); !apierr.Unauthenticated.Is(err) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if _, err := a.Identify(Credentials{Authorization: []byte("Bearer " + secret[:10]), Key: []byte(secret)}); err == nil {
		t.Error("a wrong Authorization beside a good key is accepted")
	}
}

// A key stands in a file once, in whatever case its digits are: else which entry holds, and which
// roles, would be the order of the file.
func TestSameKeyTwice(t *testing.T) {
	t.Parallel()
	_, entry := keyOf(t, "edge", "writers")
	sum := strings.Fields(strings.SplitAfter(entry, "sha256:")[1])[0]
	for _, again := range []string{sum, strings.ToUpper(sum)} {
		text := entry + "- id: other\n  sha256: " + again + "\n"
		if _, err := parseKeys([]byte(text)); err == nil || !strings.Contains(err.Error(), "key 2: the same sha256") {
			t.Errorf("twice, once as %s: %v", again, err)
		}
	}
}

// Wrong passwords from one address are refused without a check after a while, and those who have
// logged in before notice nothing of that.
func TestWrongPasswordsAreBounded(t *testing.T) {
	t.Parallel()
	a := accessOf(t, "", "", "alice: $2a$04$.X10WCscmOo1X4hVidWvV.S0b6/0VuaMEfOcCmMPU84j3glg0/Kh6\n")
	good := Credentials{Authorization: []byte("Basic YWxpY2U6d29uZGVy"), Addr: netip.MustParseAddr("192.0.2.1")}
	bad := Credentials{Authorization: []byte("Basic YWxpY2U6d29uZGVyeA=="), Addr: good.Addr}
	if id, err := a.Identify(good); err != nil || id.Principal() != "user:alice" {
		t.Fatal(err)
	}
	wrong := 0
	for range 3 * maxFailed {
		_, err := a.Identify(bad)
		switch {
		case apierr.Unauthenticated.Is(err):
			wrong++
		case !apierr.TooManyLogins.Is(err):
			t.Fatal(err)
		}
	}
	if wrong < maxFailed || wrong > 2*maxFailed {
		t.Errorf("%d of the wrong passwords were checked", wrong)
	}
	if _, err := a.Identify(good); err != nil {
		t.Errorf("who was logged in: %v", err)
	}
	bad.Addr = netip.MustParseAddr("192.0.2.2")
	if _, err := a.Identify(bad); !apierr.Unauthenticated.Is(err) {
		t.Errorf("another address: %v", err)
	}
}

// counted counts how often it is compared.
type counted struct{ times *int }

func (c counted) matches(string) bool {
	*c.times++
	return false
}

// A wrong name takes what a wrong password takes by the file, whatever the form of its passwords,
// and the same each time: else the time of a refusal would tell which names there are.
func TestWrongNameTakesWhatAWrongPasswordTakes(t *testing.T) {
	t.Parallel()
	a := accessOf(t, "", "", "alice: a\nbob: b\n")
	var times [2]int
	users := a.policy.Load().users
	users["alice"].secret, users["bob"].secret = counted{&times[0]}, counted{&times[1]}
	for range 3 {
		c := Credentials{Authorization: []byte("Basic " + base64.StdEncoding.EncodeToString([]byte("mallory:x")))}
		if _, err := a.Identify(c); err == nil {
			t.Fatal("somebody of no name is let in")
		}
	}
	if times != [2]int{3, 0} && times != [2]int{0, 3} {
		t.Errorf("a wrong name was compared with the passwords of the file %v times", times)
	}
}

// A file that cannot be used leaves everything as it was; a good one holds at once.
func TestReload(t *testing.T) {
	t.Parallel()
	secret, entry := keyOf(t, "edge")
	a := accessOf(t, "rules: [{who: [key:edge], allow: [produce], topics: [a]}]", entry, "")
	may := func(topic string) bool {
		id, err := a.Identify(Credentials{Key: []byte(secret)})
		return err == nil && id.May(Produce, Topic, topic)
	}
	write := func(file, text string) (bool, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return a.Reload()
	}
	if !may("a") || may("b") {
		t.Fatal("the rules do not hold")
	}
	if _, err := write(a.settings.Rules, "rules: [{who: [key:edge], allow: [prod], topics: [b]}]"); err == nil || !may("a") {
		t.Errorf("a mistake: %v", err)
	}
	if changed, err := write(a.settings.Rules, "rules: [{who: [key:edge], allow: [produce], topics: [b]}]"); err != nil || !changed || may("a") || !may("b") {
		t.Errorf("new rules: %v, %v", changed, err)
	}
	if changed, err := a.Reload(); err != nil || changed {
		t.Errorf("the same: %v, %v", changed, err)
	}
	if _, err := write(a.settings.Keys, "[]"); err != nil || may("b") {
		t.Errorf("a key that was taken out: %v", err)
	}
}

// measured is an Access with many rules, and a key that one of them names.
func measured(t testing.TB) (*Access, Credentials) {
	secret, entry := keyOf(t, "edge", "writers")
	rules := "rules:\n"
	for range 50 {
		rules += "  - {who: [role:writers], allow: [produce], topics: [other-*]}\n"
	}
	rules += "  - {who: ['*'], allow: [produce], topics: [telemetry-*]}\n  - {who: ['*'], deny: [produce], topics: [secret-*]}\n"
	rules += "quotas:\n  - {name: q, who: ['*'], requests: 1e9, bytes: 1e11, burst: 10}\n"
	return accessOf(t, rules, entry, "alice: wonder\n"), Credentials{Key: []byte(secret)}
}

func decide(t testing.TB, a *Access, c Credentials) {
	id, err := a.Identify(c)
	if err != nil || !id.May(Produce, Topic, "telemetry-eu-1") {
		t.Fatal(err)
	}
	if _, ok := id.Take(netip.Addr{}, "/topics/{topic}", Usage{Requests: 1, Bytes: 200}); !ok {
		t.Fatal("the quota is used up")
	}
}

func BenchmarkDecision(b *testing.B) {
	a, c := measured(b)
	b.ReportAllocs()
	for b.Loop() {
		decide(b, a, c)
	}
}

// A quota that is used up stays so when the files change, whatever else they say by then.
func TestQuotasOutliveAReload(t *testing.T) {
	t.Parallel()
	secret, entry := keyOf(t, "edge")
	const quotas = "quotas: [{name: few, who: ['*'], requests: 0.001, burst: 2000}, {name: few, who: ['*'], per: all, requests: 0.001, burst: 3000}]\n"
	a := accessOf(t, "rules: []\n"+quotas, entry, "")
	take := func() bool {
		id, err := a.Identify(Credentials{Key: []byte(secret)})
		if err != nil {
			t.Fatal(err)
		}
		_, ok := id.Take(netip.Addr{}, "/topics/{topic}", Usage{Requests: 1})
		return ok
	}
	if first, second, third := take(), take(), take(); !first || !second || third {
		t.Fatal("the quota of two requests does not hold")
	}
	text := "rules: [{who: [key:edge], allow: [produce], topics: [b]}]\n" + quotas
	if err := os.WriteFile(a.settings.Rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := a.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if take() {
		t.Error("a reload gave back what was used up")
	}
	if id := a.Anonymous(); id.limits[0].own != nil {
		t.Error("anonymous callers share a bucket")
	} else if _, ok := id.Take(netip.Addr{}, "/x", Usage{Requests: 1}); !ok {
		t.Error("the common quota has forgotten that one request is left")
	} else if left, ok := id.Take(netip.Addr{}, "/x", Usage{Requests: 1}); ok || left.Limit != 3 {
		t.Errorf("the common quota has forgotten what was used before the reload: %+v", left)
	}
}

// A rate holds as it is written, however little of a second one unit of it is.
func TestHighRates(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{3, 1e6 + 1, 100 << 20, 700e6, 5e9} {
		a := accessOf(t, fmt.Sprintf("rules: []\nquotas: [{name: q, who: ['*'], bytes: %d, burst: 20}]\n", rate), "", "")
		left, ok := a.Anonymous().Take(netip.Addr{}, "/x", Usage{Bytes: 10 * rate})
		if !ok || left.Reset != 10*time.Second || left.Limit != 20*int64(rate) || left.Remaining != 10*int64(rate) {
			t.Errorf("what %d bytes a second allow in 10 s: %+v, %v", rate, left, ok)
		}
		a.Anonymous().Charge(netip.Addr{}, "/x", Usage{Bytes: 20 * rate})
		if left, ok = a.Anonymous().Take(netip.Addr{}, "/x", Usage{Bytes: 1}); ok || left.Reset <= 20*time.Second || left.Remaining != 0 {
			t.Errorf("beyond what %d bytes a second allow in 20 s: %+v, %v", rate, left, ok)
		}
	}
}
