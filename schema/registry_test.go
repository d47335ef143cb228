package schema

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/internal/apierr"
)

func TestTextIsRegisteredOnceUnderItsSubject(t *testing.T) {
	f := newFake(t)
	r := open(t, usual(f.URL()))
	w := text("t", userText)
	got := mustResolve(t, r, w)
	if got.ID == 0 || got.Schema.(*raw).text != userText {
		t.Fatalf("got %+v", got)
	}
	if asked := f.take(); asked != "POST /subjects/t-value, POST /subjects/t-value/versions" {
		t.Errorf("a new text asked %s", asked)
	}
	overwrite(w.Text)
	if again := mustResolve(t, r, text("t", userText)); again != got {
		t.Errorf("then %+v, not %+v", again, got)
	}
	key := text("t", userText)
	key.Key = true
	if got := mustResolve(t, r, key); got.ID == 0 || !f.SubjectExists("t-key") {
		t.Errorf("the key's is %+v", got)
	}
	f.take()
	mustResolve(t, r, text("t2", userText)) // the same text of another topic is another subject's
	if !f.SubjectExists("t2-value") {
		t.Error("the cache took one topic's answer for another's")
	}
	f.take()
	if got := mustResolve(t, open(t, usual(f.URL())), text("t", userText)); got.ID == 0 {
		t.Errorf("another client got %+v", got)
	}
	if asked := f.take(); asked != "POST /subjects/t-value" {
		t.Errorf("a known text asked %s", asked)
	}
}

func TestSubjectNameStrategies(t *testing.T) {
	for strategy, want := range map[SubjectName]string{
		TopicName: "a/b-value", RecordName: "org.example.User", TopicRecordName: "a/b-org.example.User",
	} {
		f := newFake(t)
		s := usual(f.URL())
		s.ValueSubject = strategy
		r := open(t, s)
		got := mustResolve(t, r, text("a/b", userText))
		if !f.SubjectExists(want) {
			t.Errorf("strategy %d did not register under %s: %s", strategy, want, f.take())
		}
		if by := mustResolve(t, r, byID("a/b", got.ID)); by.ID != got.ID {
			t.Errorf("strategy %d: by id %+v", strategy, by)
		}
		if strategy != TopicName {
			_, err := r.Resolve(context.Background(), text("a/b", `{"type":"string"}`))
			wantError(t, err, apierr.InvalidSchema, "has no name")
		}
	}
}

func TestTextIsOnlyLookedUpWithoutAutoRegister(t *testing.T) {
	f := newFake(t)
	s := usual(f.URL())
	s.AutoRegister = false
	r := open(t, s)
	_, err := r.Resolve(context.Background(), text("t", userText))
	wantError(t, err, apierr.RegistryRefused, "not registered under the subject t-value")
	if f.SubjectExists("t-value") {
		t.Error("it was registered")
	}
	id := f.register(t, "u-value", userText)
	if got := mustResolve(t, r, text("u", userText)); got.ID != id {
		t.Errorf("got %d, not %d", got.ID, id)
	}
}

func TestNormalizeIsAskedFor(t *testing.T) {
	f := newFake(t)
	s := usual(f.URL())
	s.Normalize = true
	mustResolve(t, open(t, s), text("t", userText))
	if asked := f.take(); asked != "POST /subjects/t-value?normalize=true, POST /subjects/t-value/versions?normalize=true" {
		t.Errorf("asked %s", asked)
	}
}

