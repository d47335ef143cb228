package metadata

import (
	"time"

	"millrace/internal/kafka"
)

// Settings of the metadata cache.
type Settings struct {
	// MaxAge bounds the age of an answer about topics, partitions or brokers. While clients query
	// it, it is refreshed in the background once it is half that old, or a second if that is
	// more.
	MaxAge time.Duration
	// StaleFor is how much older an answer may be while no broker responds, marked as stale; 0:
	// such queries are refused.
	StaleFor time.Duration
	// Timeout bounds one look-up at the brokers.
	Timeout time.Duration
	// MaxWait bounds the time that [Cache.Await] waits for an answer to change.
	MaxWait time.Duration
	// MaxWaiters bounds the callers that wait in [Cache.Await] or hold a [Watcher].
	MaxWaiters int
	// CreateTopics lets a first produce to an unknown topic create it, where the broker allows
	// that too.
	CreateTopics bool
	// Reserved are topics that are hidden: they are in no list, and a question
	// about one is refused as one that is not authorized.
	Reserved kafka.Reserved
}

// DefaultSettings returns settings that suit most clusters. Fields of [Settings] that are not
// above zero mean these, StaleFor and CreateTopics apart.
func DefaultSettings() Settings {
	return Settings{
		MaxAge: 2 * time.Second, StaleFor: 5 * time.Minute, Timeout: 10 * time.Second,
		MaxWait: 5 * time.Minute, MaxWaiters: 10_000, CreateTopics: true,
	}
}

func (s Settings) withDefaults() Settings {
	d := DefaultSettings()
	if s.MaxAge <= 0 {
		s.MaxAge = d.MaxAge
	}
	if s.Timeout <= 0 {
		s.Timeout = d.Timeout
	}
	if s.MaxWait <= 0 {
		s.MaxWait = d.MaxWait
	}
	if s.MaxWaiters <= 0 {
		s.MaxWaiters = d.MaxWaiters
	}
	return s
}

// askEvery is the interval at which pollers together may make the cache ask the brokers for one
// resource. A MaxAge below a second shortens it.
func (s *Settings) askEvery() time.Duration { return min(s.MaxAge, time.Second) }

// renewAfter is the age from which on a reader starts a refresh, in the background: early enough
// that few ever wait.
func (s *Settings) renewAfter() time.Duration { return max(s.MaxAge/2, s.askEvery()) }
