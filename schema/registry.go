package schema

import (
	"cmp"
	"context"
	"log/slog"

	"millrace/codec"
	"millrace/internal/apierr"
)

// Registry looks schemas up and caches them, compiled. Any number of goroutines may use it.
type Registry struct {
	settings Settings
	log      *slog.Logger
	formats  formats
	client   *client

	wanted *cache // answers of Resolve
	byID   *cache // answers of ByID

	running context.Context // of look-ups; ends with Close
	end     context.CancelFunc
}

// stored is a schema of the registry; the zero value stands for none.
type stored struct {
	id     int32
	format codec.Format
	schema compiled
	size   int // about how many bytes the schema holds

	// For Locate: where it was found.
	subject string
	version int32
}

// registered returns s for the encoders.
func (s *stored) registered() codec.Registered {
	return codec.Registered{ID: s.id, Schema: s.schema}
}

// New returns a registry client. It does not connect yet. The caller closes it.
func New(s Settings, log *slog.Logger) (*Registry, error) {
	c, err := newClient(s, log)
	if err != nil {
		return nil, err
	}
	bytes := cmp.Or(s.CacheBytes, 64<<20)
	r := &Registry{
		settings: s, log: log, formats: builtIn, client: c,
		wanted: newCache(s.CacheSize, bytes),
		byID:   newCache(s.CacheSize, bytes),
	}
	r.running, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Close ends the look-ups in flight; they fail. Cached schemas are still returned.
func (r *Registry) Close() {
	r.end()
	r.client.close()
}

// Wanted is the schema of the keys or values of a produce request, as the request names it.
type Wanted struct {
	Format codec.Format
	Topic  string
	Key    bool   // of the keys, not the values
	Text   []byte // of the schema, borrowed; nil: none
	ID     int32  // 0: none
}

// Resolve returns the schema to encode with: on a cache miss it registers or looks up the schema,
// and waits for that no longer than ctx. An empty Wanted gives the zero Registered, unless the
// latest schema of the subject is to be used; a subject that has no schema gives the zero
// Registered then too. Errors are [apierr.Error] values.
func (r *Registry) Resolve(ctx context.Context, w Wanted) (codec.Registered, error) {
	switch {
	case len(w.Text) > 0 && w.ID != 0:
		return codec.Registered{}, apierr.Unprocessable.New("A schema is given as text and as an id for the same records: send one of the two.")
	case w.ID < 0:
		return codec.Registered{}, apierr.RegistryRefused.New("There is no schema with the id %d.", w.ID)
	case len(w.Text) == 0 && w.ID == 0 && !r.settings.UseLatest:
		return codec.Registered{}, nil
	}
	q := question{format: w.Format, key: w.Key, topic: w.Topic, id: w.ID, text: w.Text}
	switch naming := r.naming(w.Key); {
	case naming == RecordName:
		q.topic = "" // one subject, whatever the topic is
	case naming == TopicName && r.settings.UseLatest:
		q.text = nil // one subject, whatever the text is
	}
	if e := r.wanted.lookup(&q); e != nil {
		return e.value.registered(), e.err
	}
	found, err := r.load(ctx, r.wanted, &q, r.resolve)
	return found.registered(), err
}

// ByID returns the schema to decode values with this id. It may wait for the registry, no longer
// than ctx. A schema that the registry does not have, has with another type, or has in an
// unreadable form is Undecodable.
func (r *Registry) ByID(ctx context.Context, f codec.Format, id codec.SchemaID) (codec.Schema, error) {
	s, ok, err := r.Cached(f, id)
	if ok {
		return s, err
	}
	found, err := r.load(ctx, r.byID, &question{id: id.Number, guid: id.GUID}, r.fetch)
	return decoder(found, f, id, err)
}

// Cached is ByID that never waits: ok is false when the registry must be asked.
func (r *Registry) Cached(f codec.Format, id codec.SchemaID) (s codec.Schema, ok bool, err error) {
	q := question{id: id.Number, guid: id.GUID}
	e := r.byID.lookup(&q)
	if e == nil {
		return nil, false, nil
	}
	s, err = decoder(e.value, f, id, e.err)
	return s, true, err
}

// decoder returns the schema found for an id, for values of format f, or its error.
func decoder(s stored, f codec.Format, id codec.SchemaID, err error) (codec.Schema, error) {
	switch {
	case err == nil && s.format == f:
		return s.schema, nil
	case err == nil:
		return nil, apierr.Undecodable.New("The record's schema %s is for the format %s, not %s.", id, s.format, f)
	case apierr.RegistryRefused.Is(err) || apierr.InvalidSchema.Is(err) || apierr.UnsupportedMedia.Is(err):
		return nil, apierr.Undecodable.Wrap(err, "The record's schema %s cannot be used: %s", id, apierr.From(err).Message())
	default:
		return nil, err
	}
}

// naming returns the strategy for keys or values.
func (r *Registry) naming(key bool) SubjectName {
	if key {
		return r.settings.KeySubject
	}
	return r.settings.ValueSubject
}
