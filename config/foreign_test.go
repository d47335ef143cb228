package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/internal/javaconf"
)

func environ(variables ...string) Sources {
	return Sources{Preset: []string{"bootstrap.servers=a:1"}, Environ: variables}
}

// The variables of Kubernetes for any service of a name like kafka-rest, and those of clients of a
// REST proxy, do not stop the start.
func TestVariablesOfOthers(t *testing.T) {
	for _, service := range []string{"", "PROXY_", "V2_", "HEADLESS_2_"} {
		config, err := Load(environ(
			"KAFKA_REST_"+service+"SERVICE_HOST=10.0.0.7",
			"KAFKA_REST_"+service+"SERVICE_PORT=8082",
			"KAFKA_REST_"+service+"SERVICE_PORT_HTTP=8082",
			"KAFKA_REST_"+service+"PORT=tcp://10.0.0.7:8082",
			"KAFKA_REST_"+service+"PORT_8082_TCP=tcp://10.0.0.7:8082",
			"KAFKA_REST_"+service+"PORT_8082_TCP_PROTO=tcp",
			"KAFKA_REST_"+service+"PORT_8082_TCP_PORT=8082",
			"KAFKA_REST_"+service+"PORT_8082_TCP_ADDR=10.0.0.7",
		))
		if err != nil || len(config.NotUsed) != 8 {
			t.Errorf("service %q: %v, %d not used", service, err, len(config.NotUsed))
		}
	}
	if _, err := Load(environ("KAFKA_REST_PROXY_URL=http://a", "KAFKA_REST_PROXY_HOST=a", "KAFKA_REST_URL=http://a")); err != nil {
		t.Error(err)
	}
	for _, r := range rows() {
		if why, taken := notUsedVariable(strings.TrimPrefix(environName(r.name), environPrefix), "x"); taken {
			t.Errorf("%s cannot be set by a variable: %s", r.name, why)
		}
	}
	if _, err := Load(environ("KAFKA_REST_PORT=8082")); err == nil || !strings.Contains(err.Error(), "listeners") {
		t.Errorf("a port of somebody's: %v", err)
	}
}

// Credentials of the registry as Confluent Cloud's documentation writes them.
func TestRegistryAsConfluentCloudSaysIt(t *testing.T) {
	for _, prefix := range []string{"client.", "producer.", "consumer."} {
		config := load(t, prefix+"basic.auth.credentials.source=USER_INFO", prefix+"schema.registry.url=https://r:1", prefix+"schema.registry.basic.auth.user.info=key:secret")
		if config.Schema.User != "key" || config.Schema.Password != "secret" || len(config.Schema.URLs) != 1 || config.Schema.URLs[0] != "https://r:1" {
			t.Errorf("%s: %+v", prefix, config.Schema)
		}
	}
}

// A fault is told under the name, in the file and in the line that it was written in.
func TestFaultsAreToldAsWritten(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "p")
		if err := os.WriteFile(file, []byte("bootstrap.servers=a:1\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(Sources{File: file})
		if err == nil || !strings.HasPrefix(err.Error(), file+":2: "+want+": ") {
			t.Errorf("%s: %v", line, err)
		}
	}
	f("client.schema.registry.basic.auth.credentials.source=NONE", "client.schema.registry.basic.auth.credentials.source")
	f("client.acks=7", "client.acks")
	f("compression.type=rar", "compression.type")
	f("client.bootstrap.servers=a", "client.bootstrap.servers")
}

// A credential that nothing uses is refused, whatever wildcard its name is behind.
func TestCredentialsAreNotSwallowed(t *testing.T) {
	for _, name := range []string{
		"client.sasl.oauthbearer.client.credentials.client.secret", "producer.basic.auth.proxy.password",
		"confluent.metadata.basic.auth.user.info", "schema.registry.vault.token", "client.sasl.login.refresh.password",
	} {
		if got := loadFault(t, name+"=hunter2"); !strings.Contains(got, "is a credential that nothing here uses") || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// client.NAME is the default of producing and consuming, wherever it stands.
func TestClientIsTheDefault(t *testing.T) {
	config := load(t, "client.acks=1", "client.fetch.max.bytes=2000000", "client.linger.ms=7", "producer.linger.ms=3")
	if config.Producer.Acks != 1 || config.KafkaConsumer.FetchMaxBytes != 2000000 || config.Batch.Linger.Milliseconds() != 3 {
		t.Errorf("%+v %+v %v", config.Producer, config.KafkaConsumer, config.Batch.Linger)
	}
	config = load(t, "producer.linger.ms=3", "client.linger.ms=7")
	if config.Batch.Linger.Milliseconds() != 3 {
		t.Errorf("client.linger.ms outweighs producer.linger.ms: %v", config.Batch.Linger)
	}
}

// config.unknown=warn lists what nobody knows, and starts.
func TestUnknownNamesAsWarnings(t *testing.T) {
	config := load(t, "config.unknown=warn", "some.plugin.of.ours=x")
	if len(config.NotUsed) != 1 || !strings.Contains(config.NotUsed[0], "some.plugin.of.ours") {
		t.Errorf("not used: %q", config.NotUsed)
	}
	config = load(t, "some.plugin.of.ours=x", "config.unknown=warn")
	if len(config.NotUsed) != 1 {
		t.Errorf("not used: %q", config.NotUsed)
	}
	if got := loadFault(t, "consumer.enable=true"); strings.Contains(got, "cluster.enable") {
		t.Errorf("dangerous advice: %s", got)
	}
}

// A setting that a file has twice, and credentials that are not sent, are reported.
func TestIneffectiveSettingsAreTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p")
	text := `bootstrap.servers=a:1
id=one
client.sasl.mechanism=PLAIN
client.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="hunter2";
id=two
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := Load(Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Join(config.NotUsed, "\n")
	if config.ID != "two" || !strings.Contains(told, "id ("+file+":2): given again in line 5") {
		t.Errorf("id is %s; told:\n%s", config.ID, told)
	}
	if !strings.Contains(told, "client.sasl.jaas.config ("+file+":4): the security protocol is PLAINTEXT") || strings.Contains(told, "hunter2") || len(config.NotUsed) != 2 {
		t.Errorf("told:\n%s", told)
	}
}

// A variable may hold a JAAS text in lines, as a properties file has it.
func TestJAASInLines(t *testing.T) {
	for _, end := range []string{" \\\n", "\n", " \\\r\n  "} {
		login, err := javaconf.ParseJAAS("org.apache.kafka.common.security.plain.PlainLoginModule required" + end + `username="u"` + end + `password="p\\q";`)
		if err != nil || login.Options["password"] != `p\q` {
			t.Errorf("%q: %v %v", end, login, err)
		}
	}
}
