package registry

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/internal/testkit"
)

// difference is Apicurio's result for a pair where this registry decides differently, with the
// reason.
type difference struct {
	backward, forward bool
	reason            string
}

// Of Protobuf, Apicurio checks whether the messages' JSON and code stay the same; this registry,
// like Confluent's, checks whether their bytes can be read.
var differences = map[string]difference{
	"JSON/one more type":           {false, false, "Apicurio takes any change of a list of types for narrower; what was a string still is one"},
	"JSON/required with a default": {false, true, "Apicurio has no exception for what has a default; Confluent's rules have"},
	"JSON/tuple":                   {true, false, "Apicurio compares tuples; here a change of one is not looked into, and counts as a problem"},
	"JSON/all of them":             {false, false, "Apicurio does not look into allOf"},
	"JSON/nothing":                 {false, false, "Apicurio does not know that a schema that allows nothing writes nothing"},
	"PROTOBUF/one more field":      {true, false, "a field that goes must be reserved at Apicurio; a reader leaves it out"},
	"PROTOBUF/another name":        {false, false, "names are not in the bytes"},
	"PROTOBUF/same wire type":      {false, false, "these types are read as each other"},
	"PROTOBUF/repeated text":       {false, false, "the last of many is read, and one is many of length one"},
	"PROTOBUF/one more message":    {true, true, "Apicurio does not mind a message that goes; what was written with it cannot be read then"},
	"PROTOBUF/two into a oneof":    {true, true, "both may be set in what was written; a reader would keep one"},
	"PROTOBUF/required":            {true, false, "Apicurio does not look at required; a reader refuses a message without it"},
}

// The rules of compatibility are compared with a real registry's: it gets the same pairs, and
// each difference is listed with its reason.
func TestAgreesWithARealRegistry(t *testing.T) {
	cl := client(t, testkit.Registry(t))
	topic := testkit.Topic(t)
	n := 0
	ask := func(typ sr.SchemaType, level sr.CompatibilityLevel, old, next string) bool {
		t.Helper()
		n++
		if typ == sr.TypeJSON {
			old, next = recognised(old), recognised(next)
		}
		subject := fmt.Sprint(topic, "-", n)
		ctx := context.Background()
		if _, err := cl.RegisterSchema(ctx, subject, sr.Schema{Type: typ, Schema: old}, -1, -1); err != nil {
			t.Errorf("%s: %v", old, err)
			return false
		}
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
				t.Errorf("%s: the real registry says backward %v, forward %v, not as it is listed: %s", name, backward, forward, d.reason)
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

// recognised returns a JSON Schema with the member by which Apicurio recognises it.
func recognised(text string) string {
	const draft = `"$schema":"http://json-schema.org/draft-07/schema#"`
	switch text {
	case "true":
		return "{" + draft + "}"
	case "false":
		return "{" + draft + `,"not":{}}`
	}
	return "{" + draft + "," + text[1:]
}
