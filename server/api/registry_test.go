package api_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/internal/testkit"
	"millrace/schema"
)

// front is a proxy before a registry that can keep it from responding.
type front struct {
	*httptest.Server
	away, silent atomic.Bool
	demand       func(*http.Request) bool // which requests may pass; nil: all
}

// newFront returns one before the registry at url. change may alter it before it
// listens.
func newFront(t testing.TB, at string, change ...func(*front)) *front {
	t.Helper()
	to, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	registry := httputil.NewSingleHostReverseProxy(to)
	registry.Transport = transport
	f := &front{}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case f.away.Load():
			panic(http.ErrAbortHandler)
		case f.silent.Load():
			// The server notices that the client left only after the body was read.
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		case f.demand != nil && !f.demand(r):
			w.WriteHeader(http.StatusUnauthorized)
		default:
			registry.ServeHTTP(w, r)
		}
	}))
	for _, c := range change {
		c(f)
	}
	if f.TLS == nil {
		f.Start()
	} else {
		f.StartTLS()
	}
	t.Cleanup(f.Close)
	return f
}

const (
	userSchema  = `{"type":"record","name":"User","namespace":"org.example","fields":[{"name":"name","type":"string"}]}`
	otherSchema = `{"type":"record","name":"Other","namespace":"org.example","fields":[{"name":"name","type":"string"}]}`
	agedSchema  = `{"type":"record","name":"User","namespace":"org.example","fields":[{"name":"name","type":"string"},{"name":"age","type":"int","default":7}]}`
	aUser       = `{"value":{"name":"a"}}`
)

// produceBy writes records with a schema as text.
func (s *stack) produceBy(t testing.TB, topic, schema, records string) reply {
	t.Helper()
	return s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"value_schema":%q,"records":[%s]}`, schema, records), "Content-Type: "+avroV2)
}

// instance makes a consumer of a topic and returns its path.
func (s *stack) instance(t testing.TB, topic, format string) string {
	t.Helper()
	path := "/consumers/" + testkit.Group(t)
	s.do(t, "POST", path, `{"name":"i","format":"`+format+`","auto.offset.reset":"earliest"}`, plainV2).want(t, 200, `"instance_id":"i"`)
	path += "/instances/i"
	s.do(t, "POST", path+"/assignments", fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0}]}`, topic), plainV2).want(t, 204, "")
	return path
}

// later checks that a refusal has Retry-After.
func (r reply) later(t testing.TB) {
	t.Helper()
	if r.header.Get("Retry-After") == "" {
		t.Error("the refusal does not say when to come again")
	}
}

// While the registry is away, cached schemas work, json and binary are not affected, and other
// requests get a fast, retriable error.
func TestRegistryAway(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	f := newFront(t, builtIn(t, b))
	s := start(t, b, withRegistry(t, f.URL))
	topic := testkit.CreateTopic(t, b, 1)
	s.produceBy(t, topic, userSchema, aUser).want(t, 200, `"offset":0`)
	f.away.Store(true)
	s.produceBy(t, topic, userSchema, aUser).want(t, 200, `"offset":1`)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":1}]}`, jsonV2).want(t, 200, `"offset":2`)
	s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":"AA=="}]}`, binaryV2).want(t, 200, `"offset":3`)
	s.produceBy(t, topic, otherSchema, aUser).want(t, 503, `"error_code":50305`).later(t)
	f.away.Store(false)
	other := testkit.CreateTopic(t, b, 1)
	testkit.Eventually(t, 10*time.Second, "the registry to be asked again", func() bool {
		return s.produceBy(t, other, otherSchema, aUser).status == 200
	})
}

