package schema

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// TestOnARealRegistry runs every request of the client once.
func TestOnARealRegistry(t *testing.T) {
	url := testkit.Registry(t)
	client := func(change func(*Settings)) *Registry {
		s := atRegistry(url)
		change(&s)
		r, err := New(s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	ctx := context.Background()
	r := client(func(*Settings) {})
	admin, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}

	topic := testkit.Topic(t)
	record := func(fields string) string {
		return fmt.Sprintf(`{"type":"record","name":"User","namespace":"n%s","fields":[%s]}`, topic[len(topic)-4:], fields)
	}
	v1 := record(`{"name":"name","type":"string"}`)
	v2 := record(`{"name":"name","type":"string"},{"name":"age","type":["null","int"],"default":null}`)
	bad := record(`{"name":"name","type":"int"}`)

	first := mustResolve(t, r, text(topic, v1))
	if again := mustResolve(t, client(func(*Settings) {}), text(topic, v1)); again.ID != first.ID {
		t.Errorf("the same text has the ids %d and %d", first.ID, again.ID)
	}
	second := mustResolve(t, r, text(topic, v2))
	if second.ID == first.ID {
		t.Error("two texts have one id")
	}
	if got := mustResolve(t, r, byID(topic, second.ID)); got.ID != second.ID {
		t.Errorf("by id %+v", got)
	}
	if _, err := r.ByID(ctx, codec.Avro, codec.SchemaID{Number: first.ID}); err != nil {
		t.Error(err)
	}
	latest := mustResolve(t, client(func(s *Settings) { s.UseLatest = true }), text(topic, v1))
	if latest.ID != second.ID {
		t.Errorf("the latest is %d, not %d", latest.ID, second.ID)
	}
	none := mustResolve(t, client(func(s *Settings) { s.UseLatest = true }), Wanted{Format: codec.Avro, Topic: topic, Key: true})
	if none.Schema != nil {
		t.Errorf("a subject that does not exist has %+v", none)
	}

	_, err = r.Resolve(ctx, byID(topic+"x", second.ID))
	wantError(t, err, apierr.RegistryRefused, "is not of the subject "+topic+"x-value")
	_, err = r.Resolve(ctx, byID(topic, 1<<30))
	wantError(t, err, apierr.RegistryRefused, "no schema with the id")
	_, err = r.ByID(ctx, codec.Avro, codec.SchemaID{Number: 1 << 30})
	wantError(t, err, apierr.Undecodable, "no schema with the id")
	_, err = r.ByID(ctx, codec.JSONSchema, codec.SchemaID{Number: first.ID})
	wantError(t, err, apierr.Undecodable, "is for the format avro, not jsonschema")
	_, err = r.ByID(ctx, codec.Avro, codec.SchemaID{GUID: [16]byte{1, 2, 3}})
	wantError(t, err, apierr.Undecodable, "no schema with the id 01020300-0000-0000-0000-000000000000")
	lookOnly := client(func(s *Settings) { s.AutoRegister = false })
	_, err = lookOnly.Resolve(ctx, text(topic, record("")))
	wantError(t, err, apierr.RegistryRefused, "not registered under the subject "+topic+"-value")
	_, err = lookOnly.Resolve(ctx, text(topic+"x", v1))
	wantError(t, err, apierr.RegistryRefused, "not registered")

	for _, result := range admin.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatBackward}, topic+"-value") {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	_, err = r.Resolve(ctx, text(topic, bad))
	wantError(t, err, apierr.RegistryRefused, "refused the schema for the subject "+topic+"-value")
	t.Log(err)

	normal := client(func(s *Settings) { s.Normalize = true })
	if got := mustResolve(t, normal, text(topic, " "+v1)); got.ID != first.ID {
		t.Errorf("normalised it has the id %d, not %d", got.ID, first.ID)
	}
	for _, name := range []SubjectName{RecordName, TopicRecordName} {
		named := client(func(s *Settings) { s.ValueSubject = name })
		got := mustResolve(t, named, text(topic, v1))
		if got := mustResolve(t, named, byID(topic, got.ID)); got.Schema == nil {
			t.Errorf("strategy %d: by id %+v", name, got)
		}
	}
}

// To the real registry another spelling is another schema. It is registered as Java spells it, and
// what others registered is found as they spelled it.
func TestSpellingsOnARealRegistry(t *testing.T) {
	url := testkit.Registry(t)
	client := func(s Settings) *Registry {
		r, err := New(s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	topic := testkit.Topic(t)
	space := topic[len(topic)-4:]
	plain := fmt.Sprintf(`{"type":"record","name":"User","namespace":"n%s","fields":[{"name":"name","type":"string"}]}`, space)
	spelled := fmt.Sprintf(`{ "fields": [{"type":{"type":"string"},"name":"name"}], "name":"n%s.User", "type":"record" }`, space)
	first := mustResolve(t, client(atRegistry(url)), text(topic, spelled))
	if again := mustResolve(t, client(atRegistry(url)), text(topic, plain)); again.ID != first.ID {
		t.Errorf("in another spelling the schema has the id %d, not %d", again.ID, first.ID)
	}
	message := Wanted{Format: codec.Protobuf, Topic: topic + "p", Text: []byte(`syntax="proto3"; /* who */ message User { string name=1; }`)}
	first = mustResolve(t, client(atRegistry(url)), message)
	message.Text = []byte("syntax = \"proto3\";\n\nmessage User {\n  string name = 1;\n}\n")
	if again := mustResolve(t, client(atRegistry(url)), message); again.ID != first.ID {
		t.Errorf("in another spelling the message has the id %d, not %d", again.ID, first.ID)
	}
	admin, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := admin.CreateSchema(t.Context(), topic+"y-value", sr.Schema{Schema: spelled})
	if err != nil {
		t.Fatal(err)
	}
	lookOnly := atRegistry(url)
	lookOnly.AutoRegister = false
	if got := mustResolve(t, client(lookOnly), text(topic+"y", spelled)); int(got.ID) != foreign.ID {
		t.Errorf("a schema of others has the id %d, not %d", got.ID, foreign.ID)
	}
}

// TestReferencesOnARealRegistry resolves a schema that refers to another one.
func TestReferencesOnARealRegistry(t *testing.T) {
	url, topic := testkit.Registry(t), testkit.Topic(t)
	admin, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	address, err := admin.CreateSchema(ctx, topic+"-address", sr.Schema{
		Schema: `{"type":"record","name":"Address","namespace":"a","fields":[{"name":"city","type":"string"}]}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	home, err := admin.CreateSchema(ctx, topic+"-value", sr.Schema{
		Schema:     `{"type":"record","name":"Home","fields":[{"name":"at","type":"a.Address"}]}`,
		References: []sr.SchemaReference{{Name: "a.Address", Subject: address.Subject, Version: address.Version}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(atRegistry(url), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	got := mustResolve(t, r, byID(topic, int32(home.ID)))
	b, err := got.AppendEncoded(nil, []byte(`{"at":{"city":"x"}}`), codec.Tagged, nil)
	if err != nil || string(b) != "\x02x" {
		t.Errorf("got %q, %v", b, err)
	}
}
