package api_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// identified are the ways to name a schema: its frame, and what stands in a header.
type identified struct{ frame, guidFrame []byte }

// identify asks the registry for the newest schema of a subject.
func identify(t *testing.T, registry, subject string) identified {
	t.Helper()
	resp, err := http.Get(registry + "/subjects/" + subject + "/versions/latest")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var found struct {
		ID   byte
		GUID string
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	guid, err := hex.DecodeString(strings.ReplaceAll(found.GUID, "-", ""))
	if err != nil || len(guid) != 16 {
		t.Fatalf("the GUID is %q", found.GUID)
	}
	return identified{[]byte{0, 0, 0, 0, found.ID}, append([]byte{1}, guid...)}
}

// half is a key or value as it is stored, and the header that names its schema, or nil.
type half struct{ bytes, header []byte }

// produceRaw writes bytes as they are.
func (s *stack) produceRaw(t *testing.T, topic string, key, value half) {
	t.Helper()
	var headers []string
	for name, of := range map[string][]byte{"__key_schema_id": key.header, "__value_schema_id": value.header} {
		if of != nil {
			headers = append(headers, fmt.Sprintf(`{"key":%q,"value":%q}`, name, base64.StdEncoding.EncodeToString(of)))
		}
	}
	quoted := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return `"` + base64.StdEncoding.EncodeToString(b) + `"`
	}
	s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"records":[{"key":%s,"value":%s,"headers":[%s]}]}`, quoted(key.bytes), quoted(value.bytes), strings.Join(headers, ",")),
		"Content-Type: application/vnd.kafka.binary.v2+json").want(t, 200, `"error":null`)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// Confluent's serializers put the schema of a key and of a value into a header, if they are told
// to: a one and the schema's GUID, or a zero byte and its number, and the indexes of a Protobuf
// message behind. Such records are read by each way there is.
func TestSchemaIDsInHeaders(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	url := builtIn(t, b)
	s := start(t, b, withRegistry(t, url))
	for _, c := range []struct {
		format, schema, sent string
		kind, payload        []byte // of another message, as a serializer writes it
		want                 string
	}{
		{"avro", `{"type":"record","name":"E","fields":[{"name":"s","type":"string"}]}`, `{"s":"a"}`, nil, []byte("\x02b"), `{"s":"b"}`},
		{"jsonschema", `{"type":"object","properties":{"s":{"type":"string"}}}`, `{"s":"a"}`, nil, []byte(`{"s":"b"}`), `{"s":"b"}`},
		{"protobuf", `syntax="proto3"; message E { string s = 1; message N { string n = 1; } }`, `{"s":"a"}`, []byte{0}, []byte("\x0a\x01b"), `{"s":"b"}`},
		{"protobuf", `syntax="proto3"; message F { string s = 1; message N { string n = 1; } }`, `{"s":"a"}`, []byte{4, 0, 0}, []byte("\x0a\x01b"), `{"n":"b"}`},
	} {
		topic := testkit.CreateTopic(t, b, 1)
		media := "application/vnd.kafka." + c.format + ".v2+json"
		s.do(t, "POST", "/topics/"+topic, fmt.Sprintf(`{"key_schema":%q,"value_schema":%[1]q,"records":[{"key":%s,"value":%[2]s}]}`, c.schema, c.sent),
			"Content-Type: "+media).want(t, 200, `"offset":0`)
		id := identify(t, url, topic+"-value")
		fresh := start(t, b, withRegistry(t, url)) // has not cached the schema
		guid, number, framed := join(id.guidFrame, c.kind), join(id.frame, c.kind), join(id.frame, c.kind, c.payload)
		s.produceRaw(t, topic, half{c.payload, guid}, half{c.payload, guid})
		s.produceRaw(t, topic, half{c.payload, number}, half{framed, nil})
		s.produceRaw(t, topic, half{nil, guid}, half{join(guid, c.payload), nil}) // a null has no schema; a GUID may be in front
		line := func(offset int, key string) string {
			return fmt.Sprintf(`{"topic":%q,"key":%s,"value":%s,"partition":0,"offset":%d}`, topic, key, c.want, offset)
		}
		want := fmt.Sprintf(`{"topic":%q,"key":%s,"value":%[2]s,"partition":0,"offset":0},`, topic, c.sent) +
			line(1, c.want) + "," + line(2, c.want) + "," + line(3, "null")

		fresh.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=0", "", "Accept: "+media).want(t, 200, "["+want+"]")
		path := fresh.instance(t, topic, c.format)
		if got := fresh.readValues(t, path+"/records?timeout=5000", media, 4); got == "" {
			t.Errorf("%s: the instance reads nothing", c.format)
		}
		fresh.follow(t, "/topics/"+topic+"/stream?from=beginning&format="+c.format).want(c.sent, c.want, c.want, c.want)

		s.produceRaw(t, topic, half{nil, nil}, half{framed, []byte{7, 0}})
		s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=4", "", "Accept: "+media).
			want(t, 408, "its header with the schema id has neither a zero byte and a number nor a one and a GUID")
		guid[3]++
		s.produceRaw(t, topic, half{nil, nil}, half{c.payload, guid})
		s.do(t, "GET", "/topics/"+topic+"/partitions/0/records?offset=5", "", "Accept: "+media).want(t, 408, "no schema with the id ")
	}
}
