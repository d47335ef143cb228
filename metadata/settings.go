package metadata

import "time"

// Settings of the metadata cache.
type Settings struct {
	// MaxAge is how old an answer about topics, partitions or brokers may be.
	MaxAge time.Duration
	// Timeout bounds one look-up at the brokers.
	Timeout time.Duration
	// CreateTopics lets a first produce to an unknown topic create it, where the broker allows that too.
	CreateTopics bool
}

// DefaultSettings returns what suits most clusters. Fields of [Settings] that
// are not above zero mean these, CreateTopics apart.
func DefaultSettings() Settings {
	return Settings{MaxAge: 2 * time.Second, Timeout: 10 * time.Second, CreateTopics: true}
}

func (s Settings) withDefaults() Settings {
	d := DefaultSettings()
	if s.MaxAge <= 0 {
		s.MaxAge = d.MaxAge
	}
	if s.Timeout <= 0 {
		s.Timeout = d.Timeout
	}
	return s
}
