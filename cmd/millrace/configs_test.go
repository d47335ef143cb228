package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.yaml.in/yaml/v3"
	"software.sslmate.com/src/go-pkcs12"

	"millrace/internal/testkit"
)

// configuration is one file of testdata/configs: testdata/configs/README.md explains its comments.
type configuration struct {
	properties string   // path of the properties file; empty: it is variables
	environ    []string // variables
	ok         bool
	says       []string
	broker     []string // kinds; none: serve is not tried
	calls      []string
	https      bool
}

// secretsFolder is where the files name their stores.
const secretsFolder = "/etc/kafka/secrets"

var directive = regexp.MustCompile(`(?m)^# (expect|says|broker|calls): (.*)$`)

// readConfiguration reads a file, with the stores in dir.
func readConfiguration(t *testing.T, path, dir string) (c configuration) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range directive.FindAllStringSubmatch(string(raw), -1) {
		switch m[1] {
		case "expect":
			c.ok = m[2] == "ok"
		case "says":
			c.says = append(c.says, m[2])
		case "broker":
			c.broker = strings.Fields(m[2])
		case "calls":
			c.calls = append(c.calls, m[2])
		}
	}
	text := strings.ReplaceAll(string(raw), secretsFolder, dir)
	c.https = strings.Contains(text, "\nlisteners=https://")
	switch filepath.Ext(path) {
	case ".properties":
		c.properties = filepath.Join(t.TempDir(), filepath.Base(path))
		if err := os.WriteFile(c.properties, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	case ".env":
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				c.environ = append(c.environ, line)
			}
		}
	default:
		c.environ = manifestEnviron(t, text)
	}
	return c
}

// manifestEnviron returns the variables of a compose file or of a manifest of Kubernetes.
func manifestEnviron(t *testing.T, text string) (environ []string) {
	t.Helper()
	var manifest any
	if err := yaml.Unmarshal([]byte(text), &manifest); err != nil {
		t.Fatal(err)
	}
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if name, ok := node["name"].(string); ok && node["value"] != nil {
				environ = append(environ, fmt.Sprintf("%s=%v", name, node["value"]))
			}
			if variables, ok := node["environment"].(map[string]any); ok {
				for name, value := range variables {
					environ = append(environ, fmt.Sprintf("%s=%v", name, value))
				}
			}
			for _, below := range node {
				walk(below)
			}
		case []any:
			for _, below := range node {
				walk(below)
			}
		case string:
			if strings.HasPrefix(node, "KAFKA_REST_") && strings.Contains(node, "=") {
				environ = append(environ, node)
			}
		}
	}
	walk(manifest)
	return environ
}

// command returns a command of the program with the configuration, and settings that outweigh it.
func (c configuration) command(t *testing.T, name string, set ...string) *exec.Cmd {
	t.Helper()
	binary := testkit.Binary(t) // building it does not count
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	args := []string{name}
	if c.properties != "" {
		args = append(args, "--config="+c.properties)
	}
	for _, s := range set {
		args = append(args, "--set="+s)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KAFKA_REST_") || strings.HasPrefix(v, "AWS_") })
	cmd.Env = append(cmd.Env, c.environ...)
	return cmd
}

// TestConfigurationsOfOthers takes configurations as people publish them: they are accepted and
// serve, or are refused with what to do.
func TestConfigurationsOfOthers(t *testing.T) {
	t.Parallel()
	stores := newStores(t)
	files, err := filepath.Glob("testdata/configs/*.*")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(path string) bool { return filepath.Ext(path) == ".md" })
	if len(files) < 25 {
		t.Fatalf("there are only %d files", len(files))
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			c := readConfiguration(t, path, stores.dir)
			out, err := c.command(t, "check-config").CombinedOutput()
			if (err == nil) != c.ok {
				t.Errorf("ok is %v, want %v", err == nil, c.ok)
			}
			for _, want := range c.says {
				if !bytes.Contains(out, []byte(want)) {
					t.Errorf("it does not say %q", want)
				}
			}
			for _, secret := range []string{"rest-secret", "changeit", "not-this-one", "SRSECRET", "example-secret"} {
				if bytes.Contains(out, []byte(secret)) {
					t.Errorf("it shows the secret %s", secret)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
			if len(c.broker) > 0 {
				c.serve(t, stores)
			}
		})
	}
}

