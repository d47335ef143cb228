package avro

import (
	"fmt"
	"strings"
	"testing"

	"millrace/internal/testkit"

	hamba "github.com/hamba/avro/v2"
	twmb "github.com/twmb/avro"
)

// rec is a record R with fields.
func rec(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }

// chain is a recursive record with a value of a type.
func chain(value string) string {
	return `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]},{"name":"v","type":` + value + `}]}`
}

// Each library but Java's differs somewhere; apart names those that do.
const (
	hambaDiffers = 1 << iota
	twmbDiffers
)

var compatCases = []struct {
	name, reader, writer string
	problem              string // of the reader; none when it is empty
	apart                int
}{
	{"int to long", `"long"`, `"int"`, "", 0},
	{"int to float", `"float"`, `"int"`, "", 0},
	{"int to double", `"double"`, `"int"`, "", 0},
	{"long to float", `"float"`, `"long"`, "", 0},
	{"float to double", `"double"`, `"float"`, "", 0},
	{"bytes to string", `"string"`, `"bytes"`, "", 0},
	{"string to bytes", `"bytes"`, `"string"`, "", 0},
	{"long to int", `"int"`, `"long"`, "long cannot be read as int", 0},
	{"double to float", `"float"`, `"double"`, "double cannot be read as float", 0},
	{"fixed to bytes", `"bytes"`, `{"type":"fixed","name":"F","size":4}`, "F cannot be read as bytes", 0},
	{"enum to string", `"string"`, `{"type":"enum","name":"E","symbols":["A"]}`, "E cannot be read as string", 0},
	{"items", `{"type":"array","items":"long"}`, `{"type":"array","items":"int"}`, "", 0},
	{"values", `{"type":"map","values":"int"}`, `{"type":"map","values":"long"}`, "at []: long cannot be read as int", 0},
	{"array to map", `{"type":"map","values":"int"}`, `{"type":"array","items":"int"}`, "array cannot be read as map", 0},

	{"new field", rec(`{"name":"a","type":"int","default":0}`), rec(``), "", 0},
	{"new field without a default", rec(`{"name":"a","type":"int"}`), rec(``), "the reader's field a has no default, and the writer has no such field", 0},
	{"field that went", rec(``), rec(`{"name":"a","type":"int"}`), "", 0},
	{"field of another type", rec(`{"name":"a","type":"int","default":0}`), rec(`{"name":"a","type":"string"}`), "at a: string cannot be read as int", 0},
	{"an enum's default is not a field's", rec(`{"name":"a","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}}`), rec(``), "the reader's field a has no default, and the writer has no such field", 0},
	{"default of a record", rec(`{"name":"a","type":{"type":"record","name":"S","fields":[{"name":"x","type":"int","default":1}]},"default":{}}`), rec(``), "", 0},
	{"default of a later branch", rec(`{"name":"a","type":["null","int"],"default":1}`), rec(``), "", hambaDiffers},
	{"default of unions", rec(`{"name":"a","type":{"type":"array","items":["null","string"]},"default":["x"]}`), rec(``), "", hambaDiffers},
	{"default beyond a double", rec(`{"name":"a","type":"long","default":9007199254740993}`), rec(``), "", 0},
	{"default that is no number", rec(`{"name":"a","type":"double","default":"NaN"}`), rec(``), "", hambaDiffers},

	{"field by an alias", rec(`{"name":"b","aliases":["a"],"type":"int"}`), rec(`{"name":"a","type":"int"}`), "", 0},
	{"the writer's aliases do not count", rec(`{"name":"b","type":"int"}`), rec(`{"name":"a","aliases":["b"],"type":"int"}`), "the reader's field b has no default, and the writer has no such field", 0},
	{"field and its alias", rec(`{"name":"b","aliases":["a"],"type":"int"}`), rec(`{"name":"a","type":"int"},{"name":"b","type":"int"}`), "the reader's field b is both b and a of the writer", hambaDiffers},
	{"two aliases", rec(`{"name":"b","aliases":["a","c"],"type":"int"}`), rec(`{"name":"a","type":"int"},{"name":"c","type":"int"}`), "the reader's field b is both a and c of the writer", hambaDiffers},
	{"alias that is a field", rec(`{"name":"b","aliases":["a"],"type":"int"},{"name":"a","type":"int"}`), rec(`{"name":"a","type":"int"}`), "", twmbDiffers},

	{"another name", `{"type":"fixed","name":"F","size":4}`, `{"type":"fixed","name":"G","size":4}`, "the writer's type is called G, the reader's F, which has no such alias", 0},
	{"another namespace", `{"type":"fixed","name":"x.F","size":4}`, `{"type":"fixed","name":"y.F","size":4}`, "", 0},
	{"alias", `{"type":"fixed","name":"x.F","size":4,"aliases":["G"]}`, `{"type":"fixed","name":"x.G","size":4}`, "", 0},
	{"alias of another namespace", `{"type":"fixed","name":"x.F","size":4,"aliases":["y.G"]}`, `{"type":"fixed","name":"y.G","size":4}`, "", 0},
	{"alias is in the namespace", `{"type":"fixed","name":"x.F","size":4,"aliases":["G"]}`, `{"type":"fixed","name":"G","size":4}`, "the writer's type is called G, the reader's x.F, which has no such alias", twmbDiffers},
	{"alias of a record", `{"type":"record","name":"R","aliases":["Q"],"fields":[]}`, `{"type":"record","name":"Q","fields":[]}`, "", 0},
	{"another size", `{"type":"fixed","name":"F","size":4}`, `{"type":"fixed","name":"F","size":5}`, "F has 5 bytes at the writer and 4 at the reader", 0},
	{"error", `{"type":"error","name":"R","fields":[]}`, rec(``), "", 0},

	{"symbol that the reader lacks", `{"type":"enum","name":"E","symbols":["A"]}`, `{"type":"enum","name":"E","symbols":["A","B"]}`, "the reader's E has neither the symbol B nor a default", 0},
	{"symbol for a default", `{"type":"enum","name":"E","symbols":["A"],"default":"A"}`, `{"type":"enum","name":"E","symbols":["A","B"]}`, "", 0},

	{"into a union", `["null","long"]`, `"int"`, "", 0},
	{"no branch", `["null","string"]`, `"int"`, "no branch of the reader's union reads the writer's int", 0},
	{"order of branches", `["null","string"]`, `["string","null"]`, "", 0},
	{"out of a union", `"long"`, `["int","long"]`, "", 0},
	{"out of a wider union", `"long"`, `["int","null"]`, "null cannot be read as long", 0},
	{"narrower union", `["int","string"]`, `["int","null"]`, "no branch of the reader's union reads the writer's null", 0},
	{"no branches", `"int"`, `[]`, "", 0},
	{"branch of another name", `["null",{"type":"record","name":"S","fields":[]}]`, rec(``), "no branch of the reader's union reads the writer's R", 0},
	{"branches of one short name", `["null",{"type":"record","name":"x.R","fields":[{"name":"a","type":"int"}]},{"type":"record","name":"y.R","fields":[]}]`, rec(``), "", twmbDiffers},

	{"recursive", chain(`"long"`), chain(`"int"`), "", 0},
	{"recursive and narrower", chain(`"int"`), chain(`"long"`), "at v: long cannot be read as int", 0},
	{"decimals", `{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}`, `{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}`, "", twmbDiffers},
	{"logical type", `{"type":"long","logicalType":"timestamp-micros"}`, `{"type":"long","logicalType":"timestamp-millis"}`, "", 0},
}

