package cluster

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordUse labels the key of the records of the cluster's topic.
const recordUse = "millrace cluster.topic record v1"

// sealHeader is the record header that carries the MAC.
const sealHeader = "millrace-mac"

// DeriveKey returns the key that the secret has for one use (RFC 5869). Each
// use has a label of its own, so that a MAC of one is worth nothing in another.
func DeriveKey(secret, use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, use, sha256.Size)
	if err != nil {
		panic("BUG: a key of 32 bytes cannot be derived: " + err.Error())
	}
	return key
}

// sealer authenticates the records of the cluster's topic: a record that was not written by a
// node that knows the secret does not verify. Otherwise any client that may write the topic
// could announce itself as a node and be sent requests.
type sealer struct {
	key   []byte
	topic string
	id    [16]byte // Kafka's id of the topic; set before the first record
}

func newSealer(secret, topic string) *sealer {
	return &sealer{key: DeriveKey(secret, recordUse), topic: topic}
}

// seal sets the record's MAC.
func (s *sealer) seal(r *kgo.Record) *kgo.Record {
	r.Headers = []kgo.RecordHeader{{Key: sealHeader, Value: s.mac(r.Key, r.Value)}}
	return r
}

// verifies reports whether the record carries its MAC.
func (s *sealer) verifies(r *kgo.Record) bool {
	for _, h := range r.Headers {
		if h.Key == sealHeader {
			return hmac.Equal(h.Value, s.mac(r.Key, r.Value))
		}
	}
	return false
}

// mac covers the topic's name and id, the key and the value. A record of a topic
// that had the name before, or of another Kafka cluster, does not verify.
func (s *sealer) mac(key, value []byte) []byte {
	return MAC(s.key, []byte(s.topic), s.id[:], key, value)
}

// MAC returns the HMAC-SHA256 of the parts, each behind its length, so that no
// byte can move from one part to the next. nil has the length -1: a tombstone is
// not an empty value.
func MAC(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	var length [8]byte
	for _, part := range parts {
		n := int64(len(part))
		if part == nil {
			n = -1
		}
		binary.BigEndian.PutUint64(length[:], uint64(n))
		m.Write(length[:])
		m.Write(part)
	}
	return m.Sum(nil)
}
