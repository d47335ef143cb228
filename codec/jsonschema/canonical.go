package jsonschema

import "millrace/codec/json"

// Canonical returns the text of a schema as Confluent's clients for Java register it: compact, with
// no escapes but those that JSON needs, its numbers as they are.
func Canonical(text string) string {
	compact, err := json.AppendCompact(nil, []byte(text))
	if err != nil {
		return text
	}
	return string(json.Rewrite(nil, compact, func(dst, number []byte) []byte { return append(dst, number...) }))
}
