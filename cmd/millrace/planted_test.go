package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"software.sslmate.com/src/go-pkcs12"

	"millrace/internal/testkit"
)

// planting is a node with secrets in its settings, its files and the requests to it, and all that
// it shows.
type planting struct {
	process *testkit.Process
	url     string
	secrets []string
	texts   map[string]string // by where they are shown
}

// plant starts a node and has its settings checked by command, too.
func plant(t *testing.T, b testkit.Broker, secrets []string, settings ...string) *planting {
	t.Helper()
	settings = append(settings, "--set=log.level=debug", "--set=request.log=true", "--set=admin.enable=true")
	p := &planting{secrets: secrets, texts: map[string]string{}}
	var out bytes.Buffer
	cmd := exec.Command(testkit.Binary(t), append([]string{"check-config", "--set=bootstrap.servers=b:1"}, settings...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	p.texts["check-config"] = out.String()
	p.process, p.url = serve(t, b, settings...)
	return p
}

// send keeps what a request is answered with, and returns the status.
func (p *planting) send(t *testing.T, method, path, body string, headers ...string) int {
	t.Helper()
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, text := exchange(t, http.DefaultClient, req)
	p.texts[method+" "+strings.Split(path, "?")[0]] += text + fmt.Sprint(resp.Header)
	return resp.StatusCode
}

// end ends the node, whose log is the last that it shows, and returns that.
func (p *planting) end(t *testing.T) (log string) {
	t.Helper()
	p.process.Signal(t, syscall.SIGTERM)
	p.process.WaitExit(t, 20*time.Second)
	p.texts["the log"] = p.process.Output()
	return p.texts["the log"]
}

// wantNone reports each secret that is shown somewhere.
func (p *planting) wantNone(t *testing.T) {
	t.Helper()
	for where, text := range p.texts {
		for _, secret := range p.secrets {
			for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
				if strings.Contains(text, form) {
					t.Errorf("%s shows %s", where, secret)
				}
			}
		}
	}
}

// topicText returns all that the records of a topic have.
func topicText(t *testing.T, b testkit.Broker, topic string) string {
	t.Helper()
	var text strings.Builder
	for _, r := range readAll(t, b, topic) {
		fmt.Fprintf(&text, "%s %s %v\n", r.Key, r.Value, r.Headers)
	}
	return text.String()
}

// everywhere are paths that show something of the node.
var everywhere = []string{"/", "/topics", "/brokers", "/metrics", "/readyz", "/admin/config", "/ui", "/ui/ui.js", "/nothing", "/openapi.yaml"}

// Secrets that are planted in settings, files and requests show nowhere: in no line of the log, no
// response, no metric, no setting, no record of the audit and no output of a command.
func TestPlantedSecretsShowNowhere(t *testing.T) {
	t.Parallel()
	const password, wrong, saslSecret, registrySecret, nodes = "planted-password", "planted-wrong", "planted-sasl", "planted-registry", "planted-secret-of-nodes"
	header, entry := newKey(t, "edge")
	key := strings.TrimPrefix(header, "X-Api-Key: ")
	b := testkit.Fake(t, kfake.SeedTopics(1, "t", "audit"))
	p := plant(t, b.Broker, []string{password, wrong, saslSecret, registrySecret, nodes, key, "planted-key", "planted-token", "alice:" + password, "alice:" + wrong},
		"--set=authentication.passwords.file="+writeFile(t, "users", "alice: "+password+"\n"),
		"--set=authentication.keys.file="+writeFile(t, "keys.yaml", entry),
		"--set=authorization.rules.file="+writeFile(t, "rules.yaml", "rules:\n  - {who: [user:alice], allow: [all]}\n  - {who: [key:edge], allow: [ingest, produce], topics: [t]}\n"),
		"--set=audit.topic=audit",
		"--set=client.sasl.mechanism=PLAIN", `--set=client.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="`+saslSecret+`";`,
		"--set=schema.registry.url=http://u:"+registrySecret+"@127.0.0.1:1", "--set=cluster.secret="+nodes)
	basic := func(pass string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+pass))
	}
	for _, path := range everywhere {
		if status := p.send(t, "GET", path, "", basic(password), "X-Api-Key: planted-key"); status >= 500 {
			t.Errorf("%s: %d", path, status)
		}
		p.send(t, "GET", path, "", basic(wrong))
		p.send(t, "GET", path, "", "Authorization: Bearer planted-token")
		p.send(t, "GET", path, "", header)
	}
	p.send(t, "PUT", "/admin/config", `{"log.level":"debug"}`, basic(password), "Content-Type: application/json")
	p.send(t, "POST", "/topics/t", `{"value_schema_id":1,"records":[{"value":1}]}`, basic(password), "Content-Type: application/vnd.kafka.avro.v2+json") // the registry is away
	for _, c := range []struct {
		path   string
		status int
	}{{"/topics/t", 200}, {"/topics/other", 403}, {"/topics/t/partitions/9", 404}} {
		if status := p.send(t, "POST", c.path, `{"records":[{"value":1}]}`, header, "Idempotency-Key: k"); status != c.status {
			t.Errorf("%s: %d", c.path, status)
		}
	}
	for path, want := range map[string]int{"/ingest/t": 200, "/ingest/other": 403} {
		if status := p.send(t, "POST", path+"?api_key="+key, `{"a":1}`, "Content-Type: application/json"); status != want {
			t.Errorf("%s: %d", path, status)
		}
		p.send(t, "GET", path+"/pixel.gif?a=1&api_key="+key, "")
	}
	if log := p.end(t); !strings.Contains(log, "request refused") || !strings.Contains(log, "msg=audit") {
		t.Error("the log has neither the refusals nor the change")
	}
	p.texts["the topic"], p.texts["the audit"] = topicText(t, b.Broker, "t"), topicText(t, b.Broker, "audit")
	if !strings.Contains(p.texts["the topic"], `{"a":1}`) || !strings.Contains(p.texts["the audit"], "request refused") {
		t.Errorf("the topics have %.300s and %.300s", p.texts["the topic"], p.texts["the audit"])
	}
	p.wantNone(t)
}

