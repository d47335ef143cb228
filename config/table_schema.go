package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/schema"
)

// registry is how to reach the schema registry, as it was written.
type registry struct {
	basicSource, userInfo string
	tls                   tlsSource
}

// schemaPrefixes are the other places where the settings of Confluent's
// serializers may stand, in rising order of weight.
var schemaPrefixes = []string{"client.", "producer.", "consumer."}

// forSchemas makes the rows of a setting of Confluent's serializers: under the
// prefix schema.registry., and under those of the Java clients.
func forSchemas(r row) []row {
	plain := strings.TrimPrefix(r.name, "schema.registry.")
	if r.name == "schema.registry.url" { // its prefix is part of its name
		plain = r.name
	}
	rows := []row{r}
	for _, prefix := range schemaPrefixes {
		rows = append(rows, row{
			name: prefix + plain, doc: "Another name of " + r.name + ".", base: r.name, oneSide: true, store: r.store,
		})
	}
	return rows
}

// schemaRows are the settings about the registry: how to reach it, what to ask
// it, what to remember.
func schemaRows() []row { return slices.Concat(registryRows(), subjectRows()) }

func registryRows() []row {
	return slices.Concat(
		forSchemas(row{
			name: "schema.registry.url", def: "http://localhost:8081", doc: "Base URLs of the schema registry, tried from the one that answered last; empty turns the formats that need one off.",
			store: into(webURLs, func(d *draft) *[]string { return &d.Schema.URLs }),
		}),
		forSchemas(row{
			name: "schema.registry.basic.auth.credentials.source", doc: "Where user and password are: in schema.registry.url, or in schema.registry.basic.auth.user.info. Without it the latter if it is given.",
			store: into(oneOf("URL", "USER_INFO"), func(d *draft) *string { return &d.registry.basicSource }),
		}),
		forSchemas(row{
			name: "schema.registry.basic.auth.user.info", doc: "`user:password`, for source USER_INFO.",
			store: into(password, func(d *draft) *string { return &d.registry.userInfo }),
		}),
		forSchemas(row{
			name: "schema.registry.bearer.auth.credentials.source", def: "STATIC_TOKEN", doc: "Where the token of bearer authentication is.",
			store: into(oneOf("STATIC_TOKEN"), func(*draft) *string { return new(string) }),
		}),
		forSchemas(row{
			name: "schema.registry.bearer.auth.token", doc: "Token for bearer authentication, in place of user and password.",
			store: into(password, func(d *draft) *string { return &d.Schema.BearerToken }),
		}),
		registryTLSRows(),
		[]row{{
			name: "schema.registry.request.timeout.ms", def: "5000", doc: "How long one look-up may take, with all URLs that it tries and all schemas that a schema refers to.",
			store: into(millis(1, largest), func(d *draft) *time.Duration { return &d.Schema.Timeout }),
		}},
	)
}

func subjectRows() []row {
	return slices.Concat(
		forSchemas(row{
			name: "schema.registry.auto.register.schemas", def: "true", doc: "Register schemas of requests that the registry does not have; else they are refused.",
			store: into(boolean, func(d *draft) *bool { return &d.Schema.AutoRegister }),
		}),
		forSchemas(row{
			name: "schema.registry.use.latest.version", def: "false", doc: "Write with the newest schema of the subject, whatever text a request holds, and where it holds none; a schema id holds all the same. Nothing is registered then.",
			store: into(boolean, func(d *draft) *bool { return &d.Schema.UseLatest }),
		}),
		forSchemas(row{
			name: "schema.registry.latest.cache.ttl.sec", def: "60", doc: "For how long a schema is taken to be the newest, before the registry is asked again; -1 is without a bound, Java's default.",
			store: into(cacheSeconds, func(d *draft) *time.Duration { return &d.Schema.LatestTTL }),
		}),
		forSchemas(row{
			name: "schema.registry.normalize.schemas", def: "false", doc: "Have the registry normalise a text before it is compared with those it has.",
			store: into(boolean, func(d *draft) *bool { return &d.Schema.Normalize }),
		}),
		forSchemas(row{
			name: "schema.registry.key.subject.name.strategy", def: "TOPIC_NAME", doc: "Subject of the keys' schemas: TOPIC-key, the name of the record, or TOPIC-RECORD.",
			store: into(subjectName, func(d *draft) *schema.SubjectName { return &d.Schema.KeySubject }),
		}),
		forSchemas(row{
			name: "schema.registry.value.subject.name.strategy", def: "TOPIC_NAME", doc: "Subject of the values' schemas: TOPIC-value, the name of the record, or TOPIC-RECORD.",
			store: into(subjectName, func(d *draft) *schema.SubjectName { return &d.Schema.ValueSubject }),
		}),
		[]row{
			{
				name: "schema.registry.check.subject", def: "true", doc: "Refuse a schema id that is not of the subject that the records belong to.",
				store: into(boolean, func(d *draft) *bool { return &d.Schema.CheckSubject }),
			},
			{
				name: "schema.registry.cache.size", def: "1000", doc: "Bound of the answers in memory: of those to requests, and again of those by id.",
				store: into(whole(1, largest), func(d *draft) *int { return &d.Schema.CacheSize }),
			},
			{
				name: "schema.registry.cache.max.bytes", def: "67108864", doc: "Bound of the memory of each, about: a compiled schema takes 10 to 100 times its text. One answer is kept whatever it takes.",
				store: into(size(1, largest), func(d *draft) *int { return &d.Schema.CacheBytes }),
			},
			{
				name: "schema.registry.cache.negative.ms", def: "5000", doc: "How long it is remembered that a schema is unknown, invalid or refused; 0 asks the registry each time.",
				store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Schema.NegativeTTL }),
			},
		},
	)
}

