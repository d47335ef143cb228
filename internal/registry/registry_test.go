package registry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"millrace/codec/avro"
	"millrace/codec/jsonschema"
	"millrace/codec/protobuf"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// open starts a registry over b and returns franz-go's client of it.
func open(t *testing.T, b testkit.Broker) (*Registry, *sr.Client) {
	t.Helper()
	r, err := Start(Options{Listen: "127.0.0.1:0", Brokers: b.Addrs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, client(t, r.URL())
}

func client(t *testing.T, url string) *sr.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := sr.NewClient(sr.URLs(url), sr.HTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func avroRecord(fields ...string) sr.Schema {
	return sr.Schema{Schema: `{"type":"record","name":"R","fields":[` + strings.Join(fields, ",") + `]}`}
}

func TestAPI(t *testing.T) {
	r, _ := open(t, testkit.Fake(t).Broker)
	testkit.RunExchanges(t, "testdata/api.txt", r.URL(), map[string]string{})
}

// A record of the topic may name imports as public that its descriptor does not have.
func TestForgedImports(t *testing.T) {
	b := testkit.Fake(t, kfake.SeedTopics(1, topicName)).Broker
	text := base64.StdEncoding.EncodeToString(must(proto.Marshal(&descriptorpb.FileDescriptorProto{
		Name: proto.String("a.proto"), Syntax: proto.String("proto3"), MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M")}},
		PublicDependency: []int32{7, -1}, WeakDependency: []int32{math.MaxInt32},
	}))(t))
	record := &kgo.Record{
		Topic: topicName, Key: []byte(`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`),
		Value: []byte(`{"subject":"s","version":1,"id":1,"schemaType":"PROTOBUF","schema":"` + text + `","deleted":false}`),
	}
	if err := testkit.Client(t, b).ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r, _ := open(t, b)
	if got := get(t, r.URL()+"/subjects"); got != `["s"]` {
		t.Errorf("the subjects are %s", got)
	}
}

// The state survives a restart: ids, versions, which are deleted, references and settings; and
// new ids are new.
func TestRestart(t *testing.T) {
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		ctx := t.Context()
		r, cl := open(t, b)
		a, gone, ref := testkit.Topic(t)+"-value", testkit.Topic(t)+"-gone", testkit.Topic(t)+"-ref"
		first := must(cl.CreateSchema(ctx, a, avroRecord()))(t)
		second := must(cl.CreateSchema(ctx, a, avroRecord(`{"name":"n","type":"int","default":1}`)))(t)
		must(cl.CreateSchema(ctx, gone, sr.Schema{Schema: `"string"`}))(t)
		must(cl.CreateSchema(ctx, ref, sr.Schema{
			Type: sr.TypeJSON, Schema: `{"$ref":"` + a + `.json"}`,
			References: []sr.SchemaReference{{Name: a + ".json", Subject: must(cl.CreateSchema(ctx, a+"-json", sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"object"}`}))(t).Subject, Version: 1}},
		}))(t)
		must(cl.DeleteSubject(ctx, gone, sr.SoftDelete))(t)
		if err := cl.DeleteSchema(ctx, a, 1, sr.SoftDelete); err != nil {
			t.Fatal(err)
		}
		cl.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull}, a)
		cl.SetMode(ctx, sr.ModeReadOnly, ref)
		before := dump(t, r, a, gone, ref)
		r.Close()

		r, cl = open(t, b)
		if after := dump(t, r, a, gone, ref); after != before {
			t.Errorf("after the restart:\n%s\nbefore:\n%s", after, before)
		}
		if got := must(cl.SchemaByID(ctx, first.ID))(t); got.Schema != first.Schema.Schema {
			t.Errorf("the soft-deleted schema is %+v", got)
		}
		third := must(cl.CreateSchema(ctx, a, avroRecord(`{"name":"n","type":"int","default":2}`)))(t)
		if third.ID <= second.ID || third.Version != 3 {
			t.Errorf("the next schema is %d with id %d", third.Version, third.ID)
		}
	})
}

// dump returns the API's responses about subjects.
func dump(t *testing.T, r *Registry, subjects ...string) string {
	t.Helper()
	var b strings.Builder
	for _, s := range subjects {
		for _, path := range []string{"/schemas?deleted=true&subjectPrefix=" + s, "/subjects?subjectPrefix=" + s, "/config/" + s, "/mode/" + s} {
			fmt.Fprintln(&b, get(t, r.URL()+path))
		}
	}
	return b.String()
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Compaction removes superseded records; the state stays the same.
func TestRestartAfterCompaction(t *testing.T) {
	b := testkit.Fake(t)
	ctx := t.Context()
	r, cl := open(t, b.Broker)
	for n := range 4 {
		must(cl.CreateSchema(ctx, "a", avroRecord(fmt.Sprintf(`{"name":"n","type":"int","default":%d}`, n))))(t)
	}
	for _, how := range []sr.DeleteHow{sr.SoftDelete, sr.HardDelete} {
		if err := cl.DeleteSchema(ctx, "a", 2, how); err != nil {
			t.Fatal(err)
		}
	}
	must(cl.CreateSchema(ctx, "b", avroRecord(`{"name":"n","type":"int","default":3}`)))(t)
	for range 3 {
		must(cl.DeleteSubject(ctx, "b", sr.SoftDelete))(t)
		must(cl.CreateSchema(ctx, "b", avroRecord()))(t)
	}
	before := dump(t, r, "a", "b")
	r.Close()
	records := count(t, b.Broker)
	b.Compact()
	if left := count(t, b.Broker); left >= records {
		t.Fatalf("%d records of %d are left", left, records)
	}
	r, _ = open(t, b.Broker)
	if after := dump(t, r, "a", "b"); after != before {
		t.Errorf("after compaction:\n%s\nbefore:\n%s", after, before)
	}
}

// count is the number of records in the topic.
func count(t *testing.T, b testkit.Broker) (n int) {
	t.Helper()
	topic, err := openTopic(b.Addrs, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer topic.close()
	if err := topic.replay(t.Context(), func(*kgo.Record) { n++ }); err != nil {
		t.Fatal(err)
	}
	return n
}

// Records written by Confluent's registry are read, and unreadable ones are skipped.
func TestReplaysConfluentsRecords(t *testing.T) {
	b := testkit.Fake(t, kfake.SeedTopics(1, topicName))
	cl, err := kgo.NewClient(kgo.DisableClientMetrics(), kgo.SeedBrokers(b.Addrs...), kgo.DefaultProduceTopic(topicName))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, kv := range [][2]string{
		{`{"keytype":"NOOP","magic":0}`, ``},
		{`{"keytype":"CONFIG","subject":null,"magic":0}`, `{"subject":"","compatibilityLevel":"FORWARD"}`},
		{`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"subject":"s","version":1,"id":7,"md5":"x","schema":"\"string\"","deleted":false}`},
		{`{"keytype":"CONFIG","subject":"n","magic":0}`, `{"subject":"n","normalize":true}`},
		{`not JSON`, `{}`},
		{`{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}`, `{"subject":"s","version":2,"id":8,"schemaType":"JSON","schema":"{\"type\":\"object\"}","deleted":false}`},
		{`{"keytype":"SCHEMA","subject":"bad","version":1,"magic":1}`, `{"id":"x"}`},
		{`{"keytype":"SCHEMA","subject":"d","version":1,"magic":1}`, `{"subject":"d","version":1,"id":9,"schema":"\"long\"","deleted":false}`},
		{`{"keytype":"DELETE_SUBJECT","subject":"d","magic":0}`, `{"subject":"d","version":1}`},
		{`{"keytype":"MODE","subject":"s","magic":0}`, `{"mode":"READONLY"}`},
	} {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Key: []byte(kv[0]), Value: []byte(kv[1])}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := open(t, b.Broker)
	for path, want := range map[string]string{
		"/subjects":              `["s"]`,
		"/subjects?deleted=true": `["d","s"]`,
		"/schemas/ids/7/schema":  `"\"string\""`,
		"/config":                `{"compatibilityLevel":"FORWARD"}`,
		"/config/n":              `{"compatibilityLevel":"FORWARD","normalize":true}`,
		"/mode/s":                `{"mode":"READONLY"}`,
		"/schemas/ids/9/schema":  `"\"long\""`,
	} {
		if got := get(t, r.URL()+path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// Many at once register the same texts: each text gets one id and one version.
func TestConcurrentRegistration(t *testing.T) {
	_, cl := open(t, testkit.Fake(t).Broker)
	const clients, texts = 8, 5
	ids := make([][texts]int, clients)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := range texts {
				s, err := cl.CreateSchema(t.Context(), "s", avroRecord(fmt.Sprintf(`{"name":"n","type":"int","default":%d}`, n)))
				if err != nil {
					t.Error(err)
				}
				ids[c][n] = s.ID
			}
		})
	}
	wg.Wait()
	for _, got := range ids {
		if got != ids[0] {
			t.Errorf("ids %v and %v", got, ids[0])
		}
	}
	if versions := must(cl.SubjectVersions(t.Context(), "s"))(t); len(versions) != texts {
		t.Errorf("%v", versions)
	}
}

// A schema whose write failed is not found, and its id is not given to another one, because the
// record may still get into the topic.
func TestFailedWrite(t *testing.T) {
	b := testkit.Fake(t)
	_, cl := open(t, b.Broker)
	must(cl.CreateSchema(t.Context(), "s", sr.Schema{Schema: `"int"`}))(t)
	b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			resp.Topics = append(resp.Topics, kmsg.ProduceResponseTopic{
				Topic: topic.Topic, TopicID: topic.TopicID, Partitions: []kmsg.ProduceResponseTopicPartition{{ErrorCode: 10}}, // MESSAGE_TOO_LARGE
			})
		}
		return resp, nil, true
	})
	var answer *sr.ResponseError
	if _, err := cl.CreateSchema(t.Context(), "s", sr.Schema{Schema: `"long"`}); !errors.As(err, &answer) || answer.ErrorCode != sr.ErrStoreError.Code {
		t.Fatalf("%v", err)
	}
	if versions := must(cl.SubjectVersions(t.Context(), "s"))(t); !slices.Equal(versions, []int{1}) {
		t.Errorf("versions %v", versions)
	}
	if s := must(cl.CreateSchema(t.Context(), "s", sr.Schema{Schema: `"double"`}))(t); s.ID != 3 || s.Version != 2 {
		t.Errorf("id %d, version %d", s.ID, s.Version)
	}
}

func TestLimits(t *testing.T) {
	r, cl := open(t, testkit.Fake(t).Broker)
	var answer *sr.ResponseError
	_, err := cl.CreateSchema(t.Context(), "s", sr.Schema{Schema: `"` + strings.Repeat("a", maxBody) + `"`})
	if !errors.As(err, &answer) || answer.ErrorCode != sr.ErrSchemaTooLarge.Code {
		t.Errorf("a large body: %v", err)
	}
	_, err = cl.CreateSchema(t.Context(), strings.Repeat("a", maxSubject+1), sr.Schema{Schema: `"int"`})
	if !errors.As(err, &answer) || answer.ErrorCode != sr.ErrInvalidSubject.Code {
		t.Errorf("a long subject: %v", err)
	}
	like := newVersion(&schemaValue{Version: 1, Schema: `"long"`})
	for n := range maxVersions {
		v := *like
		v.Subject, v.ID = fmt.Sprint("s", n), n+1
		r.store.put(&v)
	}
	_, err = cl.CreateSchema(t.Context(), "one-more", sr.Schema{Schema: `"int"`})
	if !errors.As(err, &answer) || answer.ErrorCode != sr.ErrOperationNotPermitted.Code {
		t.Errorf("one schema too many: %v", err)
	}
}

// franz-go's own fake gives the same responses where it has the features that a client needs.
func TestAgreesWithSrfake(t *testing.T) {
	fake := srfake.New(srfake.WithGlobalCompat(sr.CompatNone))
	defer fake.Close()
	_, ours := open(t, testkit.Fake(t).Broker)
	if res := ours.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatNone}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	theirs := client(t, fake.URL())
	rng := rand.New(rand.NewPCG(1, 2))
	for step := range 300 {
		subject := fmt.Sprint("s", rng.IntN(4))
		schema := avroRecord(fmt.Sprintf(`{"name":"n","type":"int","default":%d}`, rng.IntN(12)))
		op, n := rng.IntN(6), rng.IntN(5)+1
		do := operation{op, n, subject, schema}
		if a, b := do.on(t, ours), do.on(t, theirs); a != b {
			t.Fatalf("step %d, %+v:\nours:   %s\ntheirs: %s", step, do, a, b)
		}
	}
}

// operation is one operation of clients; n is an id or a version.
type operation struct {
	kind, n int
	subject string
	schema  sr.Schema
}

// on runs the operation and returns its result.
func (o operation) on(t *testing.T, cl *sr.Client) string {
	t.Helper()
	ctx := t.Context()
	var got any
	var err error
	switch o.kind {
	case 0:
		got, err = cl.CreateSchema(ctx, o.subject, o.schema)
	case 1:
		got, err = cl.LookupSchema(ctx, o.subject, o.schema)
	case 2:
		got, err = cl.SchemaByID(ctx, o.n)
	case 3:
		got, err = cl.SchemaByVersion(ctx, o.subject, o.n)
	case 4:
		got, err = cl.SubjectVersions(ctx, o.subject)
	case 5:
		got, err = cl.Subjects(ctx)
	}
	var answer *sr.ResponseError
	if errors.As(err, &answer) {
		if o.kind == 3 { // srfake has one error for unknown subjects and versions
			return fmt.Sprint(answer.StatusCode)
		}
		return fmt.Sprint(answer.StatusCode, answer.ErrorCode)
	} else if err != nil {
		t.Fatal(err)
	}
	if v, ok := got.(sr.SubjectSchema); ok {
		v.GUID = "" // each has its own algorithm for it
		got = v
	}
	return fmt.Sprintf("%+v", got)
}

// This registry accepts the schemas that the codecs accept, and refuses those that they refuse,
// because it asks them. The exception is a default that does not fit, which Confluent's registry
// refuses too.
func TestAgreesWithTheCodecs(t *testing.T) {
	_, cl := open(t, testkit.Fake(t).Broker)
	if res := cl.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatNone}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	compile := map[sr.SchemaType]func(text string) error{
		sr.TypeAvro:     func(text string) error { _, err := avro.Compile(text, nil); return err },
		sr.TypeJSON:     func(text string) error { _, err := jsonschema.Compile(text, nil); return err },
		sr.TypeProtobuf: func(text string) error { _, err := protobuf.Compile(text, nil); return err },
	}
	const odd, fine = false, true
	for i, c := range []struct {
		kind sr.SchemaType
		text string
		good bool
	}{
		{sr.TypeJSON, `{"pattern":"^\\u00e9$"}`, fine},
		{sr.TypeJSON, `{"pattern":"^\\cA$"}`, fine},
		{sr.TypeJSON, `{"$schema":"http://example.org/own#","type":"object"}`, fine},
		{sr.TypeJSON, `{"pattern":"` + strings.Repeat("a", 1001) + `"}`, odd},
		{sr.TypeJSON, strings.Repeat(`{"not":`, 201) + "{}" + strings.Repeat("}", 201), odd},
		{sr.TypeJSON, `{"pattern":"(abcdefghijk){1000}"}`, fine},
		{sr.TypeJSON, `{"$ref":"other.json"}`, odd},
		{sr.TypeProtobuf, `syntax = "proto3"; import "google/type/date.proto"; message M { google.type.Date at = 1; }`, fine},
		{sr.TypeProtobuf, `syntax = "proto3"; import "confluent/type/decimal.proto"; message M { confluent.type.Decimal d = 1; }`, fine},
		{sr.TypeProtobuf, `syntax = "proto3"; message M { repeated EEntry e = 1; message EEntry { option map_entry = true; string key = 1; int32 value = 2; } }`, fine},
		{sr.TypeProtobuf, `syntax = "proto3"; package google.protobuf; message M {}`, odd},
		{sr.TypeProtobuf, `syntax = "proto3"; import "none.proto"; message M {}`, odd},
		{sr.TypeAvro, `{"type":"record","name":"Ä","fields":[{"name":"größe","type":"int"}]}`, fine},
		{sr.TypeAvro, `{"type":"enum","name":"E","namespace":"é.è","symbols":["É"]}`, fine},
		{sr.TypeAvro, `{"type":"record","name":"int","fields":[]}`, odd},
		{sr.TypeAvro, `{"type":"record","name":"R-1","fields":[]}`, odd},
		{sr.TypeAvro, `"none"`, odd},
	} {
		if err := compile[c.kind](c.text); (err == nil) != c.good {
			t.Errorf("the codec says %v to %s", err, c.text)
		}
		subject := fmt.Sprint("s", i)
		_, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Type: c.kind, Schema: c.text})
		var answer *sr.ResponseError
		if c.good && err != nil || !c.good && (!errors.As(err, &answer) || answer.ErrorCode != sr.ErrInvalidSchema.Code) {
			t.Errorf("%s: %v", c.text, err)
		}
		if !c.good {
			continue
		}
		for _, level := range []sr.CompatibilityLevel{sr.CompatFull, sr.CompatNone} {
			cl.SetCompatibility(t.Context(), sr.SetCompatibility{Level: level}, subject)
			if _, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Type: c.kind, Schema: " " + c.text}); err != nil {
				t.Errorf("again, level %v: %s: %v", level, c.text, err)
			}
		}
	}
	misfit := avroRecord(`{"name":"n","type":"int","default":"x"}`)
	if err := compile[sr.TypeAvro](misfit.Schema); err != nil {
		t.Error(err)
	}
	if _, err := cl.CreateSchema(t.Context(), "misfit", misfit); err == nil || !strings.Contains(err.Error(), "the default of the field R.n does not fit") {
		t.Errorf("a default that does not fit: %v", err)
	}
}

// A file without messages can be imported, though records cannot use it.
func TestProtobufWithoutMessages(t *testing.T) {
	_, cl := open(t, testkit.Fake(t).Broker)
	must(cl.CreateSchema(t.Context(), "e", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; enum E { A = 0; }`}))(t)
	must(cl.CreateSchema(t.Context(), "m", sr.Schema{
		Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; import "e.proto"; message M { E e = 1; }`,
		References: []sr.SchemaReference{{Name: "e.proto", Subject: "e", Version: 1}},
	}))(t)
}

// A softly deleted version can still be referred to, and must not be deleted for good then.
func TestReferredToIsNotDeletedForGood(t *testing.T) {
	_, cl := open(t, testkit.Fake(t).Broker)
	ctx := t.Context()
	for _, name := range []string{"version", "subject"} {
		must(cl.CreateSchema(ctx, name, sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"string"}`}))(t)
		must(cl.DeleteSubject(ctx, name, sr.SoftDelete))(t)
		must(cl.CreateSchema(ctx, "of-"+name, sr.Schema{
			Type: sr.TypeJSON, Schema: `{"$ref":"a.json"}`, References: []sr.SchemaReference{{Name: "a.json", Subject: name, Version: 1}},
		}))(t)
		remove := func() error {
			if name == "version" {
				return cl.DeleteSchema(ctx, name, 1, sr.HardDelete)
			}
			_, err := cl.DeleteSubject(ctx, name, sr.HardDelete)
			return err
		}
		var answer *sr.ResponseError
		if err := remove(); !errors.As(err, &answer) || answer.ErrorCode != sr.ErrReferenceExists.Code {
			t.Errorf("the %s is deleted though it is referred to: %v", name, err)
		}
		must(cl.DeleteSubject(ctx, "of-"+name, sr.SoftDelete))(t)
		if err := remove(); err != nil {
			t.Errorf("the %s that nothing refers to any more: %v", name, err)
		}
	}
}
