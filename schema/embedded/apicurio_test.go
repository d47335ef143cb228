package embedded

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/internal/testkit"
)

// difference is what Apicurio says of a pair where this registry says another thing,
// and why.
type difference struct {
	backward, forward bool
	reason            string
}

var differences = map[string]difference{}

// The rules of compatibility have an outside judge: a real registry is asked about
// the same pairs, and each difference is listed with its reason.
func TestAgreesWithARealRegistry(t *testing.T) {
	cl := client(t, testkit.Registry(t))
	topic := testkit.Topic(t)
	n := 0
	ask := func(typ sr.SchemaType, level sr.CompatibilityLevel, old, next string) bool {
		t.Helper()
		n++
		subject := fmt.Sprint(topic, "-", n)
		ctx := context.Background()
		must(cl.RegisterSchema(ctx, subject, sr.Schema{Type: typ, Schema: old}, -1, -1))(t)
		if res := cl.SetCompatibility(ctx, sr.SetCompatibility{Level: level}, subject); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		_, err := cl.RegisterSchema(ctx, subject, sr.Schema{Type: typ, Schema: next}, -1, -1)
		var answer *sr.ResponseError
		if err != nil && (!errors.As(err, &answer) || answer.ErrorCode != sr.ErrIncompatibleSchema.Code && answer.ErrorCode != 409) {
			t.Errorf("%s -> %s: %v", old, next, err)
		}
		return err == nil
	}
	unseen := map[string]bool{}
	for name := range differences {
		unseen[name] = true
	}
	for typ, list := range evolutions {
		for _, e := range list {
			name := typ.String() + "/" + e.name
			backward, forward := ask(typ, sr.CompatBackward, e.old, e.next), ask(typ, sr.CompatForward, e.old, e.next)
			d, listed := differences[name]
			delete(unseen, name)
			switch {
			case listed && (backward != d.backward || forward != d.forward):
				t.Errorf("%s: the real registry says backward %v, forward %v, not as it is listed", name, backward, forward)
			case listed && backward == e.backward && forward == e.forward:
				t.Errorf("%s: is listed as a difference and is none", name)
			case !listed && (backward != e.backward || forward != e.forward):
				t.Errorf("%s: the real registry says backward %v, forward %v; here it is %v, %v", name, backward, forward, e.backward, e.forward)
			}
		}
	}
	for name := range unseen {
		t.Errorf("%s is no pair", name)
	}
}
