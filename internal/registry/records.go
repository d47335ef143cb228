package registry

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec/json"
)

// The kinds of records in the topic, as Confluent's registry writes them, so that either registry
// can continue with the other's topic.
const (
	schemaRecord  = "SCHEMA"
	configRecord  = "CONFIG"
	modeRecord    = "MODE"
	subjectDelete = "DELETE_SUBJECT"
)

// recordKey is the key of a record. Subject is nil for global settings.
type recordKey struct {
	Kind    string  `json:"keytype"`
	Subject *string `json:"subject"`
	Version int     `json:"version,omitempty"`
	Magic   int     `json:"magic"`
}

// schemaValue is the value of a SCHEMA record.
type schemaValue struct {
	Subject    string               `json:"subject"`
	Version    int                  `json:"version"`
	ID         int                  `json:"id"`
	Type       string               `json:"schemaType,omitempty"` // absent for Avro
	References []sr.SchemaReference `json:"references,omitempty"`
	Metadata   *sr.SchemaMetadata   `json:"metadata,omitempty"`
	RuleSet    *sr.SchemaRuleSet    `json:"ruleSet,omitempty"`
	Schema     string               `json:"schema"`
	Deleted    bool                 `json:"deleted"`
}

// config is the value of a CONFIG record, and the body of the API.
type config struct {
	Level     sr.CompatibilityLevel `json:"compatibilityLevel"`
	Normalize *bool                 `json:"normalize,omitempty"`
}

// modeValue is the value of a MODE record.
type modeValue struct {
	Mode sr.Mode `json:"mode"`
}

// deleteValue is the value of a DELETE_SUBJECT record: all versions up to this
// one are soft-deleted.
type deleteValue struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// change is one record: value nil deletes the key.
type change struct {
	key   recordKey
	value any
}

func schemaKey(subject string, number int) recordKey {
	return recordKey{Kind: schemaRecord, Subject: &subject, Version: number, Magic: 1}
}

// settingKey is the key of a configuration or mode; subject "" is the global one.
func settingKey(kind, subject string) recordKey {
	k := recordKey{Kind: kind}
	if subject != "" {
		k.Subject = &subject
	}
	return k
}

// encode returns the bytes of the record.
func (c change) encode() (key, value []byte, err error) {
	if key, err = json.Marshal(c.key); err != nil {
		return nil, nil, err
	}
	if c.value != nil {
		value, err = json.Marshal(c.value)
	}
	return key, value, err
}

// decodeChange decodes a record. An unknown kind has no value; Confluent's registry writes NOOP
// records, for example.
func decodeChange(key, value []byte) (c change, err error) {
	if err := json.Unmarshal(key, &c.key); err != nil {
		return c, fmt.Errorf("cannot read the key: %w", err)
	}
	if len(value) == 0 {
		return c, nil
	}
	switch c.key.Kind {
	case schemaRecord:
		c.value = new(schemaValue)
	case configRecord:
		c.value = new(config)
	case modeRecord:
		c.value = new(modeValue)
	case subjectDelete:
		c.value = new(deleteValue)
	default:
		return c, nil
	}
	if err := json.Unmarshal(value, c.value); err != nil {
		return c, fmt.Errorf("cannot read the value of a %s record: %w", c.key.Kind, err)
	}
	return c, nil
}