// The credentials of the node and of its callers for Kafka, of each kind, show nowhere: not while
// Kafka refuses them, and not where the service that gives tokens repeats them in its error.
func TestPlantedLoginsShowNowhere(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, pass, _ := r.BasicAuth()
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s %s %s %s"}`, user, pass, body, r.Header.Get("Authorization"))
	}))
	t.Cleanup(echo.Close)
	const secret, right, token = "planted-secret", "planted-right", "planted.token.signature"
	jaas := func(module, options string) string {
		return "--set=client.sasl.jaas.config=org.apache.kafka.common.security." + module + " required " + options + ";"
	}
	header, entry := newKey(t, "edge")
	basic := func(pass string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+pass))
	}
	for name, c := range map[string]plantedLogin{
		"PLAIN": {settings: []string{"--set=client.sasl.mechanism=PLAIN", jaas("plain.PlainLoginModule", `username="u" password="`+secret+`"`)}},
		"SCRAM": {settings: []string{"--set=client.sasl.mechanism=SCRAM-SHA-512", jaas("scram.ScramLoginModule", `username="u" password="`+secret+`"`)}},
		"OAUTHBEARER": {settings: []string{
			"--set=client.sasl.mechanism=OAUTHBEARER", "--set=client.sasl.oauthbearer.token.endpoint.url=" + echo.URL,
			jaas("oauthbearer.OAuthBearerLoginModule", `clientId="id" clientSecret="`+secret+`"`),
		}},
		"OAUTHBEARER of a file": {settings: []string{
			"--set=client.sasl.mechanism=OAUTHBEARER", "--set=client.sasl.oauthbearer.token.endpoint.url=file://" + writeFile(t, "token", token),
			jaas("oauthbearer.OAuthBearerLoginModule", ""),
		}},
		"a file of logins": {
			settings: []string{
				"--set=client.sasl.mechanism=SCRAM-SHA-512", jaas("scram.ScramLoginModule", `username="alice" password="`+right+`"`),
				"--set=authentication.keys.file=" + writeFile(t, "keys.yaml", entry),
				"--set=authentication.kafka.logins.file=" + writeFile(t, "logins.yaml", "logins:\n  - {who: ['key:edge'], mechanism: SCRAM-SHA-512, username: u, password: "+secret+"}\n"),
			},
			headers: []string{header},
		},
		"passwords of callers": {
			settings: []string{
				"--set=client.sasl.mechanism=SCRAM-SHA-512", jaas("scram.ScramLoginModule", `username="alice" password="`+right+`"`),
				"--set=authentication.kafka.passwords=SCRAM-SHA-512",
			},
			headers: []string{basic(right), basic(secret)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.secrets = []string{secret, right, token, "alice:" + right, "alice:" + secret, "id:" + secret, strings.TrimPrefix(header, "X-Api-Key: ")}
			c.run(t)
		})
	}
}

