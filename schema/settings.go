package schema

import (
	"crypto/tls"
	"time"
)

// Settings of the registry client.
type Settings struct {
	// URLs of the registry, in order from the one that responded last; none: schema formats are
	// refused. A user and password in a URL are for that URL.
	URLs []string
	// User and Password are for basic authentication at all URLs, BearerToken is for bearer
	// authentication; at most one of the two is set.
	User, Password, BearerToken string
	// TLS is for https URLs; nil means the system's certificates.
	TLS *tls.Config
	// Timeout bounds one look-up with all its retries.
	Timeout time.Duration
	// AutoRegister registers new texts (auto.register.schemas); without it they must be
	// registered already. UseLatest takes the latest schema of the subject in place of the text
	// (use.latest.version). Normalize makes the registry normalise texts (normalize.schemas).
	AutoRegister, UseLatest, Normalize bool
	// LatestTTL is how long a latest schema is cached as the latest; zero or less: forever.
	LatestTTL time.Duration
	// CheckSubject refuses an id that is not of the subject.
	CheckSubject bool
	// KeySubject and ValueSubject name subjects.
	KeySubject, ValueSubject SubjectName
	// CacheSize and CacheBytes bound the caches of Resolve and of ByID, each by itself: the
	// number of entries, and their memory with that of their schemas, as estimated from the
	// texts; 0 bytes mean 64 MiB.
	CacheSize, CacheBytes int
	// NegativeTTL is how long a negative answer is cached.
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

// subject returns the subject of a topic's keys or values; record is the name of their schema,
// which TopicName ignores.
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
