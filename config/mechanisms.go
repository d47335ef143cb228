package config

import (
	"cmp"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"millrace/internal/javaconf"
	"millrace/internal/kafka"
)

// mechanismNames are the SASL mechanisms, as Kafka names them.
var mechanismNames = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM", "GSSAPI"}

// defaultMechanism is that of Java.
const defaultMechanism = "GSSAPI"

// jaasForms are the login modules of the mechanisms, and what sasl.jaas.config looks like.
var jaasForms = map[string]struct{ module, form string }{
	"PLAIN":         {"PlainLoginModule", `org.apache.kafka.common.security.plain.PlainLoginModule required username="…" password="…";`},
	"SCRAM-SHA-256": {"ScramLoginModule", `org.apache.kafka.common.security.scram.ScramLoginModule required username="…" password="…";`},
	"SCRAM-SHA-512": {"ScramLoginModule", `org.apache.kafka.common.security.scram.ScramLoginModule required username="…" password="…";`},
	"OAUTHBEARER":   {"OAuthBearerLoginModule", `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId="…" clientSecret="…" scope="…";`},
	"AWS_MSK_IAM":   {"IAMLoginModule", `software.amazon.msk.auth.iam.IAMLoginModule required;`},
	"GSSAPI":        {"Krb5LoginModule", `com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true keyTab="/…" principal="NAME@REALM";`},
}

// mechanismOf builds the SASL mechanism of a side from its JAAS text. Faults
// never quote the text, as a password is part of it.
func (d *draft) mechanismOf(s side) sasl.Mechanism {
	l := &d.links[s]
	mechanism, jaas := d.sideName(s, "sasl.mechanism"), d.sideName(s, "sasl.jaas.config")
	if d.isFaulty(mechanism, jaas) {
		return nil
	}
	form := jaasForms[l.mechanism]
	if l.jaas == "" {
		d.fault(jaas, "is missing; allowed: %s", form.form)
		return nil
	}
	login, err := javaconf.ParseJAAS(l.jaas)
	if err != nil {
		d.fault(jaas, "%v; allowed: %s", err, form.form)
		return nil
	}
	if javaconf.SimpleName(login.Module) != form.module && !d.isGiven(mechanism) {
		d.fault(mechanism, "is missing, and its default, %s, is not that of the login module of %s; allowed: %s", defaultMechanism, jaas, rowNamed(mechanism).allowed)
		return nil
	}
	if javaconf.SimpleName(login.Module) != form.module {
		d.fault(jaas, "names a login module that is not the one of %s; allowed: %s", l.mechanism, form.form)
		return nil
	}
	switch l.mechanism {
	case "OAUTHBEARER":
		return d.oauthOf(s, login.Options)
	case "AWS_MSK_IAM":
		return d.iamOf(jaas, login.Options)
	case "GSSAPI":
		return d.kerberosOf(s, login.Options)
	}
	user, pass := login.Options["username"], login.Options["password"]
	if user == "" || pass == "" {
		d.fault(jaas, "has no username or no password; allowed: %s", form.form)
		return nil
	}
	token := strings.EqualFold(login.Options["tokenauth"], "true")
	switch l.mechanism {
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: pass, IsToken: token}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: pass, IsToken: token}.AsSha512Mechanism()
	default:
		return plain.Auth{User: user, Pass: pass}.AsMechanism()
	}
}

// oauthOf builds OAUTHBEARER: with a token of the endpoint for the client's credentials, or with
// one that a file holds.
func (d *draft) oauthOf(s side, options map[string]string) sasl.Mechanism {
	l := &d.links[s]
	endpoint, jaas := d.sideName(s, "sasl.oauthbearer.token.endpoint.url"), d.sideName(s, "sasl.jaas.config")
	if d.isFaulty(endpoint) {
		return nil
	}
	o := kafka.OAuth{
		Endpoint: l.tokenURL, ClientID: options["clientId"], ClientSecret: options["clientSecret"], Scope: options["scope"],
		Extensions: map[string]string{},
	}
	for name, value := range options {
		if name, ok := strings.CutPrefix(name, "extension_"); ok {
			o.Extensions[name] = value
		}
	}
	switch {
	case o.Endpoint == "":
		d.fault(endpoint, "is missing, and OAUTHBEARER needs it; allowed: %s", tokenURL.allowed)
		return nil
	case strings.HasPrefix(o.Endpoint, "file:"):
	case o.ClientID == "" || o.ClientSecret == "":
		d.fault(jaas, "has no clientId or no clientSecret; allowed: %s", jaasForms["OAUTHBEARER"].form)
		return nil
	}
	return o.Mechanism()
}

// tokenURL is where tokens come from.
var tokenURL = kind[string]{allowed: "an https:// or http:// URL without user and password, or file:///… with a token", parse: func(s string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	switch {
	case err != nil: // which would quote it
		return "", errors.New("it is not a URL")
	case u.User != nil:
		return "", errors.New("it holds a user")
	case u.Scheme == "file" && u.Path != "", (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return u.String(), nil
	}
	return "", errors.New("it is not such a URL") // not quoted: u:PASSWORD@h has no user
}}

// iamOf builds AWS_MSK_IAM with the keys of the environment.
func (d *draft) iamOf(setting string, options map[string]string) sasl.Mechanism {
	for name := range options {
		d.fault(setting, "has %s, which is not supported: the keys are those of the environment; allowed: %s", name, jaasForms["AWS_MSK_IAM"].form)
		return nil
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" || os.Getenv("AWS_SECRET_ACCESS_KEY") == "" {
		d.fault(setting, "needs the keys of AWS, which are not there; allowed: with the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where the keys end, AWS_SESSION_TOKEN")
		return nil
	}
	return aws.Auth{
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"), UserAgent: "millrace",
	}.AsManagedStreamingIAMMechanism()
}

// kerberosConfig is where the KDC of a realm is looked up: the variable is that of MIT Kerberos.
func kerberosConfig() string { return cmp.Or(os.Getenv("KRB5_CONFIG"), "/etc/krb5.conf") }

// kerberosOf builds GSSAPI with the keys of a keytab.
func (d *draft) kerberosOf(s side, options map[string]string) sasl.Mechanism {
	jaas, service := d.sideName(s, "sasl.jaas.config"), d.sideName(s, "sasl.kerberos.service.name")
	form := jaasForms["GSSAPI"].form
	name, realm, ok := strings.Cut(options["principal"], "@")
	switch {
	case strings.EqualFold(options["useTicketCache"], "true"):
		d.fault(jaas, "has useTicketCache, and a ticket of kinit ends after hours; allowed: a keytab, %s", form)
		return nil
	case options["keyTab"] == "" || !ok || name == "" || realm == "":
		d.fault(jaas, "has no keyTab, or no principal with its realm; allowed: %s", form)
		return nil
	}
	k := kafka.Kerberos{
		Config: kerberosConfig(), Keytab: strings.TrimPrefix(options["keyTab"], "file:"), Principal: name, Realm: realm,
		Service: cmp.Or(d.links[s].service, options["serviceName"]),
	}
	if k.Service == "" {
		d.fault(service, "is missing; allowed: the name of the brokers' principals, such as kafka of kafka/HOST@REALM")
		return nil
	}
	m, err := k.Mechanism()
	if err != nil {
		d.fault(jaas, "%v; allowed: files that can be read, of which KRB5_CONFIG names krb5.conf", err)
		return nil
	}
	return m
}
