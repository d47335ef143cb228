package schema

import (
	"crypto/tls"
	"time"
)

// Settings of the registry client.
type Settings struct {
	// URLs of the registry, tried from the one that answered last; none: schema
	// formats are refused.
	// A user and password in a URL are for that URL.
	URLs []string
	// User and Password are for basic authentication at all URLs, BearerToken
	// is for the other kind; at most one of the two is set.
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
	// LatestTTL is how long a latest schema is taken to be the latest; zero or
	// less: for ever.
	LatestTTL time.Duration
	// CheckSubject refuses an id that is not of the subject.
	CheckSubject bool
	// KeySubject and ValueSubject name subjects.
	KeySubject, ValueSubject SubjectName
	// CacheSize and CacheBytes bound the answers that are kept, of those to
	// Resolve and again of those to ByID: their number, and the memory that they
	// and their schemas take, as far as it can be told from their texts; 0 bytes
	// mean 64 MiB.
	CacheSize, CacheBytes int
	// NegativeTTL is how long it is remembered that something does not exist.
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

// subject returns the subject of a topic's keys or values; record is the name
// of their schema, which TopicName does not look at.
func (n SubjectName) subject(topic string, key bool, record string) string {
	switch {
	case n == RecordName:
		return record
	case n == TopicRecordName:
		return topic + "-" + record
	case key:
		return topic + "-key"
	default:
		return topic + "-value"
	}
}