// The same for consumers: a record whose schema is cached is returned; the position stays at a
// record whose schema must be looked up until the registry is back.
func TestConsumeWhileRegistryIsAway(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	f := newFront(t, builtIn(t, b))
	topic, plain := testkit.CreateTopic(t, b, 1), testkit.CreateTopic(t, b, 1)
	writer := start(t, b, withRegistry(t, f.URL)) // not the reader, whose cache stays empty
	writer.produceBy(t, topic, userSchema, aUser).want(t, 200, `"offset":0`)
	writer.produceBy(t, topic, agedSchema, `{"value":{"name":"b","age":2}}`).want(t, 200, `"offset":1`)
	writer.do(t, "POST", "/topics/"+plain, `{"records":[{"value":1}]}`, jsonV2).want(t, 200, "")

	for name, c := range map[string]struct {
		end    func(bool)
		status int
		code   string
	}{
		"away":   {f.away.Store, 503, `"error_code":50305`},
		"silent": {f.silent.Store, 504, `"error_code":50402`},
	} {
		t.Run(name, func(t *testing.T) {
			brief := func(s *schema.Settings) { s.Timeout = 3 * time.Second }
			s := start(t, b, withRegistry(t, f.URL, brief)) // its own cache and breaker
			avro, js, bin := s.instance(t, topic, "avro"), s.instance(t, plain, "json"), s.instance(t, plain, "binary")
			direct := "/topics/" + topic + "/partitions/0/records?timeout=500&offset="
			s.do(t, "GET", direct+"0&max_bytes=1", "", "Accept: "+avroV2).want(t, 200, `"name":"a"`)
			c.end(true)
			defer c.end(false)
			s.do(t, "GET", avro+"/records?timeout=10000", "", "Accept: "+avroV2).want(t, 200, `"value":{"name":"a"},"partition":0,"offset":0}]`)
			for range 2 {
				r := s.do(t, "GET", avro+"/records?timeout=500", "", "Accept: "+avroV2)
				if r.status != 503 { // the second one is refused without a request, whatever the first one got
					r.want(t, c.status, c.code)
				}
				r.later(t)
			}
			s.do(t, "GET", direct+"0", "", "Accept: "+avroV2).want(t, 200, `"offset":0}]`)
			r := s.do(t, "GET", direct+"1", "", "Accept: "+avroV2)
			if r.status != 503 && r.status != 504 {
				t.Errorf("a direct read of an unknown schema: %d %s", r.status, r.body)
			}
			r.later(t)
			s.do(t, "GET", js+"/records?timeout=5000", "", "Accept: application/vnd.kafka.json.v2+json").want(t, 200, `"value":1`)
			s.do(t, "GET", bin+"/records?timeout=5000", "", "Accept: application/vnd.kafka.binary.v2+json").want(t, 200, `"value":"MQ=="`)
			c.end(false)
			var got string
			testkit.Eventually(t, 20*time.Second, "the registry to be asked again", func() bool {
				r := s.do(t, "GET", avro+"/records?timeout=500", "", "Accept: "+avroV2)
				got = r.body
				return r.status == 200
			})
			if !strings.Contains(got, `"value":{"name":"b","age":2},"partition":0,"offset":1}]`) {
				t.Errorf("then it reads %s", got)
			}
		})
	}
}

// A record that cannot be decoded is reported with its offset, and a seek past it continues, in
// both versions of the API.
func TestConsumeWhatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		s := start(t, b, withRegistry(t, url))
		topic := testkit.CreateTopic(t, b, 1)
		s.produceBy(t, topic, userSchema, aUser).want(t, 200, `"offset":0`)
		s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":"Zm9v"}]}`, binaryV2).want(t, 200, `"offset":1`)
		s.produceBy(t, topic, userSchema, `{"value":{"name":"b"}}`).want(t, 200, `"offset":2`)
		path := s.instance(t, topic, "avro")
		s.do(t, "GET", path+"/records?timeout=10000", "", "Accept: "+avroV2).want(t, 200, `"offset":0}]`)
		for range 2 {
			s.do(t, "GET", path+"/records", "", "Accept: "+avroV2).want(t, 408, fmt.Sprintf(
				`{"error_code":40801,"message":"The value of the record at offset 1 of partition 0 of topic %s is not avro`, topic))
		}
		s.do(t, "POST", path+"/positions", fmt.Sprintf(`{"offsets":[{"topic":%q,"partition":0,"offset":2}]}`, topic), plainV2).want(t, 204, "")
		s.do(t, "GET", path+"/records?timeout=10000", "", "Accept: "+avroV2).want(t, 200, `"value":{"name":"b"},"partition":0,"offset":2}]`)

		const avroV1 = "application/vnd.kafka.avro.v1+json"
		group := "/consumers/" + testkit.Group(t)
		s.do(t, "POST", group, `{"name":"one","format":"avro","auto.offset.reset":"smallest"}`, "Content-Type: application/vnd.kafka.v1+json").want(t, 200, `"instance_id":"one"`)
		s.do(t, "GET", group+"/instances/one/topics/"+topic, "", "Accept: "+avroV1).want(t, 200,
			fmt.Sprintf(`[{"key":null,"value":{"name":"a"},"partition":0,"offset":0,"topic":%q}]`, topic))
		s.do(t, "GET", group+"/instances/one/topics/"+topic, "", "Accept: "+avroV1).want(t, 408, fmt.Sprintf(`offset 1 of partition 0 of topic %s`, topic))
		s.do(t, "GET", "/topics/"+topic+"/partitions/0/messages?offset=2", "", "Accept: "+avroV1).want(t, 200, `[{"key":null,"value":{"name":"b"},"partition":0,"offset":2}]`)
	})
}

