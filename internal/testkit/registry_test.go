package testkit_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/internal/testkit"
)

func TestRegistry(t *testing.T) {
	cl, err := sr.NewClient(sr.URLs(testkit.Registry(t)))
	if err != nil {
		t.Fatal(err)
	}
	subject := testkit.Topic(t)
	made, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: `{"type":"string"}`})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := cl.SchemaByID(t.Context(), made.ID); err != nil || got.Schema != `{"type":"string"}` {
		t.Errorf("the schema %d is %+v, %v", made.ID, got, err)
	}
}
