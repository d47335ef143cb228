package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"millrace/auth"
	"millrace/internal/javaconf"
	"millrace/internal/kafka"
)

var accessRows = append([]row{
	{
		name: "authentication.method", def: "NONE", doc: "BASIC asks for a name and password, of authentication.passwords.file or authentication.jaas.file. With one of these files it is the default.",
		store: into(oneOf("NONE", "BASIC"), func(d *draft) *string { return &d.method }),
	},
	{
		name: "authentication.realm", def: "millrace", doc: "Realm that clients without credentials are told, and the section of authentication.jaas.file that counts.",
		store: into(text, func(d *draft) *string { return &d.Access.Realm }),
	},
	{
		name: "authentication.passwords.file", doc: "Names and passwords: lines of `name: password, role, role…`, the password as bcrypt (`htpasswd -nB NAME`) or argon2id, or as Jetty's PropertyFileLoginModule has it, which is plain, OBF: or MD5:. Read again when it changes.",
		store: into(text, func(d *draft) *string { return &d.Access.Passwords }),
	},
	{
		name: "authentication.jaas.file", doc: "The file that `-Djava.security.auth.login.config` named for the Confluent proxy: the file of its PropertyFileLoginModule is authentication.passwords.file.",
		store: into(text, func(d *draft) *string { return &d.jaasFile }),
	},
	{
		name: "authentication.roles", def: "*", doc: "Roles of which a user with a password must have one, separated by commas; * is any user.",
		store: into(words, func(d *draft) *[]string { return &d.Access.Roles }),
	},
	{
		name: "authentication.skip.paths", doc: "Paths that everybody may use, separated by commas, as the routes have them, such as `/topics/{topic}`; * stands for any text. `/healthz`, `/readyz` and `/openapi.yaml` are for everybody anyway.",
		store: into(words, func(d *draft) *[]string { return &d.Access.SkipPaths }),
	},
	{
		name: "authentication.keys.file", doc: "API keys, as `millrace key new` prints them: a list in YAML with id, sha256, roles and expires. A client sends its key as `X-Api-Key` or `Authorization: Bearer`. Read again when it changes.",
		store: into(text, func(d *draft) *string { return &d.Access.Keys }),
	},
	{
		name: "authentication.certificates", def: "false", doc: "Take the subject of a client's certificate as its name (ssl.client.authentication has them sent).",
		store: into(boolean, func(d *draft) *bool { return &d.Access.Certificates }),
	},
	{
		name: "ssl.principal.mapping.rules", alias: "auth.ssl.principal.mapping.rules", def: "DEFAULT", doc: "What name a certificate's subject becomes, as Kafka's rules say: the first of them that fits.",
		store: into(mapping, func(d *draft) *auth.Mapping { return &d.Access.Mapping }),
	},
	{
		name: "authentication.jwt.keys", doc: "Public keys of who signs tokens (JWT in `Authorization: Bearer`): a file or URL with a JSON Web Key Set. Where a token says its keys are is not looked at.",
		store: into(text, func(d *draft) *string { return &d.Access.Tokens.Keys }),
	},
	{
		name: "authentication.jwt.issuer", doc: "The issuer (iss) that a token must have.",
		store: into(text, func(d *draft) *string { return &d.Access.Tokens.Issuer }),
	},
	{
		name: "authentication.jwt.audience", doc: "The audiences (aud) of which a token must have one, separated by commas.",
		store: into(words, func(d *draft) *[]string { return &d.Access.Tokens.Audience }),
	},
	{
		name: "authentication.jwt.skew.ms", def: "30000", doc: "How much the clocks of issuer and node may differ.",
		store: into(millis(0, 600_000), func(d *draft) *time.Duration { return &d.Access.Tokens.Skew }),
	},
	{
		name: "authentication.jwt.keys.refresh.ms", def: "600000", doc: "How old the keys may be. For a token with a key that is not known they are read at once, every 10 s at most.",
		store: into(millis(1000, largest), func(d *draft) *time.Duration { return &d.Access.Tokens.Refresh }),
	},
	{
		name: "authentication.jwt.name.claim", def: "sub", doc: "Member of a token with the name.",
		store: into(text, func(d *draft) *string { return &d.Access.Tokens.NameClaim }),
	},
	{
		name: "authentication.jwt.roles.claim", doc: "Member of a token with the roles, a list or words; a dot leads into an object, as in realm_access.roles.",
		store: into(text, func(d *draft) *string { return &d.Access.Tokens.RolesClaim }),
	},
	{
		name: "authentication.kafka.passwords", def: "NONE", doc: "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 has the name and password of a caller (Basic) log in to Kafka, which then decides what the caller may do there. Without authentication.passwords.file Kafka also is who checks them.",
		store: into(oneOf("NONE", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), func(d *draft) *string { return &d.passwordsToKafka }),
	},
	{
		name: "authentication.kafka.tokens", def: "false", doc: "Have the token of a caller log in to Kafka (OAUTHBEARER). Needs authentication.jwt.keys.",
		store: into(boolean, func(d *draft) *bool { return &d.Access.Delegation.Tokens }),
	},
	{
		name: "authentication.kafka.logins.file", doc: "Logins for Kafka of callers that bring none, in YAML: docs/access.md. With one of these three settings no request of a caller is carried out with the rights of the node. Read again when it changes.",
		store: into(text, func(d *draft) *string { return &d.Access.Delegation.Logins }),
	},
	{
		name: "authentication.kafka.clients.max", def: "100", doc: "How many logins of callers have connections to Kafka at a time; 429 beyond, while all are in use.",
		store: into(whole(1, 100_000), func(d *draft) *int { return &d.MaxPrincipals }),
	},
	{
		name: "authentication.kafka.clients.idle.ms", def: "300000", doc: "How long connections of a login are kept that no request uses. Those of a token end with it.",
		store: into(millis(100, largest), func(d *draft) *time.Duration { return &d.PrincipalIdle }),
	},
	{
		name: "audit.topic", doc: "Topic for refused requests and for changes by /admin and v3, one JSON object a record, beside the lines of the log. No request waits for it: what Kafka does not take in time is lost, and counted in millrace_audit_records_lost_total. It must exist. No request reads, writes or describes it.",
		store: into(text, func(d *draft) *string { return &d.AuditTopic }),
	},
	{
		name: "authorization.rules.file", doc: "Rules of who may do what, and quotas, in YAML: docs/access.md. Without it every caller with an identity may do everything. Read again when it changes.",
		store: into(text, func(d *draft) *string { return &d.Access.Rules }),
	},
	{
		name: "authentication.files.interval.ms", def: "5000", doc: "How often it is looked whether these files have changed; 0: at SIGHUP only.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.AccessInterval }),
	},
}, limitRowsOfConfluent...)

