package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/internal/testkit"
)

// guardedKafka starts a Kafka with two listeners beside the open one: for SASL, where the user
// good has the password right, and for TLS, with a certificate that nobody trusts.
func guardedKafka(t *testing.T) (k *testkit.Kafka, sasl, tls string) {
	t.Helper()
	ports := unusedPorts(t, 4)
	at := func(i int) string { return "127.0.0.1:" + strconv.Itoa(ports[i]) }
	listeners := "PLAINTEXT://" + at(0) + ",CONTROLLER://" + at(1) + ",SASL://" + at(2) + ",TLS://" + at(3)
	certificate, key := untrusted(t)
	options := testkit.KafkaOptions{Port: ports[0], Properties: map[string]string{
		"listeners": listeners, "advertised.listeners": listeners,
		"controller.quorum.bootstrap.servers":              at(1),
		"listener.security.protocol.map":                   "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL",
		"sasl.enabled.mechanisms":                          "PLAIN",
		"listener.name.sasl.plain.sasl.jaas.config":        `org.apache.kafka.common.security.plain.PlainLoginModule required user_good="right";`,
		"listener.name.tls.ssl.keystore.type":              "PEM",
		"listener.name.tls.ssl.keystore.certificate.chain": certificate,
		"listener.name.tls.ssl.keystore.key":               key,
	}}
	return testkit.StartKafka(t, options), at(2), at(3)
}

// unusedPorts returns n ports that nothing listens on.
func unusedPorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // at the end, so that all differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// untrusted returns a self-signed certificate and its key, as values of a properties file.
func untrusted(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})), "\n", `\n`)
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", pkcs8)
}

// credentials are the settings of one side for the listener with SASL.
func credentials(side, password string) []string {
	return []string{
		"--set=" + side + ".security.protocol=SASL_PLAINTEXT", "--set=" + side + ".sasl.mechanism=PLAIN",
		"--set=" + side + `.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="good" password="` + password + `";`,
	}
}

// Where Kafka refuses the node, or the node Kafka, nothing is answered as if there were no
// records: each request has the status of the reason, and /readyz names it.
func TestRefusedByKafka(t *testing.T) {
	t.Parallel()
	k, sasl, tls := guardedKafka(t)
	topic := testkit.CreateTopic(t, k.Broker, 1)
	assigned := fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic)
	reads := func(t *testing.T, url, want string) {
		t.Helper()
		instance := url + "/consumers/" + testkit.Group(t)
		call(t, "POST", instance, `{"name":"i","format":"json"}`)
		instance += "/instances/i"
		wantAnswer(t, "POST", instance+"/assignments", assigned, want)
		call(t, "POST", instance+"/subscription", fmt.Sprintf(`{"topics":[%q]}`, topic))
		wantAnswer(t, "GET", instance+"/records", "", want)
		wantAnswer(t, "GET", url+"/topics/"+topic+"/partitions/0/records?offset=0", "", want)
		wantAnswer(t, "GET", url+"/topics/"+topic+"/stream", "", want)
	}
	const record = `{"records":[{"value":1}]}`
	t.Run("password", func(t *testing.T) {
		_, url := serve(t, testkit.Broker{Addrs: []string{sasl}}, credentials("client", "wrong")...)
		awaitReason(t, url, "refuses the credentials")
		wantAnswer(t, "GET", url+"/topics", "", "40101")
		wantAnswer(t, "POST", url+"/topics/"+topic, record, "40101")
		reads(t, url, "40101")
	})
	t.Run("certificate", func(t *testing.T) {
		_, url := serve(t, testkit.Broker{Addrs: []string{tls}}, "--set=client.security.protocol=SSL")
		awaitReason(t, url, "does not trust the certificate")
		wantAnswer(t, "POST", url+"/topics/"+topic, record, "50303")
		reads(t, url, "50303")
	})
	t.Run("password of consumers", func(t *testing.T) {
		args := append(credentials("consumer", "wrong"), "--set=consumer.bootstrap.servers="+sasl)
		_, url := serve(t, k.Broker, args...)
		wantAnswer(t, "GET", url+"/readyz", "", `"ready"`)
		wantAnswer(t, "POST", url+"/topics/"+topic, record, `"offset":0`)
		reads(t, url, "40101")
	})
	t.Run("password of producers", func(t *testing.T) {
		args := append(credentials("producer", "wrong"), "--set=producer.bootstrap.servers="+sasl)
		_, url := serve(t, k.Broker, args...)
		wantAnswer(t, "GET", url+"/readyz", "", `"ready"`)
		testkit.Eventually(t, 30*time.Second, "the refusal to be known", func() bool {
			status, _ := call(t, "POST", url+"/topics/"+topic, record)
			return status != 504 // of those that came before it was known
		})
		wantAnswer(t, "POST", url+"/topics/"+topic, record, "40101")
	})
	t.Run("no broker", func(t *testing.T) {
		_, url := serve(t, k.Broker)
		instance := url + "/consumers/" + testkit.Group(t)
		call(t, "POST", instance, `{"name":"i","format":"json"}`)
		instance += "/instances/i"
		wantAnswer(t, "POST", instance+"/assignments", assigned, "204")
		wantAnswer(t, "GET", instance+"/records", "", "200 []")
		k.Kill()
		awaitReason(t, url, "connections are refused")
		wantAnswer(t, "GET", instance+"/records", "", "50303")
		reads(t, url, "50303")
	})
}

// awaitReason waits until /readyz names the reason for which the node is not ready.
func awaitReason(t *testing.T, url, reason string) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, "the reason on /readyz", func() bool {
		status, body := call(t, "GET", url+"/readyz", "")
		return status == 503 && strings.Contains(body, reason)
	})
}

// wantAnswer makes a request and looks for texts in its status and body.
func wantAnswer(t *testing.T, method, url, body string, want ...string) {
	t.Helper()
	status, text := call(t, method, url, body)
	got := fmt.Sprint(status, " ", text)
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%s %s: %s, want %s", method, url, got, w)
		}
	}
}
