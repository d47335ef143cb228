package config

import (
	"context"
	"strings"
	"testing"
)

// TestSASLSettings checks what the brokers would be told, and every fault.
func TestSASLSettings(t *testing.T) {
	const plainLogin = `client.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="hunter2";`
	const scramLogin = `client.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="hunter2" tokenauth="true";`
	protocol := "client.security.protocol=SASL_PLAINTEXT"

	c := load(t, protocol, "client.sasl.mechanism=plain", plainLogin)
	if _, first, err := c.KafkaConsume.SASL.Authenticate(context.Background(), ""); err != nil || string(first) != "\x00u\x00hunter2" || c.Kafka.TLS != nil {
		t.Errorf("PLAIN: got %q, %v", first, err)
	}
	c = load(t, protocol, "client.sasl.mechanism=SCRAM-SHA-512", scramLogin)
	if _, first, err := c.Kafka.SASL.Authenticate(context.Background(), ""); err != nil || c.Kafka.SASL.Name() != "SCRAM-SHA-512" ||
		!strings.Contains(string(first), "n=u,") || !strings.Contains(string(first), "tokenauth=true") {
		t.Errorf("SCRAM: got %s %q, %v", c.Kafka.SASL.Name(), first, err)
	}
	c = load(t, "producer.security.protocol=SASL_SSL", "producer.sasl.mechanism=SCRAM-SHA-256", strings.Replace(scramLogin, "client.", "producer.", 1))
	if c.KafkaProduce.SASL.Name() != "SCRAM-SHA-256" || c.KafkaProduce.TLS == nil || c.Kafka.SASL != nil || c.Kafka.TLS != nil || c.KafkaConsume.SASL != nil {
		t.Errorf("one side: got %+v and %+v", c.KafkaProduce, c.KafkaConsume)
	}
	if c = load(t, "client.sasl.mechanism=PLAIN", plainLogin); c.Kafka.SASL != nil {
		t.Error("SASL is used without a SASL protocol")
	}

	for _, f := range []struct {
		set  []string
		want string
	}{
		{[]string{protocol, plainLogin}, "client.sasl.mechanism: is missing, and its default, GSSAPI, is not that of the login module"},
		{[]string{protocol, plainLogin, "client.sasl.mechanism=GSSAPI"}, "a login module that is not the one of GSSAPI"},
		{[]string{protocol, kerberosLogin("")}, "client.sasl.kerberos.service.name: is missing"},
		{[]string{protocol, service, kerberosLogin("")}, "cannot read the keytab: stat /no/keytab"},
		{[]string{protocol, service, kerberosLogin("useTicketCache=true")}, "a ticket of kinit ends after hours"},
		{[]string{protocol, service, strings.Replace(kerberosLogin(""), "@R", "", 1)}, "no principal with its realm"},
		{[]string{protocol, "client.sasl.mechanism=PLAIN"}, "client.sasl.jaas.config: is missing; allowed: org.apache"},
		{[]string{protocol, "client.sasl.mechanism=SCRAM-SHA-256", plainLogin}, "a login module that is not the one of SCRAM-SHA-256"},
		{[]string{protocol, "client.sasl.mechanism=PLAIN", strings.Replace(plainLogin, "username", "user", 1)}, "has no username or no password"},
		{[]string{protocol, "client.sasl.mechanism=PLAIN", strings.TrimSuffix(plainLogin, ";")}, "--set client.sasl.jaas.config: does not end with ';'"},
		{[]string{"producer.security.protocol=SASL_SSL", plainLogin, "producer.sasl.mechanism=SCRAM-SHA-512"}, "--set client.sasl.jaas.config: names a login module"},
	} {
		if got := loadFault(t, f.set...); !strings.Contains(got, f.want) || strings.Contains(got, "hunter2") {
			t.Errorf("got  %s\nwant %s and no secret", got, f.want)
		}
	}
}

func TestProtocolFromPrefixes(t *testing.T) {
	for _, c := range []struct {
		set     []string
		tls     bool
		brokers string
	}{
		{[]string{"bootstrap.servers=a:1"}, false, "a:1"},
		{[]string{"bootstrap.servers=PLAINTEXT://a:1, PLAINTEXT://[::1]:2,"}, false, "a:1 [::1]:2"},
		{[]string{"bootstrap.servers=ssl://a:1,SSL://b:2"}, true, "a:1 b:2"},
		{[]string{"bootstrap.servers=SSL://a:1,b:2"}, true, "a:1 b:2"},
		{[]string{"bootstrap.servers=PLAINTEXT://a:1,b:2"}, false, "a:1 b:2"},
		{[]string{"bootstrap.servers=SSL://a:1,PLAINTEXT://b:2", "client.security.protocol=SSL"}, true, "a:1 b:2"},
		{[]string{"bootstrap.servers=SASL_SSL://a:1", "client.security.protocol=PLAINTEXT"}, false, "a:1"},
	} {
		got := load(t, c.set...)
		if (got.Kafka.TLS != nil) != c.tls || strings.Join(got.Kafka.Brokers, " ") != c.brokers {
			t.Errorf("%q: got TLS %v and brokers %q", c.set, got.Kafka.TLS != nil, got.Kafka.Brokers)
		}
	}
	for set, want := range map[string]string{
		"bootstrap.servers=SSL://a:1,PLAINTEXT://b:2": "has brokers with different prefixes",
		"bootstrap.servers=INTERNAL://a:1":            `"INTERNAL://a:1" has an unknown prefix`,
		"bootstrap.servers=a":                         `"a" is not host:port`,
		"bootstrap.servers=a:0":                       `"a:0" is not host:port`,
		"bootstrap.servers= , ":                       "is empty",
		"client.security.protocol=SASL_TLS":           `"SASL_TLS" is not supported; allowed: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL`,
	} {
		if got := loadFault(t, set); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", set, got, want)
		}
	}
}

const service = "client.sasl.kerberos.service.name=kafka"

func kerberosLogin(more string) string {
	return `client.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true keyTab="/no/keytab" principal="rest@R" ` + more + `;`
}
