package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestRegistryCredentials(t *testing.T) {
	for _, set := range [][]string{
		{"schema.registry.basic.auth.credentials.source=USER_INFO", "schema.registry.basic.auth.user.info=u:p:w"},
		{"producer.basic.auth.credentials.source=USER_INFO", "client.basic.auth.user.info=u:p:w"},
		{"schema.registry.basic.auth.user.info=u:p:w"},
		{"client.basic.auth.user.info=x:y", "consumer.basic.auth.user.info=u:p:w"},
	} {
		if s := load(t, set...).Schema; s.User != "u" || s.Password != "p:w" {
			t.Errorf("%q: user %q, password %q", set, s.User, s.Password)
		}
	}
	for _, f := range []struct {
		set  []string
		want string
	}{
		{[]string{"schema.registry.basic.auth.credentials.source=USER_INFO"}, "schema.registry.basic.auth.user.info: is no user and password"},
		{[]string{"client.basic.auth.user.info=hunter2"}, "client.basic.auth.user.info: is no user and password"},
		{[]string{"client.basic.auth.user.info=:hunter2"}, "is no user and password"},
		{[]string{"schema.registry.basic.auth.credentials.source=URL", "schema.registry.basic.auth.user.info=u:hunter2"}, "source: is URL, but"},
		{[]string{"schema.registry.basic.auth.credentials.source=SASL_INHERIT"}, `"SASL_INHERIT" is not supported`},
		{[]string{"schema.registry.bearer.auth.credentials.source=OAUTHBEARER"}, `"OAUTHBEARER" is not supported`},
		{[]string{"client.bearer.auth.token=hunter2", "client.basic.auth.user.info=u:hunter2"}, "client.bearer.auth.token: is given beside"},
		{[]string{"schema.registry.key.subject.name.strategy=com.example.Mine"}, `"com.example.Mine" is not supported`},
		{[]string{"schema.registry.latest.cache.ttl.sec=0"}, "0 is out of range"},
		{[]string{"schema.registry.ssl.truststore.location=/nowhere"}, "schema.registry.ssl.truststore.location: "},
	} {
		got := loadFault(t, f.set...)
		if !strings.Contains(got, f.want) {
			t.Errorf("%q: got %s, want %s", f.set, got, f.want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("a secret is shown: %s", got)
		}
	}
}

// The Confluent proxy takes its serializers' settings after any of these
// prefixes, a later one outweighing those before it.
func TestSerializerSettingsHaveOtherNames(t *testing.T) {
	set := []string{"schema.registry.auto.register.schemas=false"}
	for i, prefix := range schemaPrefixes {
		set = append(set, fmt.Sprintf("%sauto.register.schemas=%v", prefix, i%2 == 0))
		if got := load(t, set...).Schema.AutoRegister; got != (i%2 == 0) {
			t.Errorf("%q: got %v", set, got)
		}
	}
	if got := load(t, "producer.schema.registry.url=http://p:1").Schema.URLs; fmt.Sprint(got) != "[http://p:1]" {
		t.Errorf("got the URLs %v", got)
	}
	if got := load(t, "schema.registry.url=").Schema.URLs; len(got) != 0 {
		t.Errorf("an empty URL is %v", got)
	}
}

func TestRegistryTLS(t *testing.T) {
	s := load(t, "schema.registry.ssl.endpoint.identification.algorithm=", "schema.registry.ssl.enabled.protocols=TLSv1.3").Schema
	if s.TLS == nil || !s.TLS.InsecureSkipVerify || s.TLS.VerifyConnection == nil || s.TLS.MinVersion != s.TLS.MaxVersion {
		t.Errorf("got %+v", s.TLS)
	}
	if s := load(t).Schema; s.TLS == nil || s.TLS.InsecureSkipVerify {
		t.Errorf("by itself %+v", s.TLS)
	}
}
