package api_test

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// under is a schema, and what it makes of a null: its payload behind the id, or why it refuses.
type under struct{ format, schema, payload, refused string }

var nulls = []under{
	{"avro", `["null","int"]`, "\x00", ""},
	{"avro", `"null"`, "", ""},
	{"avro", `"int"`, "", "expected int, got null"},
	{"avro", `{"type":"record","name":"R","fields":[]}`, "", "expected record R, got null"},
	{"jsonschema", `{"$schema":"http://json-schema.org/draft-07/schema#","type":["null","string"]}`, "null", ""},
	{"jsonschema", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"string"}`, "", "expected string, got null"},
	{"protobuf", `syntax="proto3"; message M { string s = 1; }`, "", "null"},
}

// stored returns the key and value of a record as Kafka has them, in base64, or null.
func (s *stack) stored(t testing.TB, topic string, offset int) (key, value string) {
	t.Helper()
	got := s.do(t, "GET", fmt.Sprintf("/topics/%s/partitions/0/records?offset=%d&max_bytes=1", topic, offset), "", "Accept: application/vnd.kafka.binary.v2+json")
	got.want(t, 200, `"offset":`+strconv.Itoa(offset))
	_, key, _ = strings.Cut(got.body, `"key":`)
	_, value, _ = strings.Cut(got.body, `"value":`)
	key, _, _ = strings.Cut(key, ",")
	value, _, _ = strings.Cut(value, ",")
	return key, value
}

// A null, or what is missing, is what the schema that the request names makes of it: its own null,
// or an error. Where the request names none it is a null of Kafka.
func TestNullsUnderASchema(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		s := start(t, b, withRegistry(t, url))
		for _, u := range nulls {
			if u.format == "avro" && u.schema[0] != '{' && strings.HasSuffix(t.Name(), "real") {
				continue // Apicurio takes no Avro that is not a record
			}
			topic := testkit.CreateTopic(t, b, 1)
			media := "Content-Type: application/vnd.kafka." + u.format + ".v2+json"
			for half, record := range map[string]string{"key": `{}`, "value": `{"value":null}`} {
				got := s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"%s_schema":%q,"records":[%s]}`, half, u.schema, record), media)
				if u.refused != "" {
					got.want(t, 400, `{"error_code":400,"message":"records[0].`+half).want(t, 400, u.refused)
					continue
				}
				got.want(t, 200, `"error":null`)
				s.checkNull(t, topic, half, u.payload, got.body)
			}
			checkNullV3(t, s, topic, u)
			// Nothing names a schema here.
			s.do(t, "POST", "/topics/"+topic, `{"records":[{"value":null}]}`, media).want(t, 200, `"error":null`)
		}
	})
}

// checkNull checks the null that a response says is stored: the frame with the payload behind it.
func (s *stack) checkNull(t *testing.T, topic, half, payload, response string) {
	t.Helper()
	_, offset, _ := strings.Cut(response, `"offset":`)
	offset, _, _ = strings.Cut(offset, ",")
	n, err := strconv.Atoi(offset)
	if err != nil {
		t.Fatalf("no offset in %s", response)
	}
	key, value := s.stored(t, topic, n)
	stored, other := value, key
	if half == "key" {
		stored, other = key, value
	}
	bytes, err := base64.StdEncoding.DecodeString(strings.Trim(stored, `"`))
	if err != nil || len(bytes) < 5 {
		t.Fatalf("the null %s is %s: %v", half, stored, err)
	}
	if other != "null" || bytes[0] != 0 || string(bytes[5:]) != payload {
		t.Errorf("the null %s is %q, beside %s", half, bytes, other)
	}
}

func checkNullV3(t *testing.T, s *stack, topic string, u under) {
	t.Helper()
	got := s.do(t, "POST", s.v3(topic)+"/records", fmt.Sprintf(`{"value":{"type":%q,"schema":%q,"data":null}}`, strings.ToUpper(u.format), u.schema), plainJSON)
	if u.refused != "" {
		got.want(t, 200, `{"error_code":400,"message":"value`).want(t, 200, u.refused)
		return
	}
	got.want(t, 200, fmt.Sprintf(`"size":%d`, 5+len(u.payload)))
	s.checkNull(t, topic, "value", u.payload, got.body)
}

// The setting of the Confluent proxy stores every null as a null of Kafka.
func TestNullsAsTombstones(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	s := start(t, b, withRegistry(t, builtIn(t, b)), func(o *stackOptions) { o.rest.NullsAreTombstones = true })
	for _, u := range nulls {
		topic := testkit.CreateTopic(t, b, 1)
		s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"key_schema":%q,"value_schema":%[1]q,"records":[{"key":null}]}`, u.schema),
			"Content-Type: application/vnd.kafka."+u.format+".v2+json").want(t, 200, `"offset":0`)
		s.do(t, "POST", s.v3(topic)+"/records", fmt.Sprintf(`{"value":{"type":%q,"schema":%q,"data":null}}`, strings.ToUpper(u.format), u.schema),
			plainJSON).want(t, 200, `"size":-1`)
		for offset := range 2 {
			if key, value := s.stored(t, topic, offset); key != "null" || value != "null" {
				t.Errorf("%s: %s, %s", u.schema, key, value)
			}
		}
	}
}