func TestIDs(t *testing.T) {
	f := newFake(t)
	r := open(t, usual(f.URL()))
	id := f.register(t, "t-value", userText)
	got := mustResolve(t, r, byID("t", id))
	if got.ID != id || got.Schema.(*raw).text != userText {
		t.Fatalf("got %+v", got)
	}
	if asked := f.take(); asked != fmt.Sprintf("GET /schemas/ids/%d, GET /schemas/ids/%d/versions", id, id) {
		t.Errorf("asked %s", asked)
	}
	mustResolve(t, r, byID("t", id))
	_, err := r.Resolve(context.Background(), byID("u", id))
	wantError(t, err, apierr.RegistryRefused, fmt.Sprintf("The schema %d is not of the subject u-value.", id))
	_, err = r.Resolve(context.Background(), byID("t", 999))
	wantError(t, err, apierr.RegistryRefused, "no schema with the id 999")
	_, err = r.Resolve(context.Background(), byID("t", -1))
	wantError(t, err, apierr.RegistryRefused, "-1")
	wrong := byID("t", id)
	wrong.Format = codec.Protobuf
	_, err = r.Resolve(context.Background(), wrong)
	wantError(t, err, apierr.RegistryRefused, "is for the format avro, not protobuf")

	s := usual(f.URL())
	s.CheckSubject = false
	if got := mustResolve(t, open(t, s), byID("u", id)); got.ID != id {
		t.Errorf("without the check %+v", got)
	}
}

func TestTextAndIDExcludeEachOther(t *testing.T) {
	w := text("t", userText)
	w.ID = 1
	_, err := open(t, usual("http://127.0.0.1:1")).Resolve(context.Background(), w)
	wantError(t, err, apierr.Unprocessable, "send one of the two")
}

