package codec

// Dialect is how values are written that JSON has no type for.
type Dialect uint8

const (
	// Tagged is each format's own JSON encoding, which every client of the
	// Confluent proxy knows: Avro unions as {"string":"s"}, bytes as Latin-1.
	Tagged Dialect = iota
	// Plain is what people write by hand: "s" where only one branch of a union
	// fits, decimals as numbers, times as ISO 8601. It differs for Avro only.
	Plain
)

// ParseDialect returns the dialect of that name, "tagged" or "plain".
func ParseDialect(name string) (d Dialect, ok bool) {
	switch name {
	case "tagged":
		return Tagged, true
	case "plain":
		return Plain, true
	}
	return 0, false
}

// Schema converts between the JSON of requests and responses and the bytes that stand behind a
// schema's id in Kafka. An implementation is immutable and may be used by any number of
// goroutines. Avro's allocates nothing for a record that fits the schema; those of JSON Schema
// and Protobuf use libraries that allocate.
type Schema interface {
	// AppendEncoded appends the bytes of text to dst. The text is one valid JSON value without
	// insignificant white space, as [json.Walker.Value] returns it; it is borrowed. A text that
	// does not fit the schema is a [*Mismatch]; one that costs more than b has left is
	// [ErrOverBudget]; dst's contents behind its length are undefined then. AppendEncoded spends
	// the effort of b; of the bytes it only sees to it that it appends not many more. b may be
	// nil, see [Budget.Left].
	AppendEncoded(dst, text []byte, d Dialect, b *Budget) ([]byte, error)
	// AppendDecoded appends the JSON text of payload, which is borrowed, to dst: valid, compact
	// JSON. Bytes that are not of this schema, and bytes behind its value, are an error.
	AppendDecoded(dst, payload []byte, d Dialect) ([]byte, error)
}

// Registered is a schema with the id under which its records are written. The
// zero value stands for "none".
type Registered struct {
	ID int32
	Schema
}

// SplitSchema is a schema with several types, where a payload begins with its type.
type SplitSchema interface {
	Schema
	// AppendSplit is AppendDecoded for a payload whose type stands elsewhere: in kind.
	AppendSplit(dst, kind, payload []byte) ([]byte, error)
}