// askRegistry makes a request to a registry's API and returns the response.
func askRegistry(t testing.TB, method, url, body string) string {
	t.Helper()
	q, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Close = true // or the idle connection would count as a leak
	q.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %s", method, url, answer.Status, text)
	}
	return string(text)
}

// registered is the body of a registration.
type registered struct {
	Schema     string      `json:"schema"`
	Type       string      `json:"schemaType,omitempty"`
	References []reference `json:"references,omitempty"`
}

type reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// register puts a schema into a registry and returns its id.
func register(t testing.TB, registry, subject string, r registered) (id int) {
	t.Helper()
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ ID int }
	if err := json.Unmarshal([]byte(askRegistry(t, "POST", registry+"/subjects/"+subject+"/versions", string(body))), &got); err != nil {
		t.Fatal(err)
	}
	return got.ID
}

// Schemas that refer to others, which refer to others in turn, by their id.
func TestSchemaReferences(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		s := start(t, b, withRegistry(t, url))
		for format, c := range map[string]struct {
			kind                string
			names               [2]string
			inner, middle, text string
			value, wrong        string
		}{
			"avro": {
				"",
				[2]string{"n.Inner", "n.Middle"},
				`{"type":"record","name":"Inner","namespace":"n","fields":[{"name":"city","type":"string"}]}`,
				`{"type":"record","name":"Middle","namespace":"n","fields":[{"name":"at","type":"n.Inner"}]}`,
				`{"type":"record","name":"Outer","namespace":"n","fields":[{"name":"home","type":"n.Middle"},{"name":"work","type":"n.Inner"}]}`,
				`{"home":{"at":{"city":"x"}},"work":{"city":"y"}}`, `{"home":{"at":{"city":1}},"work":{"city":"y"}}`,
			},
			"jsonschema": {
				"JSON",
				[2]string{"inner.json", "middle.json"},
				`{"type":"object","properties":{"city":{"type":"string"}}}`,
				`{"type":"object","properties":{"at":{"$ref":"inner.json"}}}`,
				`{"type":"object","properties":{"home":{"$ref":"middle.json"},"work":{"$ref":"inner.json"}}}`,
				`{"home":{"at":{"city":"x"}},"work":{"city":"y"}}`, `{"home":{"at":{"city":1}},"work":{"city":"y"}}`,
			},
			"protobuf": {
				"PROTOBUF",
				[2]string{"inner.proto", "middle.proto"},
				`syntax = "proto3"; package n; message Inner { string city = 1; }`,
				`syntax = "proto3"; package n; import "inner.proto"; message Middle { Inner at = 1; }`,
				`syntax = "proto3"; package n; import "inner.proto"; import "middle.proto"; message Outer { Middle home = 1; Inner work = 2; }`,
				`{"home":{"at":{"city":"x"}},"work":{"city":"y"}}`, `{"home":{"at":{"city":1}},"work":{"city":"y"}}`,
			},
		} {
			t.Run(format, func(t *testing.T) {
				topic := testkit.CreateTopic(t, b, 1)
				inner := reference{c.names[0], topic + "-inner", 1}
				middle := reference{c.names[1], topic + "-middle", 1}
				register(t, url, inner.Subject, registered{Schema: c.inner, Type: c.kind})
				register(t, url, middle.Subject, registered{Schema: c.middle, Type: c.kind, References: []reference{inner}})
				id := register(t, url, topic+"-value", registered{Schema: c.text, Type: c.kind, References: []reference{inner, middle}})
				media := "application/vnd.kafka." + format + ".v2+json"
				produce := func(value string) reply {
					return s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"value_schema_id":%d,"records":[{"value":%s}]}`, id, value), "Content-Type: "+media)
				}
				produce(c.value).want(t, 200, `"offset":0`)
				produce(c.wrong).want(t, 400, "records[0].value.home.at.city")
				s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=0", "", "Accept: "+media).want(t, 200, `"value":`+c.value)
			})
		}
	})
}

// A refusal of the registry reaches the client with its reason, and no record is written.
func TestIncompatibleSchema(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		s := start(t, b, withRegistry(t, url))
		for format, texts := range map[string][2]string{
			"avro": {
				`{"type":"record","name":"User","fields":[{"name":"age","type":"int"}]}`,
				`{"type":"record","name":"User","fields":[{"name":"age","type":"int"},{"name":"size","type":"int"}]}`,
			},
			"jsonschema": {
				`{"type":"object","properties":{"age":{"type":"integer"}},"additionalProperties":false}`,
				`{"type":"object","properties":{"age":{"type":"string"}},"additionalProperties":false}`,
			},
			"protobuf": {
				`syntax = "proto3"; message User { int32 age = 1; }`,
				`syntax = "proto3"; message User { string age = 1; }`,
			},
		} {
			t.Run(format, func(t *testing.T) {
				topic := testkit.CreateTopic(t, b, 1)
				produce := func(schema, value string) reply {
					return s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"value_schema":%q,"records":[{"value":%s}]}`, schema, value),
						"Content-Type: application/vnd.kafka."+format+".v2+json")
				}
				produce(texts[0], `{"age":1}`).want(t, 200, `"offset":0`)
				askRegistry(t, "PUT", url+"/config/"+topic+"-value", `{"compatibility":"BACKWARD"}`)
				value := `{"age":"x"}`
				if format == "avro" {
					value = `{"age":1,"size":1}`
				}
				produce(texts[1], value).want(t, 422, `"error_code":42207`)
				produce(texts[0], `{"age":2}`).want(t, 200, `"offset":1`)
			})
		}
	})
}

