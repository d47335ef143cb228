package registry

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/sr"
)

// version is a schema under a subject. It never changes once it is in the
// store: a change puts another one in its place.
type version struct {
	sr.SubjectSchema
	deleted bool // softly: it is still found by its id
	identity
}

// identity decides which texts are the same schema: exact is without the parts that a parser
// ignores, normal is also independent of order where that means nothing.
type identity struct {
	exact, normal string
}

// store is the state of the topic, in memory. Its methods take the lock; apply is called in the
// order of the topic.
type store struct {
	mu       sync.RWMutex
	subjects map[string][]*version // ascending by number, never empty
	configs  map[string]config     // "" is the global one
	modes    map[string]sr.Mode
	count    int // of versions
	lastID   int // the highest id ever given
}

func newStore() *store {
	return &store{
		subjects: map[string][]*version{},
		configs:  map[string]config{"": {Level: sr.CompatBackward}},
		modes:    map[string]sr.Mode{"": sr.ModeReadWrite},
	}
}

// apply makes a change that is in the topic.
func (s *store) apply(c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subject := ""
	if c.key.Subject != nil {
		subject = *c.key.Subject
	}
	switch v := c.value.(type) {
	case *schemaValue:
		s.put(newVersion(v))
	case *config:
		s.configs[subject] = *v
	case *modeValue:
		s.modes[subject] = v.Mode
	case *deleteValue:
		for _, old := range slices.Clone(s.subjects[v.Subject]) {
			if old.Version <= v.Version && !old.deleted {
				gone := *old
				gone.deleted = true
				s.put(&gone)
			}
		}
	case nil:
		s.remove(c.key.Kind, subject, c.key.Version)
	}
}

func newVersion(v *schemaValue) *version {
	out := &version{deleted: v.Deleted, SubjectSchema: sr.SubjectSchema{
		Subject: v.Subject, Version: v.Version, ID: v.ID,
		Schema: sr.Schema{Schema: v.Schema, References: v.References, SchemaMetadata: v.Metadata, SchemaRuleSet: v.RuleSet},
	}}
	_ = out.Type.UnmarshalText([]byte(v.Type)) // the text of an unknown type is kept as it is
	out.identity = identify(out.Schema)
	out.GUID = out.guid()
	return out
}

// value is the record of v.
func (v *version) value(deleted bool) *schemaValue {
	out := &schemaValue{
		Subject: v.Subject, Version: v.Version, ID: v.ID, Schema: v.Schema.Schema,
		References: v.References, Metadata: v.SchemaMetadata, RuleSet: v.SchemaRuleSet, Deleted: deleted,
	}
	if v.Type != sr.TypeAvro {
		out.Type = v.Type.String()
	}
	return out
}

func (s *store) put(v *version) {
	all := s.subjects[v.Subject]
	i, found := slices.BinarySearchFunc(all, v.Version, byNumber)
	if found {
		all[i] = v
	} else {
		all = slices.Insert(all, i, v)
		s.count++
	}
	s.subjects[v.Subject] = all
	s.lastID = max(s.lastID, v.ID)
}

func (s *store) remove(kind, subject string, number int) {
	switch kind {
	case configRecord:
		delete(s.configs, subject)
		if subject == "" {
			s.configs[""] = config{Level: sr.CompatBackward}
		}
	case modeRecord:
		delete(s.modes, subject)
		if subject == "" {
			s.modes[""] = sr.ModeReadWrite
		}
	case schemaRecord:
		all := s.subjects[subject]
		i, found := slices.BinarySearchFunc(all, number, byNumber)
		if !found {
			return
		}
		s.count--
		if all = slices.Delete(all, i, i+1); len(all) > 0 {
			s.subjects[subject] = all
		} else {
			delete(s.subjects, subject)
		}
	}
}

func byNumber(v *version, number int) int { return cmp.Compare(v.Version, number) }

// scope selects the versions that a look-up sees.
type scope uint8

const (
	live    scope = iota // not deleted
	all                  // softly deleted ones too
	deleted              // softly deleted ones only
)

func (sc scope) sees(v *version) bool { return sc == all || v.deleted == (sc == deleted) }

// versions returns the versions of a subject, ascending.
func (s *store) versions(subject string, sc scope) []*version {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*version
	for _, v := range s.subjects[subject] {
		if sc.sees(v) {
			out = append(out, v)
		}
	}
	return out
}

// everything returns all versions of subjects with a prefix, by subject and
// number.
func (s *store) everything(prefix string, sc scope) []*version {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*version
	for _, subject := range slices.Sorted(maps.Keys(s.subjects)) {
		if !strings.HasPrefix(subject, prefix) {
			continue
		}
		for _, v := range s.subjects[subject] {
			if sc.sees(v) {
				out = append(out, v)
			}
		}
	}
	return out
}

// find returns a version, or nil.
func (s *store) find(subject string, number int, sc scope) *version {
	for _, v := range s.versions(subject, sc) {
		if v.Version == number {
			return v
		}
	}
	return nil
}

// withID returns the versions with an id, by subject and number; deleted versions too, because
// the records that were written with them still exist.
func (s *store) withID(id int) []*version {
	return slices.DeleteFunc(s.everything("", all), func(v *version) bool { return v.ID != id })
}

// referencing returns the live versions that refer to one.
func (s *store) referencing(subject string, number int, sc scope) []*version {
	return slices.DeleteFunc(s.everything("", sc), func(v *version) bool {
		return !slices.ContainsFunc(v.References, func(r sr.SchemaReference) bool {
			return r.Subject == subject && r.Version == number
		})
	})
}

// config returns the configuration that applies to a subject; own is false when it is the global
// one. A configuration of Confluent's registry may leave the level to the global one, and that to
// the default.
func (s *store) config(subject string) (c config, own bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, own = s.configs[subject]
	if !own {
		c = s.configs[""]
	}
	c.Level = cmp.Or(c.Level, s.configs[""].Level, sr.CompatBackward)
	return c, own
}

// mode is like config.
func (s *store) mode(subject string) (m sr.Mode, own bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, own = s.modes[subject]
	if !own {
		m = s.modes[""]
	}
	return m, own
}

// size is the number of versions and the highest id that was given.
func (s *store) size() (count, lastID int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.count, s.lastID
}