func TestNothingWantedIsNothing(t *testing.T) {
	got, err := open(t, usual("http://127.0.0.1:1")).Resolve(context.Background(), Wanted{Format: codec.Avro, Topic: "t"})
	if got != (codec.Registered{}) || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLatest(t *testing.T) {
	f := newFake(t)
	s := usual(f.URL())
	s.UseLatest, s.AutoRegister = true, false
	r := open(t, s)
	f.register(t, "t-value", otherText)
	latest := f.register(t, "t-value", userText)
	for _, w := range []Wanted{{Format: codec.Avro, Topic: "t"}, text("t", otherText), text("t", `no schema at all`)} {
		if got := mustResolve(t, r, w); got.ID != latest || got.Schema.(*raw).text != userText {
			t.Errorf("%s: got %+v", w.Text, got)
		}
	}
	if asked := f.take(); asked != "GET /subjects/t-value/versions/latest" {
		t.Errorf("asked %s", asked)
	}
	if got := mustResolve(t, r, Wanted{Format: codec.Avro, Topic: "t", Key: true}); got != (codec.Registered{}) {
		t.Errorf("a subject that does not exist gave %+v", got)
	}
	s.LatestTTL, s.NegativeTTL = -1, 0
	eager := open(t, s)
	mustResolve(t, eager, Wanted{Format: codec.Avro, Topic: "new"})
	first := f.register(t, "new-value", userText)
	if got := mustResolve(t, eager, Wanted{Format: codec.Avro, Topic: "new"}); got.ID != first {
		t.Errorf("the first schema of a subject gave %+v", got)
	}
	_, err := r.Resolve(context.Background(), Wanted{Format: codec.Protobuf, Topic: "t"})
	wantError(t, err, apierr.RegistryRefused, "is for the format avro, not protobuf")

	s.ValueSubject = RecordName
	r = open(t, s)
	_, err = r.Resolve(context.Background(), Wanted{Format: codec.Avro, Topic: "t"})
	wantError(t, err, apierr.Unprocessable, "name of the record")
	_, err = r.Resolve(context.Background(), text("t", userText))
	wantError(t, err, apierr.RegistryRefused, "latest schema of the subject org.example.User")
	id := f.register(t, "Other", otherText)
	if got := mustResolve(t, r, text("t", otherText)); got.ID != id {
		t.Errorf("got %+v", got)
	}
}

func TestDecoding(t *testing.T) {
	f := newFake(t)
	r := open(t, usual(f.URL()))
	id := f.register(t, "t-value", userText)
	if _, ok, err := r.Cached(codec.Avro, codec.SchemaID{Number: id}); ok || err != nil {
		t.Errorf("before it was asked for: %v, %v", ok, err)
	}
	if f.take() != "" {
		t.Error("Cached asked")
	}
	s, err := r.ByID(context.Background(), codec.Avro, codec.SchemaID{Number: id})
	if err != nil || s.(*raw).text != userText {
		t.Fatalf("got %v, %v", s, err)
	}
	if c, ok, err := r.Cached(codec.Avro, codec.SchemaID{Number: id}); !ok || err != nil || c != s {
		t.Errorf("then %v, %v, %v", c, ok, err)
	}
	_, err = r.ByID(context.Background(), codec.JSONSchema, codec.SchemaID{Number: id})
	wantError(t, err, apierr.Undecodable, "is for the format avro, not jsonschema")
	_, err = r.ByID(context.Background(), codec.Avro, codec.SchemaID{Number: 999})
	wantError(t, err, apierr.Undecodable, "no schema with the id 999")
	_, ok, err := r.Cached(codec.Avro, codec.SchemaID{Number: 999})
	if wantError(t, err, apierr.Undecodable, "999"); !ok {
		t.Error("what does not exist was not remembered")
	}
	bad := f.register(t, "bad-value", `{"name":"typeless"}`)
	_, err = r.ByID(context.Background(), codec.Avro, codec.SchemaID{Number: bad})
	wantError(t, err, apierr.Undecodable, "it has no type")
}

func TestReferences(t *testing.T) {
	f := newFake(t)
	r := open(t, usual(f.URL()))
	address := `{"type":"record","name":"Address","fields":[]}`
	f.register(t, "street", `{"type":"record","name":"Street","fields":[]}`)
	reg := func(subject, text string, refs ...string) int32 {
		s := sr.Schema{Schema: text}
		for _, ref := range refs {
			s.References = append(s.References, sr.SchemaReference{Name: "n." + ref, Subject: ref, Version: 1})
		}
		id, _, err := f.RegisterSchema(subject, s)
		if err != nil {
			t.Fatal(err)
		}
		return int32(id)
	}
	reg("address", address, "street")
	id := reg("t-value", userText, "street", "address")
	got := mustResolve(t, r, byID("t", id)).Schema.(*raw)
	if len(got.references) != 2 || got.references[0].Name != "n.street" || got.references[1] != (reference{"n.address", address}) {
		t.Errorf("got %+v", got.references)
	}

	last := "street"
	for i := range maxReferenceDepth + 1 {
		subject := fmt.Sprintf("deep%d", i)
		reg(subject, fmt.Sprintf(`{"type":"record","name":"D%d"}`, i), last)
		last = subject
	}
	_, err := r.Resolve(context.Background(), byID("t", reg("t-value", otherText, last)))
	wantError(t, err, apierr.InvalidSchema, "deep")
}

func TestInvalidTextsDoNotReachTheRegistry(t *testing.T) {
	f := newFake(t)
	r := open(t, usual(f.URL()))
	for text, say := range map[string]string{
		`{"name":"x"}`: "The avro schema is invalid: it has no type.",
		`{"type":"rec`: "unexpected end of JSON input",
		`"` + strings.Repeat("x", maxSchemaText) + `"`: "at most",
	} {
		_, err := r.Resolve(context.Background(), Wanted{Format: codec.Avro, Topic: "t", Text: []byte(text)})
		wantError(t, err, apierr.InvalidSchema, say)
	}
	_, err := r.Resolve(context.Background(), text("t", `{"type":"panic"}`))
	wantError(t, err, apierr.Internal, "a defect in this node")
	if asked := f.take(); asked != "" {
		t.Errorf("asked %s", asked)
	}
}

// wantError checks an error's kind and that its message, which a client reads, contains say.
func wantError(t *testing.T, err error, kind *apierr.Kind, say string) {
	t.Helper()
	if !kind.Is(err) {
		t.Errorf("the error is %v, not %s", err, kind.Name)
	} else if m := apierr.From(err).Message(); !strings.Contains(m, say) {
		t.Errorf("%q does not say %q", m, say)
	} else if strings.Contains(m, "127.0.0.1") {
		t.Errorf("%q shows a client where the registry is", m)
	}
}

// wantLogged checks that the text of an error, which only the log has, says something.
func wantLogged(t *testing.T, err error, say string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), say) {
		t.Errorf("%v does not say %q", err, say)
	}
}
