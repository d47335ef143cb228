package avro

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/lab"
	"millrace/pool"
)

// patience is how much processor time something may take that should take about a
// second: it may be a slow machine, and -race.
var patience = 10 * time.Second

func init() {
	if pool.Checked { // with the race detector, which costs several times as much
		patience *= 4
	}
}

// repeated joins n texts.
func repeated(n int, text func(i int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = text(i)
	}
	return strings.Join(parts, ",")
}

// measured returns the bytes that f allocates in all, and the processor time that it takes.
func measured(f func()) (bytes uint64, took time.Duration) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := lab.ProcessCPU()
	f()
	took = lab.ProcessCPU() - start
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, took
}

// request is a slab with the text as the value of each of n records.
func request(n int, text string) *pool.Slab {
	var slab pool.Slab
	for range n {
		slab.Add().Value = []byte(text)
	}
	return &slab
}

// A request of a few bytes must not become more than the memory that it may have,
// though each of its records alone is fine.
func TestRequestIsBounded(t *testing.T) {
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

// The arena's growth is reported as it grows, and may be refused; at the end the records view one
// arena, however many were outgrown.
func TestArenaGrows(t *testing.T) {
	value := codec.Registered{ID: 1, Schema: compile(t, `"string"`)}
	told := 0
	b := codec.Budget{Grown: func(capacity int) error { told = capacity; return nil }}
	b.Begin(1 << 20)
	slab := request(1000, `"0123456789"`)
	slab.Records[7].Key = []byte(`"k"`)
	slab.Records[8].Value = nil
	arena, err := codec.EncodeRecords(slab, []byte("before"), codec.Encoding{Key: value, Value: value, Budget: &b})
	if err != nil || told != cap(arena) || b.Bytes != 1<<20-len(arena)+len("before") {
		t.Fatalf("%d bytes of %d, told %d, %d left, %v", len(arena), cap(arena), told, b.Bytes, err)
	}
	at := len("before")
	for i, r := range slab.Records {
		for _, half := range [][]byte{r.Key, r.Value} {
			if half == nil {
				continue
			}
			if &half[0] != &arena[at] || cap(half) != len(half) {
				t.Fatalf("record %d is not at %d of the arena", i, at)
			}
			at += len(half)
		}
		if want := "\x00\x00\x00\x00\x01\x140123456789"; i != 8 && string(r.Value) != want {
			t.Fatalf("record %d is %q", i, r.Value)
		}
	}
	if k := slab.Records[7].Key; string(k) != "\x00\x00\x00\x00\x01\x02k" || slab.Records[8].Value != nil {
		t.Errorf("got %q and %q", k, slab.Records[8].Value)
	}
	refused := apierr.Overloaded.Err()
	b = codec.Budget{Grown: func(int) error { return refused }}
	b.Begin(1 << 20)
	if _, err := codec.EncodeRecords(request(1, `"x"`), nil, codec.Encoding{Value: value, Budget: &b}); !apierr.Overloaded.Is(err) {
		t.Error(err)
	}
}

// The work for a text is bounded by its length, whatever the schema.
func TestEffortIsBounded(t *testing.T) {
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

// Of many branches the tag is looked up, not compared with each.
func TestManyBranches(t *testing.T) {
	s := compile(t, "["+repeated(maxBranches, func(i int) string { return fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["A"]}`, i) })+"]")
	for _, at := range []int{0, fewBranches - 1, fewBranches, maxBranches - 1} {
		text := fmt.Sprintf(`{"E%d":"A"}`, at)
		for _, d := range []codec.Dialect{codec.Tagged, codec.Plain} {
			b, err := s.AppendEncoded(nil, []byte(text), d, nil)
			if want := append(appendLong(nil, int64(at)), 0); err != nil || string(b) != string(want) {
				t.Errorf("%s: got %x, %v, want %x", text, b, err, want)
			}
		}
	}
	if _, err := s.AppendEncoded(nil, []byte(`{"E500":"A"}`), codec.Tagged, nil); err == nil || !strings.HasSuffix(err.Error(), `got the branch "E500"`) {
		t.Error(err)
	}
}

// A schema of a megabyte compiles in about a second, or is refused.
func TestCompileIsBounded(t *testing.T) {
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

// A schema's types are not called like primitive ones, nor by their aliases, as in Java.
func TestTypeNames(t *testing.T) {
	for _, c := range []struct{ schema, says string }{
		{`{"type":"record","name":"int","fields":[]}`, "a type cannot have the name int, which is that of a primitive type"},
		{`{"type":"enum","name":"string","symbols":["A"]}`, "a type cannot have the name string, which is that of a primitive type"},
		{`{"type":"fixed","name":"null","size":1}`, "a type cannot have the name null, which is that of a primitive type"},
		{`{"type":"record","name":"A","aliases":["B"],"fields":[{"name":"n","type":["null","B"]}]}`, "unknown type: B"},
	} {
		if _, err := Compile(c.schema, nil); err == nil || err.Error() != c.says {
			t.Errorf("%s: got %v, want %s", c.schema, err, c.says)
		}
	}
	compile(t, `{"type":"record","name":"n.int","fields":[{"name":"i","type":"int"}]}`)
	compile(t, `{"type":"record","name":"record","fields":[]}`)
}