// limitRowsOfConfluent are the limits that the Confluent proxy has a name for. Quotas are more.
var limitRowsOfConfluent = []row{
	{
		name: "rate.limit.enable", def: "false", doc: "Bound the requests to the v3 API of all callers together: 429 beyond rate.limit.permits.per.sec.",
		store: into(boolean, func(d *draft) *bool { return &d.limits.v3 }),
	},
	{
		name: "rate.limit.permits.per.sec", def: "50", doc: "How many requests a second rate.limit.enable lets through.",
		store: into(whole(1, largest), func(d *draft) *int { return &d.limits.permits }),
	},
	{
		name: "dos.filter.enabled", def: "false", doc: "Bound the requests of one address: 429 beyond dos.filter.max.requests.per.connection.per.sec. A load balancer in front is one address.",
		store: into(boolean, func(d *draft) *bool { return &d.limits.addresses }),
	},
	{
		name: "dos.filter.max.requests.per.connection.per.sec", alias: "dos.filter.max.requests.per.sec", def: "25", doc: "How many requests a second dos.filter.enabled lets through from one address.",
		store: into(whole(1, largest), func(d *draft) *int { return &d.limits.each }),
	},
}

// givenLimits are the limits of the Confluent proxy as they were written.
type givenLimits struct {
	v3, addresses bool
	permits, each int
}

func (g *givenLimits) all() (limits []auth.Limit) {
	if g.v3 {
		limits = append(limits, auth.Limit{Name: "rate.limit.permits.per.sec", Requests: float64(g.permits), Paths: []string{"/v3/*"}})
	}
	if g.addresses {
		limits = append(limits, auth.Limit{Name: "dos.filter.max.requests.per.connection.per.sec", Requests: float64(g.each), PerAddress: true})
	}
	return limits
}

// words is a list of words, separated by commas.
var words = kind[[]string]{allowed: "words, separated by commas", parse: func(s string) ([]string, error) { return commaList(s), nil }}

var mapping = kind[auth.Mapping]{allowed: "RULE:pattern/replacement/[LU] or DEFAULT, separated by commas", parse: auth.ParseMapping}