// Credentials for Kafka that are found by way of the environment show nowhere: the keys of a
// keytab, and those of AWS.
func TestPlantedLoginsOfTheEnvironmentShowNowhere(t *testing.T) {
	const key, session = "planted-key-of-32-bytes-is-here!", "planted-session"
	t.Setenv("KRB5_CONFIG", writeFile(t, "krb5.conf", "[libdefaults]\n  default_realm = EXAMPLE.COM\n[realms]\n  EXAMPLE.COM = {\n    kdc = 127.0.0.1:1\n  }\n"))
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTED")
	t.Setenv("AWS_SECRET_ACCESS_KEY", key)
	t.Setenv("AWS_SESSION_TOKEN", session)
	t.Setenv("AWS_REGION", "eu-west-1")
	for name, settings := range map[string][]string{
		"GSSAPI": {
			"--set=client.sasl.mechanism=GSSAPI", "--set=client.sasl.kerberos.service.name=kafka",
			`--set=client.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab="` + writeFile(t, "keytab", keytabOf("u", "EXAMPLE.COM", key)) + `" principal="u@EXAMPLE.COM";`,
		},
		"AWS_MSK_IAM": {"--set=client.sasl.mechanism=AWS_MSK_IAM", "--set=client.sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required;"},
	} {
		t.Run(name, func(t *testing.T) { plantedLogin{settings: settings, secrets: []string{key, session}}.run(t) })
	}
}

// The passwords of stores, and a private key in the settings, show nowhere: not where the stores
// are right and Kafka speaks no TLS, and not where a password is wrong.
func TestPlantedStorePasswordsShowNowhere(t *testing.T) {
	t.Parallel()
	const password, wrong = "planted-store", "planted-wrong-store"
	certificate, key := untrusted(t)
	certificate, key = strings.ReplaceAll(certificate, `\n`, "\n"), strings.ReplaceAll(key, `\n`, "\n")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	keys, err1 := pkcs12.Modern.Encode(pair.PrivateKey, pair.Leaf, nil, password)
	trust, err2 := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{pair.Leaf}, password)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	stores := func(password string) []string {
		return []string{
			"--set=client.security.protocol=SSL",
			"--set=client.ssl.keystore.type=PKCS12", "--set=client.ssl.keystore.location=" + writeFile(t, "keys.p12", string(keys)), "--set=client.ssl.keystore.password=" + password,
			"--set=client.ssl.truststore.type=PKCS12", "--set=client.ssl.truststore.location=" + writeFile(t, "trust.p12", string(trust)), "--set=client.ssl.truststore.password=" + password,
			"--set=ssl.keystore.type=PEM", "--set=ssl.keystore.key=" + key, "--set=ssl.keystore.certificate.chain=" + certificate,
		}
	}
	secrets := append(strings.Split(strings.TrimSpace(key), "\n")[1:3], password, wrong)
	p := plant(t, testkit.Fake(t, kfake.SeedTopics(1, "t")).Broker, secrets, stores(password)...)
	for _, path := range everywhere {
		p.send(t, "GET", path, "")
	}
	p.send(t, "POST", "/topics/t", `{"records":[{"value":1}]}`)
	if log := p.end(t); !strings.Contains(log, "no Kafka broker answers") {
		t.Error("the log says nothing of Kafka")
	}
	refused := ranMillrace(t, append([]string{"serve", "--set=bootstrap.servers=b:1"}, stores(wrong)...)...)
	if refused.code == 0 || !strings.Contains(refused.stderr, "the password is wrong") {
		t.Errorf("a wrong password: %+v", refused)
	}
	p.texts["the refusal"] = refused.stdout + refused.stderr
	p.wantNone(t)
}

// keytabOf returns a keytab with one key, of aes256-cts-hmac-sha1-96.
func keytabOf(user, realm, key string) string {
	counted := func(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }
	entry := "\x00\x01" + counted(realm) + counted(user) + "\x00\x00\x00\x01" + "\x00\x00\x00\x00" + "\x01" + "\x00\x12" + counted(key)
	return "\x05\x02" + string(binary.BigEndian.AppendUint32(nil, uint32(len(entry)))) + entry
}

// plantedLogin is a way to log in to Kafka, which refuses all but one user.
type plantedLogin struct {
	settings []string
	headers  []string // of callers
	secrets  []string
}

func (c plantedLogin) run(t *testing.T) {
	t.Helper()
	b := testkit.Fake(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "alice", "planted-right"), kfake.SeedTopics(1, "t"))
	p := plant(t, b.Broker, c.secrets, append(c.settings, "--set=client.security.protocol=SASL_PLAINTEXT")...)
	for _, caller := range append(c.headers, "X-Other: none") {
		for _, path := range everywhere {
			p.send(t, "GET", path, "", caller)
		}
		p.send(t, "POST", "/topics/t", `{"records":[{"value":1}]}`, caller)
		p.send(t, "POST", "/consumers/g", `{"name":"n"}`, caller, "Content-Type: application/vnd.kafka.v2+json")
	}
	if log := p.end(t); len(c.headers) == 0 && !strings.Contains(log, "err=") {
		t.Error("the log says nothing of the refusal")
	}
	p.wantNone(t)
}