// Each setting of the registry's client, as a producer sees its effect.
func TestRegistrySettings(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		with := func(change func(*schema.Settings)) (s *stack, topic string) {
			return start(t, b, withRegistry(t, url, change)), testkit.CreateTopic(t, b, 1)
		}
		t.Run("use.latest.version", func(t *testing.T) {
			s, topic := with(func(s *schema.Settings) { s.UseLatest, s.AutoRegister = true, false })
			register(t, url, topic+"-value", registered{Schema: userSchema})
			latest := register(t, url, topic+"-value", registered{Schema: agedSchema})
			id := fmt.Sprintf(`"value_schema_id":%d}`, latest)
			s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":{"name":"a","age":1}}]}`, "Content-Type: "+avroV2).want(t, 200, id)
			s.produceBy(t, topic, userSchema, `{"value":{"name":"a","age":2}}`).want(t, 200, id)
			s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=1", "", "Accept: "+avroV2).want(t, 200, `"value":{"name":"a","age":2}`)
		})
		t.Run("auto.register.schemas", func(t *testing.T) {
			s, topic := with(func(s *schema.Settings) { s.AutoRegister = false })
			s.produceBy(t, topic, userSchema, aUser).want(t, 422, `{"error_code":42207,"message":"The schema is not registered under the subject `+topic+`-value`)
			id := register(t, url, topic+"-value", registered{Schema: userSchema})
			testkit.Eventually(t, 10*time.Second, "the no to be forgotten", func() bool { return s.produceBy(t, topic, userSchema, aUser).status == 200 })
			s.produceBy(t, topic, userSchema, aUser).want(t, 200, fmt.Sprintf(`"value_schema_id":%d}`, id))
		})
		t.Run("normalize.schemas", func(t *testing.T) {
			s, topic := with(func(s *schema.Settings) { s.Normalize = true })
			id := register(t, url, topic+"-value", registered{Schema: userSchema})
			spaced := strings.ReplaceAll(userSchema, `,`, " ,\n ")
			s.produceBy(t, topic, spaced, aUser).want(t, 200, fmt.Sprintf(`"value_schema_id":%d}`, id))
			s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=0", "", "Accept: "+avroV2).want(t, 200, `"value":{"name":"a"}`)
		})
		t.Run("check.subject", func(t *testing.T) {
			s, topic := with(func(*schema.Settings) {})
			id := register(t, url, topic+"-other", registered{Schema: userSchema})
			body := fmt.Sprintf(`{"value_schema_id":%d,"records":[%s]}`, id, aUser)
			s.do(t, "POST", "/topics/"+topic, body, "Content-Type: "+avroV2).want(t, 422, fmt.Sprintf(`{"error_code":42207,"message":"The schema %d is not of the subject %s-value."`, id, topic))
			s = start(t, b, withRegistry(t, url, func(s *schema.Settings) { s.CheckSubject = false }))
			s.do(t, "POST", "/topics/"+topic, body, "Content-Type: "+avroV2).want(t, 200, fmt.Sprintf(`"value_schema_id":%d}`, id))
		})
		for name, c := range map[string]struct {
			strategy schema.SubjectName
			subject  string // TOPIC and RECORD stand for the names
		}{"TOPIC_NAME": {schema.TopicName, "TOPIC-value"}, "RECORD_NAME": {schema.RecordName, "RECORD"}, "TOPIC_RECORD_NAME": {schema.TopicRecordName, "TOPIC-RECORD"}} {
			t.Run(name, func(t *testing.T) {
				s, topic := with(func(s *schema.Settings) { s.ValueSubject = c.strategy })
				record := "R" + strings.ReplaceAll(topic, "-", "_") // of this test only, as subjects are
				text := strings.Replace(userSchema, `"User"`, `"`+record+`"`, 1)
				s.produceBy(t, topic, text, aUser).want(t, 200, `"offset":0`)
				subject := strings.NewReplacer("TOPIC", topic, "RECORD", "org.example."+record).Replace(c.subject)
				if got := askRegistry(t, "GET", url+"/subjects/"+subject+"/versions", ""); got != "[1]" {
					t.Errorf("the subject %s has the versions %s", subject, got)
				}
			})
		}
	})
}