func TestReads(t *testing.T) {
	for _, c := range compatCases {
		got := ""
		if err := compile(t, c.reader).Reads(compile(t, c.writer)); err != nil {
			got = err.Error()
		}
		if got != c.problem {
			t.Errorf("%s: got %q, want %q", c.name, got, c.problem)
		}
		if ok, listed := hambaReads(c.reader, c.writer), c.apart&hambaDiffers != 0; listed == (ok == (c.problem == "")) {
			t.Errorf("%s: hamba says %v, which is listed as a difference: %v", c.name, ok, listed)
		}
		if ok, listed := twmbReads(c.reader, c.writer), c.apart&twmbDiffers != 0; listed == (ok == (c.problem == "")) {
			t.Errorf("%s: twmb says %v, which is listed as a difference: %v", c.name, ok, listed)
		}
	}
}

func hambaReads(reader, writer string) bool {
	r, err := hamba.ParseWithCache(reader, "", new(hamba.SchemaCache))
	if err != nil {
		return false
	}
	w, err := hamba.ParseWithCache(writer, "", new(hamba.SchemaCache))
	return err == nil && hamba.NewSchemaCompatibility().Compatible(r, w) == nil
}

func twmbReads(reader, writer string) bool {
	r, err := twmb.Parse(reader)
	if err != nil {
		return false
	}
	w, err := twmb.Parse(writer)
	return err == nil && twmb.CheckCompatibility(w, r) == nil
}

// A success that depends on a pair of types that fails later is no success. The reader's x.A and
// the writer's A refer to themselves by B. While x.A is compared, B passes, because x.A is
// assumed to pass; then z fails. The union takes y.A instead, but v is a B. Java's library, which
// remembers that B has passed, calls these compatible.
func TestReadsForgetsWhatWasAssumed(t *testing.T) {
	const b = `{"type":"record","name":"B","fields":[{"name":"a","type":["null","A"]}]}`
	a := func(z string) string {
		return `"fields":[{"name":"b","type":` + b + `},{"name":"z","type":` + z + `}]}`
	}
	writer := compile(t, rec(`{"name":"u","type":{"type":"record","name":"A",`+a(`"long"`)+`},{"name":"v","type":"B"}`))
	reader := compile(t, rec(`{"name":"u","type":[{"type":"record","name":"x.A",`+a(`"int"`)+`,{"type":"record","name":"y.A","fields":[]}]},{"name":"v","type":"x.B"}`))
	const want = "no branch of the reader's union reads the writer's A"
	if err := reader.Reads(writer); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Long unions in another order, of records with one short name, need a comparison of each pair of
// branches.
func TestReadsIsBounded(t *testing.T) {
	testkit.Long(t)
	var fields strings.Builder
	for i := range 4 {
		fmt.Fprintf(&fields, `%s{"name":"u%d","type":[`, comma(i), i)
		for k := range maxBranches {
			fmt.Fprintf(&fields, `%s{"type":"record","name":"n%d_%d.R","fields":[{"name":"f%d","type":"int"}]}`, comma(k), i, k, k)
		}
		fields.WriteString(`]}`)
	}
	up, down := compile(t, rec(fields.String())), compile(t, rec(fields.String()))
	if err := up.Reads(down); err != errComparisons {
		t.Errorf("got %v", err)
	}
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}
