package schema

import (
	"crypto/tls"
	"time"
)

// Settings of the registry client.
type Settings struct {
	// URLs of the registry, tried in order; none: schema formats are refused.
	URLs []string
	// User and Password are for basic authentication, BearerToken for the other
	// kind; at most one of the two is set.
	User, Password, BearerToken string
	// TLS is for https URLs; nil means the system's certificates.
	TLS *tls.Config
	// Timeout bounds one look-up with all its tries.
	Timeout time.Duration
	// AutoRegister registers texts that are new (auto.register.schemas); else
	// they must be known. UseLatest takes the latest schema of the subject in
	// place of the text (use.latest.version). Normalize has the registry
	// normalise texts (normalize.schemas).
	AutoRegister, UseLatest, Normalize bool
	// CheckSubject refuses an id that is not of the subject.
	CheckSubject bool
	// KeySubject and ValueSubject name subjects.
	KeySubject, ValueSubject SubjectName
	// CacheSize bounds the schemas that are kept, NegativeTTL how long it is
	// remembered that something does not exist.
	CacheSize   int
	NegativeTTL time.Duration
}

// SubjectName is a subject name strategy.
type SubjectName uint8

// The strategies of Confluent's serializers.
const (
	TopicName       SubjectName = iota // TOPIC-key, TOPIC-value
	RecordName                         // the full name of the record or message
	TopicRecordName                    // TOPIC-RECORD
)