// The node's credentials for the registry, and its response when they are refused: as when Kafka
// refuses them.
func TestRegistryCredentials(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	url := builtIn(t, b)
	for name, c := range map[string]struct {
		demand func(*http.Request) bool
		show   func(*schema.Settings)
	}{
		"basic": {func(r *http.Request) bool {
			user, password, _ := r.BasicAuth()
			return user == "u" && password == "secret"
		}, func(s *schema.Settings) { s.User, s.Password = "u", "secret" }},
		"bearer": {func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer secret" }, func(s *schema.Settings) { s.BearerToken = "secret" }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, url, func(f *front) { f.demand = c.demand })
			topic := testkit.CreateTopic(t, b, 1)
			start(t, b, withRegistry(t, f.URL, c.show)).produceBy(t, topic, userSchema, aUser).want(t, 200, `"offset":0`)
			stranger := start(t, b, withRegistry(t, f.URL))
			r := stranger.produceBy(t, topic, userSchema, aUser)
			r.want(t, 401, `{"error_code":40101,"message":"The schema registry refuses the credentials of this node."}`)
			if strings.Contains(r.body, "secret") {
				t.Errorf("it says %s", r.body)
			}
		})
	}
}

func TestRegistryTLS(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	f := newFront(t, builtIn(t, b), func(f *front) {
		f.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		f.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that shall fail
	})
	known := x509.NewCertPool()
	known.AddCert(f.Certificate())
	topic := testkit.CreateTopic(t, b, 1)
	trusting := start(t, b, withRegistry(t, f.URL, func(s *schema.Settings) { s.TLS = &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12} }))
	trusting.produceBy(t, topic, userSchema, aUser).want(t, 200, `"offset":0`)
	stranger := start(t, b, withRegistry(t, f.URL))
	stranger.produceBy(t, topic, userSchema, aUser).want(t, 500, `"error_code":50004`)
}

// A registry that does not respond costs a producer its time-out, and 504.
func TestRegistrySilent(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	f := newFront(t, builtIn(t, b))
	s := start(t, b, withRegistry(t, f.URL, func(s *schema.Settings) { s.Timeout = 2 * time.Second }))
	topic := testkit.CreateTopic(t, b, 1)
	f.silent.Store(true)
	s.produceBy(t, topic, userSchema, aUser).want(t, 504, `"error_code":50402`).later(t)
	f.silent.Store(false)
	testkit.Eventually(t, 30*time.Second, "the registry to be asked again", func() bool {
		return s.produceBy(t, topic, userSchema, aUser).status == 200
	})
}