// checkAccess looks at what the settings about callers need of one another, and at their files.
func (d *draft) checkAccess() {
	const method, passwords, jaas = "authentication.method", "authentication.passwords.file", "authentication.jaas.file"
	s := &d.Access
	s.Limits = d.limits.all()
	if d.jaasFile != "" && s.Passwords == "" {
		file, err := passwordFile(d.jaasFile, s.Realm)
		if err != nil {
			d.fault(jaas, "%v; allowed: a file with the section that authentication.realm names, of PropertyFileLoginModule with file=…", err)
		}
		s.Passwords = file
	}
	given := s.Passwords != "" || d.isFaulty(jaas)
	switch {
	case d.method == "BASIC" && !given:
		d.fault(method, "BASIC needs names and passwords; allowed: with %s or %s", passwords, jaas)
	case d.method == "NONE" && given && d.isGiven(method):
		d.fault(method, "NONE does not go with a file of passwords; allowed: BASIC")
	}
	if t := &s.Tokens; t.Enabled() {
		if t.Issuer == "" {
			d.fault("authentication.jwt.issuer", "is missing, and authentication.jwt.keys needs it; allowed: the iss of the tokens")
		}
		if len(t.Audience) == 0 {
			d.fault("authentication.jwt.audience", "is missing, and authentication.jwt.keys needs it: else a token for any other service would do; allowed: the aud of the tokens")
		}
	}
	d.checkDelegation()
	if s.Certificates && d.https.clientAuthentication == "NONE" && !d.https.clientAuth {
		d.fault("authentication.certificates", "has no effect while no certificates are asked for; allowed: with ssl.client.authentication REQUESTED or REQUIRED")
	}
	var fault *auth.FileError
	if err := auth.Check(*s); errors.As(err, &fault) {
		d.fault(fault.Setting, "%v", fault.Err)
	}
}

// checkDelegation looks at what callers with rights of their own in Kafka exclude.
func (d *draft) checkDelegation() {
	const passwords, tokens = "authentication.kafka.passwords", "authentication.kafka.tokens"
	r := &d.Access.Delegation
	if r.Passwords = d.passwordsToKafka; r.Passwords == "NONE" {
		r.Passwords = ""
	}
	if r.Tokens && !d.Access.Tokens.Enabled() {
		d.fault(tokens, "true needs the name and the end of a token, which count only if it is checked; allowed: with authentication.jwt.keys")
	}
	if !r.Enabled() {
		return
	}
	for s := range sideCount {
		protocol := d.protocolOf(s)
		r.Clear = r.Clear || protocol == "SASL_PLAINTEXT"
		switch {
		case protocol != "" && protocol != "SASL_SSL" && protocol != "SASL_PLAINTEXT":
			d.fault(d.sideName(s, "security.protocol"), "is %s, and callers log in to Kafka by SASL (authentication.kafka.…); allowed: SASL_SSL", protocol)
		case protocol == "SASL_PLAINTEXT" && (r.Passwords == kafka.Plain || r.Tokens):
			d.fault(d.sideName(s, "security.protocol"), "is SASL_PLAINTEXT, by which anybody on the way reads the credentials of callers (authentication.kafka.…); allowed: SASL_SSL, or passwords by SCRAM")
		}
	}
	switch {
	case d.UI && d.isGiven("ui.enable"):
		d.fault("ui.enable", "true shows everyone who may see it what the node may see in Kafka, and callers have rights of their own (authentication.kafka.…); allowed: false")
	case d.UI:
		d.UI, d.shown["ui.enable"] = false, "false (authentication.kafka.…)"
	}
	if d.Ingest.SpoolDir != "" {
		d.fault("ingest.spool.dir", "holds events for later, which are then sent with the rights of the node, and callers have rights of their own (authentication.kafka.…); allowed: no spool")
	}
	secure := strings.HasPrefix(d.Cluster.URL, "https://") || d.Cluster.URL == "" && len(d.listeners) > 0 && d.listeners[0].https
	if d.Cluster.Enabled && !secure && (r.Passwords != "" || r.Tokens) {
		d.fault("cluster.advertised.url", "is no https:// address, and credentials of callers go to other nodes only by TLS (authentication.kafka.…); allowed: https://…")
	}
}

var javaComment = regexp.MustCompile(`(?s)/\*.*?\*/|(?m)^\s*(//|#).*$`)

// passwordFile returns the file of passwords that a section of a JAAS file names.
func passwordFile(name, section string) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	text := javaComment.ReplaceAllString(string(data), "")
	at := regexp.MustCompile(`(?s)\b` + regexp.QuoteMeta(section) + `\s*\{(.*?)\}\s*;`).FindStringSubmatch(text)
	if at == nil {
		return "", fmt.Errorf("has no section %s", section)
	}
	login, err := javaconf.ParseJAAS(strings.TrimSpace(at[1]))
	if err != nil {
		return "", err
	}
	if javaconf.SimpleName(login.Module) != "PropertyFileLoginModule" || login.Options["file"] == "" {
		return "", fmt.Errorf("names another module in its section %s", section)
	}
	return login.Options["file"], nil
}