func registryTLSRows() []row {
	return slices.Concat(
		tlsRows(func(r row, k kind[string], at func(*tlsSource) *string) []row {
			r.name = "schema.registry." + r.name
			r.store = into(k, func(d *draft) *string { return at(&d.registry.tls) })
			return []row{r}
		}),
		[]row{
			{
				name: "schema.registry.ssl.endpoint.identification.algorithm", def: "https", doc: "Check that the registry's certificate is for its host name; empty turns the check off.",
				store: into(identification, func(d *draft) *string { return &d.registry.tls.identification }),
			},
			{
				name: "schema.registry.ssl.enabled.protocols", def: "TLSv1.2,TLSv1.3", doc: "Versions of TLS to speak.",
				store: into(tlsVersions, func(d *draft) *versions { return &d.registry.tls.versions }),
			},
			{
				name: "schema.registry.ssl.cipher.suites", doc: "Cipher suites of TLS 1.2 and before, by their IANA names; without it all that are safe.",
				store: into(cipherSuites, func(d *draft) *[]uint16 { return &d.registry.tls.suites }),
			},
		},
	)
}

// subjectName is a strategy, by the name that the v3 API gives it or by its Java class.
var subjectName = kind[schema.SubjectName]{
	allowed: "TOPIC_NAME, RECORD_NAME, TOPIC_RECORD_NAME, or a class such as io.confluent.kafka.serializers.subject.TopicNameStrategy",
	parse: func(s string) (schema.SubjectName, error) {
		word := strings.TrimSpace(s)
		switch strings.ToUpper(strings.TrimPrefix(word, "io.confluent.kafka.serializers.subject.")) {
		case "TOPIC_NAME", "TOPICNAMESTRATEGY":
			return schema.TopicName, nil
		case "RECORD_NAME", "RECORDNAMESTRATEGY":
			return schema.RecordName, nil
		case "TOPIC_RECORD_NAME", "TOPICRECORDNAMESTRATEGY":
			return schema.TopicRecordName, nil
		}
		return 0, fmt.Errorf("%q is not supported", word)
	},
}

// cacheSeconds is a time in seconds; below zero it has no bound.
var cacheSeconds = kind[time.Duration]{allowed: "seconds, 1 or more, or -1 without a bound", parse: func(s string) (time.Duration, error) {
	n, err := ranged(s, -1, largest)
	if err == nil && n == 0 {
		return 0, errors.New("0 is out of range")
	}
	return time.Duration(n) * time.Second, err
}}

// schemas builds the settings of the schema registry's client. Faults never
// quote user or password.
func (d *draft) schemas() {
	// As with Kafka, key stores are looked at even where no URL needs them.
	d.Schema.TLS = d.clientTLS(&d.registry.tls, func(name string) string { return "schema.registry." + name })

	const source, token = "schema.registry.basic.auth.credentials.source", "schema.registry.bearer.auth.token"
	info := d.lastGiven("schema.registry.basic.auth.user.info")
	switch {
	case d.registry.basicSource == "URL" && d.registry.userInfo != "":
		d.fault(d.lastGiven(source), "is URL, but basic.auth.user.info is given; allowed: USER_INFO")
	case d.registry.basicSource == "USER_INFO" || d.registry.userInfo != "":
		user, password, ok := strings.Cut(d.registry.userInfo, ":")
		if !ok || user == "" {
			d.fault(info, "is no user and password; allowed: user:password")
		}
		d.Schema.User, d.Schema.Password = user, password
		if d.Schema.BearerToken != "" {
			d.fault(d.lastGiven(token), "is given beside a user and password; allowed: one of the two")
		}
	}
}

// lastGiven is the name under which a setting of the serializers was given, or would be.
func (d *draft) lastGiven(name string) string {
	plain := strings.TrimPrefix(name, "schema.registry.")
	for _, prefix := range slices.Backward(schemaPrefixes) {
		if d.isGiven(prefix + plain) {
			return prefix + plain
		}
	}
	return name
}
