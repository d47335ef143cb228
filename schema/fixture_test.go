package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"millrace/codec"
	"millrace/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// raw is a schema whose values are their own text: the registry's client does not depend on what
// a schema does with a value.
type raw struct {
	name, text string
	references []reference
}

func (s *raw) Name() string { return s.name }

func (s *raw) AppendEncoded(dst, text []byte, _ codec.Dialect, _ *codec.Budget) ([]byte, error) {
	return append(dst, text...), nil
}

func (s *raw) AppendDecoded(dst, payload []byte, _ codec.Dialect) ([]byte, error) {
	return append(dst, payload...), nil
}

// compileRaw takes any JSON object with a type; "panic" stands for a defect of a compiler.
func compileRaw(text string, references []reference) (compiled, error) {
	var s struct{ Type, Name, Namespace string }
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, err
	}
	switch s.Type {
	case "":
		return nil, errors.New("it has no type")
	case "panic":
		panic("a defect")
	}
	return &raw{name: strings.TrimPrefix(s.Namespace+"."+s.Name, "."), text: text, references: references}, nil
}

func asSent(text string) string { return text }

var rawFormats = formats{
	codec.Avro:       {kind: sr.TypeAvro, canonical: asSent, compile: compileRaw, size: linear(0, 1)},
	codec.JSONSchema: {kind: sr.TypeJSON, canonical: asSent, compile: compileRaw, size: linear(0, 1)},
	codec.Protobuf:   {kind: sr.TypeProtobuf, canonical: asSent, compile: compileRaw, size: linear(0, 1)},
}

// usual returns the settings that tests modify.
func usual(urls ...string) Settings {
	return Settings{
		URLs: urls, Timeout: 5 * time.Second, AutoRegister: true, CheckSubject: true,
		CacheSize: 100, NegativeTTL: time.Minute, LatestTTL: time.Minute,
	}
}

// atRegistry returns the settings for a registry in another process, which may have to wait.
func atRegistry(url string) Settings {
	s := usual(url)
	s.Timeout = time.Minute
	return s
}

// open returns a registry's client that is closed at the test's end.
func open(t testing.TB, s Settings) *Registry {
	t.Helper()
	r, err := New(s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.formats = rawFormats
	t.Cleanup(r.Close)
	return r
}

// fake is a registry in this process that records its requests.
type fake struct {
	*srfake.Registry
	mu    sync.Mutex
	asked []string // method and path
}

func newFake(t testing.TB, options ...srfake.Option) *fake {
	t.Helper()
	f := &fake{Registry: srfake.New(options...)}
	t.Cleanup(f.Close)
	f.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked = append(f.asked, r.Method+" "+r.URL.RequestURI())
		return false
	})
	return f
}

// take returns the requests since the last call.
func (f *fake) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := strings.Join(f.asked, ", ")
	f.asked = nil
	return asked
}

// register puts a schema into the fake and returns its id.
func (f *fake) register(t testing.TB, subject, text string) int32 {
	t.Helper()
	id, _, err := f.RegisterSchema(subject, sr.Schema{Schema: text})
	if err != nil {
		t.Fatal(err)
	}
	return int32(id)
}

func mustResolve(t testing.TB, r *Registry, w Wanted) codec.Registered {
	t.Helper()
	got, err := r.Resolve(context.Background(), w)
	if err != nil {
		t.Fatalf("%+v: %v", w, err)
	}
	return got
}

const (
	userText  = `{"type":"record","name":"User","namespace":"org.example","fields":[{"name":"name","type":"string"}]}`
	otherText = `{"type":"record","name":"Other","fields":[]}`
)

// text is a Wanted by text: the values of a topic in Avro.
func text(topic, s string) Wanted {
	return Wanted{Format: codec.Avro, Topic: topic, Text: []byte(s)}
}

// byID is a Wanted by id.
func byID(topic string, id int32) Wanted {
	return Wanted{Format: codec.Avro, Topic: topic, ID: id}
}

// overwrite changes a request's bytes as their next use does.
func overwrite(b []byte) { copy(b, bytes.Repeat([]byte{'x'}, len(b))) }
