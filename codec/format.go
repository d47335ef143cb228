package codec

// Format is an embedded format: how keys and values appear in requests and responses.
type Format uint8

// The formats of the v2 API.
const (
	Binary Format = iota // base64 text; the default of a consumer instance
	JSON
	Avro
	JSONSchema
	Protobuf
)

var formatNames = [...]string{Binary: "binary", JSON: "json", Avro: "avro", JSONSchema: "jsonschema", Protobuf: "protobuf"}

// String returns the format's name as it stands in media types and settings.
func (f Format) String() string { return formatNames[f] }

// NeedsSchema reports whether the format works only with a schema registry.
func (f Format) NeedsSchema() bool { return f >= Avro }

// ParseFormat returns the format of that name; ok is false when there is none.
func ParseFormat(name string) (f Format, ok bool) {
	for i, n := range formatNames {
		if n == name {
			return Format(i), true
		}
	}
	return 0, false
}
