package reader

import (
	"strings"

	"millrace/codec"
	"millrace/internal/apierr"
)

// Show is the form of the records of a read.
type Show struct {
	// Headers and Timestamps add those members to each record.
	Headers, Timestamps bool
	// Layout is the order of a record's members.
	Layout codec.Layout
	// Dialect is how values with a schema are written.
	Dialect codec.Dialect
}

// Extras returns the form for the encoder; records are decoded by s, which is nil where they need
// no schema.
func (o Show) Extras(s *Schemas) codec.Extras {
	x := codec.Extras{Layout: o.Layout, Headers: o.Headers, Timestamp: o.Timestamps, Dialect: o.Dialect}
	if s != nil {
		x.Schemas = s.Get
	}
	return x
}

// ParseFormat returns the record format of that name.
func ParseFormat(name string) (codec.Format, error) {
	f, ok := codec.ParseFormat(strings.ToLower(name))
	if !ok {
		return 0, apierr.Unprocessable.New("Unknown format %q: a consumer's format is binary, json, avro, jsonschema or protobuf.", name)
	}
	return f, nil
}
