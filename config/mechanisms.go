package config

import (
	"errors"
	"fmt"
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
var mechanismNames = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"}

// noKerberos is why GSSAPI is not among them.
const noKerberos = "the one Kerberos library in Go, gokrb5, has had no release since February 2023, and code that handles credentials must be maintained"

// mechanisms is the kind of sasl.mechanism.
var mechanisms = kind[string]{allowed: strings.Join(mechanismNames, ", "), parse: func(s string) (string, error) {
	if strings.EqualFold(strings.TrimSpace(s), "GSSAPI") {
		return "", errors.New("GSSAPI is not supported: " + noKerberos + ". Have the brokers offer SCRAM or OAUTHBEARER on a listener")
	}
	return oneOf(mechanismNames...).parse(s)
}}

// jaasForms are the login modules of the mechanisms, and what sasl.jaas.config looks like.
var jaasForms = map[string]struct{ module, form string }{
	"PLAIN":         {"PlainLoginModule", `org.apache.kafka.common.security.plain.PlainLoginModule required username="…" password="…";`},
	"SCRAM-SHA-256": {"ScramLoginModule", `org.apache.kafka.common.security.scram.ScramLoginModule required username="…" password="…";`},
	"SCRAM-SHA-512": {"ScramLoginModule", `org.apache.kafka.common.security.scram.ScramLoginModule required username="…" password="…";`},
	"OAUTHBEARER":   {"OAuthBearerLoginModule", `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId="…" clientSecret="…" scope="…";`},
	"AWS_MSK_IAM":   {"IAMLoginModule", `software.amazon.msk.auth.iam.IAMLoginModule required;`},
}

// mechanismOf builds the SASL mechanism of a side from its JAAS text. Faults
// never quote the text, as a password is part of it.
func (d *draft) mechanismOf(s side) sasl.Mechanism {
	l := &d.links[s]
	mechanism, jaas := d.sideName(s, "sasl.mechanism"), d.sideName(s, "sasl.jaas.config")
	if d.isFaulty(mechanism, jaas) {
		return nil
	}
	if l.mechanism == "" {
		d.fault(mechanism, "is missing, and Java's default, GSSAPI, is not supported: "+noKerberos+"; allowed: %s", rowNamed(mechanism).allowed)
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
	if javaconf.SimpleName(login.Module) != form.module {
		d.fault(jaas, "names a login module that is not the one of %s; allowed: %s", l.mechanism, form.form)
		return nil
	}
	switch l.mechanism {
	case "OAUTHBEARER":
		return d.oauthOf(s, login.Options)
	case "AWS_MSK_IAM":
		return d.iamOf(jaas, login.Options)
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
	return "", fmt.Errorf("%q is not such a URL", s)
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
