package schema

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/internal/apierr"
)

// Named is a schema as one record names it: by its text, its id, or its version, under a subject.
type Named struct {
	// Format is that of the text, or the format that the schema of the id or version must have;
	// with AnyFormat it may have any.
	Format    codec.Format
	AnyFormat bool
	Topic     string
	Key       bool // of the key, not the value
	// Subject, if not empty, is borrowed. Else Strategy makes it, one of Confluent's names in
	// capitals, or, if that is empty too, the strategy of the settings.
	Subject, Strategy []byte
	Text              []byte // borrowed; nil: none
	ID, Version       int32  // 0: none; without text and id, version 0 is the latest
}

// Located is a schema with what identifies it at the registry.
type Located struct {
	codec.Registered
	Format  codec.Format
	Subject string
	Version int32
}

// strategies are the names of [SubjectName] in the v3 API.
var strategies = [...]string{TopicName: "TOPIC_NAME", RecordName: "RECORD_NAME", TopicRecordName: "TOPIC_RECORD_NAME"}

// NamesTopic reports whether n leaves the subject to the settings, or names its topic's.
func (n *Named) NamesTopic() bool {
	return (len(n.Subject) == 0 || string(n.Subject) == TopicName.subject(n.Topic, n.Key, "")) &&
		(len(n.Strategy) == 0 || string(n.Strategy) == strategies[TopicName])
}

// Locate is [Registry.Resolve] for records that name their schemas one by one.
func (r *Registry) Locate(ctx context.Context, n Named) (Located, error) {
	naming, err := r.strategy(n)
	if err != nil {
		return Located{}, err
	}
	q := question{
		named: true, any: n.AnyFormat, format: n.Format, key: n.Key, topic: n.Topic, id: n.ID, text: n.Text,
		naming: naming, subject: n.Subject, version: n.Version,
	}
	if e := r.wanted.lookup(&q); e != nil {
		return e.value.located(), e.err
	}
	found, err := r.load(ctx, r.wanted, &q, r.locate)
	return found.located(), err
}

func (r *Registry) strategy(n Named) (SubjectName, error) {
	if len(n.Strategy) == 0 {
		return r.naming(n.Key), nil
	}
	for s, name := range strategies {
		if name == string(n.Strategy) {
			return SubjectName(s), nil
		}
	}
	return 0, apierr.BadRequest.New("The subject_name_strategy %q is none of %s.", n.Strategy, strings.Join(strategies[:], ", "))
}

func (s *stored) located() Located {
	return Located{Registered: s.registered(), Format: s.format, Subject: s.subject, Version: s.version}
}

// locate answers a question of [Registry.Locate] from the registry.
func (r *Registry) locate(ctx context.Context, q *question) (stored, time.Duration, error) {
	switch {
	case len(q.text) > 0:
		s, err := r.locateText(ctx, q)
		return s, 0, err
	case q.id != 0:
		s, err := r.locateID(ctx, q)
		return s, 0, err
	}
	s, err := r.locateVersion(ctx, q)
	if q.version != 0 {
		return s, 0, err
	}
	return s, max(r.settings.LatestTTL, 0), err
}

// locateText is resolveText, and finds the version.
func (r *Registry) locateText(ctx context.Context, q *question) (stored, error) {
	s, err := r.resolveText(ctx, q)
	if err != nil {
		return stored{}, err
	}
	if s.subject, err = r.subject(q, s.schema); err != nil {
		return stored{}, err
	}
	found, err := r.find(ctx, s.subject, q)
	if err != nil {
		return stored{}, refused(err, "the schema for the subject "+s.subject)
	}
	s.version = int32(found.Version)
	return s, nil
}

// locateID finds the schema of an id, and its version under the subject.
func (r *Registry) locateID(ctx context.Context, q *question) (stored, error) {
	s, err := r.load(ctx, r.byID, &question{id: q.id}, r.fetch)
	if err != nil {
		return stored{}, err
	}
	if err := q.admits(s); err != nil {
		return stored{}, err
	}
	if s.subject, err = r.subject(q, s.schema); err != nil {
		return stored{}, err
	}
	s.version, err = r.versionOf(ctx, q.id, s.subject)
	return s, err
}

// locateVersion finds a version of the subject, or its latest.
func (r *Registry) locateVersion(ctx context.Context, q *question) (stored, error) {
	subject, err := r.subject(q, nil)
	if err != nil {
		return stored{}, err
	}
	version, what := -1, "the latest schema"
	if q.version != 0 {
		version, what = int(q.version), fmt.Sprintf("version %d", q.version)
	}
	var found sr.SubjectSchema
	err = r.client.call(ctx, func(ctx context.Context, c *sr.Client) (err error) {
		found, err = c.SchemaByVersion(ctx, subject, version)
		return err
	})
	if err != nil {
		return stored{}, refused(err, what+" of the subject "+subject)
	}
	id, err := checkID(found.ID)
	if err != nil {
		return stored{}, err
	}
	s, ok := r.known(id, subject)
	if !ok {
		if s, err = r.compile(ctx, id, found.Schema, subject); err != nil {
			return stored{}, err
		}
		s = r.share(s, subject, true)
	}
	s.subject, s.version = subject, int32(found.Version)
	return s, q.admits(s)
}

// admits refuses a schema that is not of the format that was asked for.
func (q *question) admits(s stored) error {
	if q.any {
		return nil
	}
	return fitting(s, q.format)
}