// serve serves with the configuration in front of a broker of its kind, and produces and reads a
// record, unless the file has calls of its own.
func (c configuration) serve(t *testing.T, stores stores) {
	t.Helper()
	b := testkit.Fake(t, stores.broker(c.broker)...)
	scheme := "http"
	if c.https {
		scheme = "https"
	}
	p := testkit.StartProcess(t, c.command(t, "serve", "bootstrap.servers="+b.Addrs[0], "client.bootstrap.servers="+b.Addrs[0],
		"listeners="+scheme+"://127.0.0.1:0", "log.format=text"))
	url := p.WaitLine(t, `msg=serving addresses=\[(https?://[^\]]+)\]`, 60*time.Second)[1]
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: stores.trusting(), DisableKeepAlives: true}}
	for _, line := range c.calls {
		words := strings.Fields(line)
		want, err := strconv.Atoi(words[2])
		if err != nil {
			t.Fatal(err)
		}
		if status, body := sendFrom(t, client, words[0], url+words[1], ""); status != want {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	if len(c.calls) > 0 {
		return
	}
	topic := testkit.Topic(t)
	if status, body := sendFrom(t, client, "POST", url+"/topics/"+topic, `{"records":[{"value":{"a":1}}]}`); status != 200 {
		t.Errorf("produce: %d %s", status, body)
	}
	testkit.Eventually(t, 30*time.Second, "the record", func() bool {
		status, body := sendFrom(t, client, "GET", url+"/topics/"+topic+"/partitions/0/records?offset=0", "")
		return status == 200 && strings.Contains(body, `{"a":1}`)
	})
}

// sendFrom makes a request as a web page of another origin, and returns the answer.
func sendFrom(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case method == "OPTIONS":
		req.Header.Set("Origin", "https://page.example")
		req.Header.Set("Access-Control-Request-Method", "POST")
	case body != "":
		req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	default:
		req.Header.Set("Accept", "application/vnd.kafka.json.v2+json, */*;q=0.5")
	}
	resp, text := exchange(t, client, req)
	return resp.StatusCode, text
}

// stores are a certificate authority, a certificate for this machine, and files with them.
type stores struct {
	*testkit.Authority
	dir string
}

// storePassword is that of all stores.
const storePassword = "changeit"

func newStores(t *testing.T) stores {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	authority, err := testkit.NewAuthority(dir)
	must(err)
	s := stores{authority, dir}
	s.write(t, must)
	return s
}

// write writes the stores of all types, and the files that are named beside them.
func (s stores) write(t *testing.T, must func(error)) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(s.Key)
	must(err)
	file := func(name string, content []byte) { must(os.WriteFile(filepath.Join(s.dir, name), content, 0o600)) }
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	chain := []keystore.Certificate{{Type: "X509", Content: s.Leaf.Raw}, {Type: "X509", Content: s.Root.Raw}}
	keys, trust := keystore.New(), keystore.New()
	entry := keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: key, CertificateChain: chain}
	must(keys.SetPrivateKeyEntry("rest", entry, []byte(storePassword)))
	must(trust.SetTrustedCertificateEntry("root", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: chain[1]}))
	for name, store := range map[string]keystore.KeyStore{"keystore.jks": keys, "truststore.jks": trust} {
		var b bytes.Buffer
		must(store.Store(&b, []byte(storePassword)))
		file(name, b.Bytes())
	}
	packed, err := pkcs12.Modern.Encode(s.Key, s.Leaf, []*x509.Certificate{s.Root}, storePassword)
	must(err)
	file("keystore.p12", packed)
	packed, err = pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{s.Root}, storePassword)
	must(err)
	file("truststore.p12", packed)
	file("ca.pem", block("CERTIFICATE", s.Root.Raw))
	file("client.pem", slices.Concat(block("PRIVATE KEY", key), block("CERTIFICATE", s.Leaf.Raw), block("CERTIFICATE", s.Root.Raw)))
	file("rest-users.properties", []byte("alice: alice-secret,user\n"))
	file("rest-jaas.conf", []byte("KafkaRest {\n  org.eclipse.jetty.jaas.spi.PropertyFileLoginModule required\n  debug=\"true\"\n  file=\""+filepath.Join(s.dir, "rest-users.properties")+"\";\n};\n"))
}

// trusting returns the client's side of TLS to the certificate.
func (s stores) trusting() *tls.Config {
	return &tls.Config{RootCAs: s.Pool}
}

// broker returns the options of a broker of the kinds.
func (s stores) broker(kinds []string) (opts []kfake.Opt) {
	mechanisms := map[string]string{"plain": "PLAIN", "scram-256": "SCRAM-SHA-256", "scram-512": "SCRAM-SHA-512"}
	for _, kind := range kinds {
		switch kind {
		case "tls", "mtls":
			config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{s.Leaf.Raw, s.Root.Raw}, PrivateKey: s.Key}}}
			if kind == "mtls" {
				config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, s.trusting().RootCAs
			}
			opts = append(opts, kfake.TLS(config))
		case "none":
		default:
			opts = append(opts, kfake.EnableSASL())
			for _, user := range []string{"rest", "writer", "reader"} {
				opts = append(opts, kfake.Superuser(mechanisms[kind], user, user+"-secret"))
			}
		}
	}
	return opts
}
