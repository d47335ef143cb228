package schema

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"millrace/codec"
)

// inContexts is a registry whose default context and whose context .other have different schemas
// with the id 1.
func inContexts(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		text := userText
		if strings.HasPrefix(r.URL.Path, "/subjects/:.other:") {
			text = otherText
		}
		_, _ = fmt.Fprintf(w, `{"id":1,"version":3,"schema":%q}`, text)
	})
}

// Each context of a registry has ids of its own: what a record's subject of another context finds
// must not be taken for the schema that an id of this context stands for, nor the reverse.
func TestIDsOfAnotherContext(t *testing.T) {
	for name, n := range map[string]Named{
		"latest":  {Format: codec.Avro, Topic: "t", Subject: []byte(":.other:s")},
		"version": {Format: codec.Avro, Topic: "t", Subject: []byte(":.other:s"), Version: 3},
		"text":    {Format: codec.Avro, Topic: "t", Subject: []byte(":.other:s"), Text: []byte(otherText)},
	} {
		for _, order := range []string{"first", "last"} {
			t.Run(name+" "+order, func(t *testing.T) {
				r := open(t, usual(inContexts(t)))
				locate := func() {
					got, err := r.Locate(context.Background(), n)
					if err != nil || got.ID != 1 || got.Schema.(*raw).text != otherText {
						t.Errorf("the other context's is %+v, %v", got, err)
					}
				}
				if order == "first" {
					locate()
				}
				got, err := r.ByID(context.Background(), codec.Avro, codec.SchemaID{Number: 1})
				if err != nil || got.(*raw).text != userText {
					t.Errorf("the id stands for %+v, %v", got, err)
				}
				if order == "last" {
					locate()
				}
			})
		}
	}
}

// A schema that two calls find in one context is in memory once all the same.
func TestIDsOfThisContextAreShared(t *testing.T) {
	r := open(t, usual(inContexts(t)))
	n := Named{Format: codec.Avro, Topic: "t", Subject: []byte("s")}
	located, err := r.Locate(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := r.Cached(codec.Avro, codec.SchemaID{Number: 1}); !ok || err != nil || got != codec.Schema(located.Schema) {
		t.Errorf("the cache has %v, %v, %v", got, ok, err)
	}
}

// A reference is to a subject of the context that its schema is of, unless it names another.
func TestReferencesWithinAContext(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		references := ""
		if strings.HasPrefix(r.URL.Path, "/subjects/:.other:s/") {
			references = `{"name":"own","subject":"a","version":1},{"name":"foreign","subject":":.third:a","version":1}`
		}
		if strings.HasPrefix(r.URL.Path, "/subjects/:.third:a/") {
			references = `{"name":"inner","subject":"b","version":1}`
		}
		subject := strings.Split(r.URL.Path, "/")[2]
		_, _ = fmt.Fprintf(w, `{"id":1,"version":3,"schema":"{\"type\":%s}","references":[%s]}`, `\"`+subject+`\"`, references)
	})
	r := open(t, usual(url))
	got, err := r.Locate(context.Background(), Named{Format: codec.Avro, Topic: "t", Subject: []byte(":.other:s")})
	if err != nil {
		t.Fatal(err)
	}
	want := []reference{{"own", `{"type":":.other:a"}`}, {"inner", `{"type":":.third:b"}`}, {"foreign", `{"type":":.third:a"}`}}
	if found := got.Schema.(*raw).references; !slices.Equal(found, want) {
		t.Errorf("the references are %v", found)
	}
}

func TestContextOf(t *testing.T) {
	for subject, want := range map[string]string{"s": "", "a:b": "", ":.c:s": ":.c:", ":.:s": ":.:", ":.c:a:b": ":.c:", ":.c": ""} {
		if got := contextOf(subject); got != want {
			t.Errorf("%q is of the context %q", subject, got)
		}
	}
}

// A subject that has a colon in its name is not the one that is named as its end.
func TestSubjectThatEndsAsAnother(t *testing.T) {
	r := open(t, usual(serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/versions") {
			_, _ = fmt.Fprint(w, `[{"subject":":.own:x:s","version":3}]`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"schema":%q}`, userText)
	})))
	for subject, want := range map[string]bool{"s": false, "x:s": true, ":.own:x:s": true, "own:x:s": false} {
		_, err := r.Locate(context.Background(), Named{Format: codec.Avro, Topic: "t", Subject: []byte(subject), ID: 1})
		if (err == nil) != want {
			t.Errorf("the id is of %q: %v", subject, err)
		}
	}
}
