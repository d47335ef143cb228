package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/internal/apierr"
)

// resolve answers a [Wanted] from the registry.
func (r *Registry) resolve(ctx context.Context, q *question) (stored, time.Duration, error) {
	switch {
	case q.id != 0:
		s, err := r.resolveID(ctx, q)
		return s, 0, err
	case r.settings.UseLatest:
		s, err := r.resolveLatest(ctx, q)
		if s.schema == nil && err == nil { // the subject has none yet
			return s, r.negativeTTL(), nil
		}
		return s, max(r.settings.LatestTTL, 0), err
	default:
		s, err := r.resolveText(ctx, q)
		return s, 0, err
	}
}

// resolveText finds the id of a text under its subject, and registers it there if that is allowed
// and needed. It looks the text up first, because the right to read is enough for that.
func (r *Registry) resolveText(ctx context.Context, q *question) (stored, error) {
	s, err := r.formats.compile(q.format, string(q.text), nil)
	if err != nil {
		return stored{}, err
	}
	subject, err := r.subject(q, s.schema)
	if err != nil {
		return stored{}, err
	}
	if s.id, err = r.idOf(ctx, subject, q); err != nil {
		return stored{}, err
	}
	return r.share(s, subject, !r.settings.Normalize), nil
}

// share returns the cached schema with the id of s, so that the same schema of many subjects is
// in memory once; else it returns s, and caches it if it is exactly as the registry has it: a
// text that the registry was asked to normalise may differ. The subject is that of s.
func (r *Registry) share(s stored, subject string, exact bool) stored {
	if known, ok := r.known(s.id, subject); ok && known.format == s.format {
		return known
	}
	if exact && !namesContext(subject) {
		r.byID.put(&entry{question: question{id: s.id}, value: s})
	}
	return s
}

// known returns the cached schema with an id that was found under the subject.
func (r *Registry) known(id int32, subject string) (s stored, ok bool) {
	if namesContext(subject) {
		return stored{}, false
	}
	if e := r.byID.get(&question{id: id}); e != nil && e.err == nil {
		return e.value, true
	}
	return stored{}, false
}

// namesContext reports whether a subject has its context in front, :.CONTEXT:SUBJECT. Each context
// of a registry has ids of its own, and [Registry.ByID] knows those of the URL's only.
func namesContext(subject string) bool { return strings.HasPrefix(subject, ":.") }

// contextOf returns the context in front of a subject, :.CONTEXT:, or "".
func contextOf(subject string) string {
	if end := strings.IndexByte(subject[min(1, len(subject)):], ':'); end >= 0 && namesContext(subject) {
		return subject[:end+2]
	}
	return ""
}

func (r *Registry) idOf(ctx context.Context, subject string, q *question) (int32, error) {
	found, err := r.find(ctx, subject, q)
	if isMissing(err) {
		if !r.settings.AutoRegister {
			return 0, apierr.RegistryRefused.Wrap(err, "The schema is not registered under the subject %s, and this node does not register schemas.", subject)
		}
		err = r.client.call(r.normalizing(ctx), func(ctx context.Context, c *sr.Client) (err error) {
			found.ID, err = c.RegisterSchema(ctx, subject, r.canonical(q), -1, -1)
			return err
		})
	}
	if err != nil {
		return 0, refused(err, "the schema for the subject "+subject)
	}
	return checkID(found.ID)
}

// canonical returns the text of q as Java would register it: to some registries (Apicurio) another
// spelling is another schema.
func (r *Registry) canonical(q *question) sr.Schema {
	f := &r.formats[q.format]
	return sr.Schema{Schema: f.canonical(string(q.text)), Type: f.kind}
}

// find looks the text of q up under the subject, as Java spells it, and else as it was sent: a
// schema that was registered by other ways has its own spelling.
func (r *Registry) find(ctx context.Context, subject string, q *question) (sr.SubjectSchema, error) {
	s := r.canonical(q)
	found, err := r.lookUp(ctx, subject, s)
	if isMissing(err) && s.Schema != string(q.text) {
		s.Schema = string(q.text)
		return r.lookUp(ctx, subject, s)
	}
	return found, err
}

func (r *Registry) lookUp(ctx context.Context, subject string, s sr.Schema) (found sr.SubjectSchema, err error) {
	err = r.client.call(r.normalizing(ctx), func(ctx context.Context, c *sr.Client) (err error) {
		found, err = c.LookupSchema(ctx, subject, s)
		return err
	})
	return found, err
}

