//go:build !race

package avro

import (
	"fmt"
	"strings"
	"testing"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/pool"
)

// A request of a few bytes must not become more than the memory that it may have,
// though each of its records alone is fine.
func TestRequestBudget(t *testing.T) {
	const most = 4 << 20
	str := func(size int) string {
		return `{"type":"record","name":"R","fields":[{"name":"s","type":"string","default":"` + strings.Repeat("x", size) + `"}]}`
	}
	for _, c := range []struct {
		name, schema, value string
		records             int
		d                   codec.Dialect
		fits                int // records that fit
	}{
		{"large defaults", str(900_000), `{}`, 150, codec.Plain, 1},
		{"defaults", str(1000), `{}`, 50_000, codec.Plain, 1000},
		{"long decimals", `{"type":"array","items":{"type":"fixed","name":"F","size":100,"logicalType":"decimal","precision":9,"scale":0}}`, "[" + strings.Repeat("0,", 9999) + "0]", 20, codec.Plain, 1},
		{"long texts", `"string"`, `"` + strings.Repeat("x", 1<<20) + `"`, 10, codec.Tagged, 3},
		{"wide numbers", `{"type":"array","items":"double"}`, "[" + strings.Repeat("0,", 1<<18) + "0]", 10, codec.Tagged, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			value := codec.Registered{ID: 1, Schema: compile(t, c.schema)}
			encode := func(slab *pool.Slab) (arena []byte, err error) {
				var b codec.Budget
				b.Begin(most)
				return codec.EncodeRecords(slab, nil, codec.Encoding{Value: value, Dialect: c.d, Budget: &b})
			}
			if _, err := encode(request(c.fits, c.value)); err != nil {
				t.Errorf("%d records: %v", c.fits, err)
			}
			slab := request(c.records, c.value)
			var arena []byte
			var err error
			bytes, took := measured(func() { arena, err = encode(slab) })
			if !apierr.BodyTooLarge.Is(err) || !strings.Contains(err.Error(), ": records[") || !strings.Contains(err.Error(), "].value: with it the request costs more") {
				t.Errorf("got %d bytes, %v", len(arena), err)
			}
			if bytes > 8*most || took > patience {
				t.Errorf("it took %v and %d MiB", took, bytes>>20)
			}
		})
	}
}

// The work for a text is bounded by its length, whatever the schema.
func TestEffortBudget(t *testing.T) {
	testkit.Long(t)
	wide := `{"type":"record","name":"R","fields":[` + repeated(15_000, func(i int) string { return fmt.Sprintf(`{"name":"f%d","type":"null","default":null}`, i) }) + `]}`
	enums := "[" + repeated(maxBranches, func(i int) string { return fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["S%d"]}`, i, i) }) + "]"
	decimals := "[" + repeated(300, func(i int) string {
		return fmt.Sprintf(`{"type":"fixed","name":"F%d","size":127,"logicalType":"decimal","precision":300,"scale":%d}`, i, i)
	}) + "]"
	records := "[" + repeated(300, func(i int) string {
		return fmt.Sprintf(`{"type":"record","name":"R%d","fields":[%s]}`, i, repeated(50, func(k int) string { return fmt.Sprintf(`{"name":"f%d_%d","type":"null","default":null}`, i, k) }))
	}) + "]"
	for _, c := range []struct{ name, items, value string }{
		{"fields that are missing", wide, `{}`},
		{"enums to choose from", enums, `"S499"`},
		{"decimals to choose from", decimals, strings.Repeat("1", 300)},
		{"records to choose from", records, `{"f299_1":null}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := compile(t, `{"type":"array","items":`+c.items+`}`)
			text := []byte("[" + strings.Repeat(c.value+",", 1<<18/len(c.value)) + c.value + "]")
			bytes, took := measured(func() {
				if _, err := s.AppendEncoded(nil, text, codec.Plain, nil); err == nil || !strings.Contains(err.Error(), "too costly") {
					t.Errorf("got %.200v", err)
				}
			})
			if took > patience || bytes > 64<<20 {
				t.Errorf("it took %v and %d MiB", took, bytes>>20)
			}
		})
	}
}

// A schema of a megabyte compiles in about a second, or is refused.
func TestCompileBudget(t *testing.T) {
	testkit.Long(t)
	enum := func(i int) string { return fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["A"]}`, i) }
	field := func(typ func(int) string) func(i int) string {
		return func(i int) string { return fmt.Sprintf(`{"name":"f%d","type":%s}`, i, typ(i)) }
	}
	record := func(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }
	long := strings.Repeat("x", 400_000)
	for _, c := range []struct{ name, schema, says string }{
		{"a union of enums", "[" + repeated(20_000, enum) + "]", "a union has 20000 branches; at most 500 are allowed"},
		{"a union in a record", record(field(func(int) string { return "[" + repeated(501, enum) + "]" })(0)), "a union has 501 branches; at most 500 are allowed"},
		{"the largest union", "[" + repeated(500, enum) + "]", ""},
		{"unions", record(field(func(int) string { return "[" + repeated(480, enum) + "]" })(0) + "," + repeated(250, func(i int) string {
			return fmt.Sprintf(`{"name":"g%d","type":[%s]}`, i, repeated(480, func(i int) string { return fmt.Sprintf(`"E%d"`, i) }))
		})), ""},
		{"types in a long namespace", `{"type":"record","name":"` + long + `.R","fields":[` + repeated(9000, field(enum)) + `]}`, errNames.Error()},
		{"names in a long namespace", `{"type":"record","name":"` + long + `.R","fields":[` + repeated(20_000, field(func(int) string { return `"R"` })) + `]}`, errNames.Error()},
		{"enums", record(repeated(13_000, field(enum))), ""},
		{"fields", record(repeated(22_000, func(i int) string { return fmt.Sprintf(`{"name":"f%d","type":"int","default":1}`, i) })), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			bytes, took := measured(func() { _, err = Compile(c.schema, nil) })
			if got := fmt.Sprint(err); (c.says == "") != (err == nil) || err != nil && got != c.says {
				t.Errorf("got %.200s", got)
			}
			if took > patience || bytes > 512<<20 {
				t.Errorf("%d bytes took %v and %d MiB", len(c.schema), took, bytes>>20)
			}
		})
	}
	spaces := record(repeated(5000, field(func(i int) string { return fmt.Sprintf(`{"type":"record","name":"n%d.Q","fields":[]}`, i) })))
	references := []Reference{{"plain", `{"type":"record","name":"P","fields":[` + repeated(5000, field(enum)) + `]}`}}
	_, took := measured(func() {
		if _, err := Compile(spaces, references); err == nil || err.Error() != errNames.Error() {
			t.Errorf("got %.200v", err)
		}
	})
	if took > patience {
		t.Errorf("names without a namespace among many took %v", took)
	}
}
