package schema

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/internal/apierr"
)

// A subject that does not depend on the topic is looked up once, whatever the topics of the text.
func TestRecordNameIsOneQuestionForAllTopics(t *testing.T) {
	f := newFake(t)
	s := usual(f.URL())
	s.ValueSubject, s.KeySubject = RecordName, RecordName
	r := open(t, s)
	first := mustResolve(t, r, text("t0", userText))
	f.take()
	for i := range 10 {
		topic := fmt.Sprint("t", i)
		if got := mustResolve(t, r, text(topic, userText)); got != first {
			t.Errorf("topic %s: got %+v, not %+v", topic, got, first)
		}
		mustResolve(t, r, byID(topic, first.ID))
	}
	if asked := f.take(); asked != fmt.Sprintf("GET /schemas/ids/%d/versions", first.ID) {
		t.Errorf("asked %s", asked)
	}
	if n, _ := r.wanted.size(); n != 2 {
		t.Errorf("%d answers are kept", n)
	}
}

// The text of many topics is registered under each one's subject, and is in
// memory once.
func TestTextOfManySubjectsIsInMemoryOnce(t *testing.T) {
	f := newFake(t)
	r := open(t, usual(f.URL()))
	first := mustResolve(t, r, text("t0", userText))
	for i := range 5 {
		topic := fmt.Sprint("t", i)
		if got := mustResolve(t, r, text(topic, userText)); got.Schema != first.Schema {
			t.Errorf("topic %s has a schema of its own", topic)
		}
		if !f.SubjectExists(topic + "-value") {
			t.Errorf("the subject of topic %s does not exist", topic)
		}
	}
	f.take()
	if s, ok, err := r.Cached(codec.Avro, codec.SchemaID{Number: first.ID}); !ok || err != nil || s != first.Schema {
		t.Errorf("to decode what was written there is %v, %v, %v", s, ok, err)
	}
	other := openWith(t, f, func(s *Settings) { s.UseLatest = true })
	latest := mustResolve(t, other, Wanted{Format: codec.Avro, Topic: "t0"})
	if s, ok, err := other.Cached(codec.Avro, codec.SchemaID{Number: latest.ID}); !ok || err != nil || s != latest.Schema {
		t.Errorf("to decode what was written with the latest there is %v, %v, %v", s, ok, err)
	}
	f.register(t, "u-value", userText)
	if again := mustResolve(t, other, Wanted{Format: codec.Avro, Topic: "u"}); again != latest {
		t.Errorf("the latest of another subject is %+v, not %+v", again, latest)
	}
}

func openWith(t *testing.T, f *fake, change func(*Settings)) *Registry {
	s := usual(f.URL())
	change(&s)
	return open(t, s)
}

// A text that the registry may have normalised is not taken for the registry's text of the id.
func TestNormalizedTextIsNotTheIDs(t *testing.T) {
	f := newFake(t)
	r := openWith(t, f, func(s *Settings) { s.Normalize = true })
	got := mustResolve(t, r, text("t", userText))
	if _, ok, _ := r.Cached(codec.Avro, codec.SchemaID{Number: got.ID}); ok {
		t.Error("the text stands for the id")
	}
}

// References count, before a schema is compiled and before all are fetched.
func TestReferencesAreBounded(t *testing.T) {
	f := newFake(t)
	r := open(t, usual(f.URL()))
	half := `{"type":"record","name":"Big","doc":"` + strings.Repeat("x", maxSchemaText/2) + `"}`
	s := sr.Schema{Schema: userText}
	for i := range 5 {
		subject := fmt.Sprint("big", i)
		f.register(t, subject, strings.Replace(half, "Big", fmt.Sprint("Big", i), 1))
		s.References = append(s.References, sr.SchemaReference{Name: subject, Subject: subject, Version: 1})
	}
	id, _, err := f.RegisterSchema("t-value", s)
	if err != nil {
		t.Fatal(err)
	}
	f.take()
	_, err = r.Resolve(context.Background(), byID("t", int32(id)))
	wantError(t, err, apierr.InvalidSchema, "with all that it refers to")
	if asked := f.take(); strings.Contains(asked, "big3") {
		t.Errorf("asked %s", asked)
	}
}

// The estimated size of a schema is not less than its memory, for the most expensive schema of
// each format.
func TestSizes(t *testing.T) {
	join := func(n int, before, format, between, after string) string {
		var b strings.Builder
		b.WriteString(before)
		for i := range n {
			if i > 0 {
				b.WriteString(between)
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String() + after
	}
	for _, n := range []int{10, 1000, 4500} {
		for name, c := range map[string]struct {
			format codec.Format
			text   string
		}{
			"unions":      {codec.Avro, join(n, `{"type":"record","name":"R","fields":[`, `{"name":"f%d","type":[{"type":"array","items":["int"]}]}`, `,`, `]}`)},
			"fields":      {codec.Avro, join(n, `{"type":"record","name":"R","fields":[`, `{"name":"f%d","type":["null","string"],"default":null}`, `,`, `]}`)},
			"symbols":     {codec.Avro, join(n, `{"type":"enum","name":"E","symbols":[`, `"S%d"`, `,`, `]}`)},
			"booleans":    {codec.JSONSchema, `{"allOf":[` + strings.Repeat(`true,`, n) + `true]}`},
			"properties":  {codec.JSONSchema, join(n, `{"type":"object","properties":{`, `"f%d":{"type":"string"}`, `,`, `}}`)},
			"patterns":    {codec.JSONSchema, join(min(n, 40), `{"type":"object","properties":{`, `"f%d":{"pattern":"(a|b){400}[%[1]d]"}`, `,`, `}}`)},
			"messages":    {codec.Protobuf, join(n, `syntax="proto3";`, `message M%d{}`, ``, ``)},
			"descriptors": {codec.Protobuf, `syntax="proto3"; import "google/protobuf/descriptor.proto"; message M{}`},
		} {
			has, size := math.MaxInt, 0
			for try := 0; try < 3 && has > size+size/4; try++ { // what else the process does adds to it
				before := heap()
				s, err := builtIn.compile(c.format, c.text, nil)
				if err != nil {
					t.Fatal(err)
				}
				has, size = min(has, heap()-before), s.size
				runtime.KeepAlive(s)
			}
			if has > size+size/4 {
				t.Errorf("%s, %d of them in %d bytes: takes %d bytes, not %d", name, n, len(c.text), has, size)
			}
		}
	}
}

// heap returns how many bytes are in use.
func heap() int {
	for range 3 { // pools hold memory for two cycles
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