// normalizing makes the registry normalise the texts of a call, if the settings have that.
func (r *Registry) normalizing(ctx context.Context) context.Context {
	if r.settings.Normalize {
		return sr.WithParams(ctx, sr.Normalize)
	}
	return ctx
}

// checkID refuses an id that cannot stand in front of a record.
func checkID(id int) (int32, error) {
	if id <= 0 || int(int32(id)) != id {
		return 0, apierr.RegistryFailed.New("The schema registry returned the id %d, which no schema has.", id)
	}
	return int32(id), nil
}

// resolveID finds the schema of an id and checks it against q.
func (r *Registry) resolveID(ctx context.Context, q *question) (stored, error) {
	s, err := r.load(ctx, r.byID, &question{id: q.id}, r.fetch)
	if err != nil {
		return stored{}, err
	}
	if err := fitting(s, q.format); err != nil {
		return stored{}, err
	}
	if r.settings.CheckSubject {
		subject, err := r.subject(q, s.schema)
		if err != nil {
			return stored{}, err
		}
		if err := r.checkSubject(ctx, q.id, subject); err != nil {
			return stored{}, err
		}
	}
	return s, nil
}

func fitting(s stored, f codec.Format) error {
	if s.format != f {
		return apierr.RegistryRefused.New("The schema %d is for the format %s, not %s.", s.id, s.format, f)
	}
	return nil
}

// checkSubject refuses an id that is not of the subject.
func (r *Registry) checkSubject(ctx context.Context, id int32, subject string) error {
	_, err := r.versionOf(ctx, id, subject)
	return err
}

// versionOf returns the version under a subject of the schema with an id, and refuses an id that is
// not of the subject. It asks for versions, because not every registry (Apicurio) can be asked for
// subjects. A registry may return the context in front of the name, :.CONTEXT:SUBJECT, where its
// URL names one.
func (r *Registry) versionOf(ctx context.Context, id int32, subject string) (int32, error) {
	var versions []sr.SubjectVersion
	err := r.client.call(ctx, func(ctx context.Context, c *sr.Client) (err error) {
		versions, err = c.SchemaVersionsByID(ctx, int(id))
		return err
	})
	if err != nil {
		return 0, refused(err, fmt.Sprintf("the schema id %d", id))
	}
	at := slices.IndexFunc(versions, func(v sr.SubjectVersion) bool {
		return v.Subject == subject || strings.TrimPrefix(v.Subject, contextOf(v.Subject)) == subject
	})
	if at < 0 {
		return 0, apierr.RegistryRefused.New("The schema %d is not of the subject %s.", id, subject)
	}
	return int32(versions[at].Version), nil
}

// resolveLatest finds the newest schema of the subject; a text only helps to name the subject.
func (r *Registry) resolveLatest(ctx context.Context, q *question) (stored, error) {
	var named stored
	if len(q.text) > 0 {
		var err error
		if named, err = r.formats.compile(q.format, string(q.text), nil); err != nil {
			return stored{}, err
		}
	}
	subject, err := r.subject(q, named.schema)
	if err != nil {
		return stored{}, err
	}
	var latest sr.SubjectSchema
	err = r.client.call(ctx, func(ctx context.Context, c *sr.Client) (err error) {
		latest, err = c.SchemaByVersion(ctx, subject, -1)
		return err
	})
	if isMissing(err) && named.schema == nil {
		return stored{}, nil // records without keys need no schema of keys
	}
	if err != nil {
		return stored{}, refused(err, "the latest schema of the subject "+subject)
	}
	id, err := checkID(latest.ID)
	if err != nil {
		return stored{}, err
	}
	if s, ok := r.known(id, subject); ok {
		return s, fitting(s, q.format)
	}
	s, err := r.compile(ctx, id, latest.Schema, subject)
	if err != nil {
		return stored{}, err
	}
	return r.share(s, subject, true), fitting(s, q.format)
}

// subject returns the subject of q's schema; s may be nil where the schema is not known yet.
func (r *Registry) subject(q *question, s compiled) (string, error) {
	strategy := r.naming(q.key)
	if q.named {
		strategy = q.naming
	}
	if len(q.subject) > 0 {
		return string(q.subject), nil
	}
	if strategy == TopicName {
		return strategy.subject(q.topic, q.key, ""), nil
	}
	if s == nil {
		return "", apierr.Unprocessable.New("The subject has the name of the record, so a schema must come with the request.")
	}
	name := s.Name()
	if name == "" {
		return "", apierr.InvalidSchema.New("The schema has no name, which its subject would be named after.")
	}
	return strategy.subject(q.topic, q.key, name), nil
}
