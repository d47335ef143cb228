package reader

import (
	"context"
	"errors"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/schema"
)

// maxKnown is how many schemas a read keeps for itself. A record needs two,
// for its key and its value, so that with these a read always gets on.
const maxKnown = 16

// Schemas is what one read, or one round of a stream, knows of the schemas of
// its records. It asks the registry's cache for each of them once, so that reads
// do not meet at that cache's lock for each key and value, and what it has found
// stays found, whatever the cache forgets meanwhile. One goroutine at a time may
// use it.
type Schemas struct {
	registry *schema.Registry
	wait     context.Context // of the look-ups in Get; nil: Get does not wait
	known    []knownSchema
	oldest   int // of known, when that is full
}

// knownSchema is a schema, or why records cannot be decoded with it.
type knownSchema struct {
	id     int32
	schema codec.Schema
	err    error
}

// NewSchemas returns what a read of records in format f starts with; nil when they need
// none, or registry is nil. wait bounds the look-ups of a read that holds up nobody else
// while it waits; with nil an unknown schema ends the page, see [Schemas.Learn].
func NewSchemas(registry *schema.Registry, f codec.Format, wait context.Context) *Schemas {
	if registry == nil || !f.NeedsSchema() {
		return nil
	}
	return &Schemas{registry: registry, wait: wait}
}

// Get is [codec.Extras.Schemas].
func (s *Schemas) Get(f codec.Format, id int32) (codec.Schema, error) {
	for i := range s.known {
		if k := &s.known[i]; k.id == id {
			return k.schema, k.err
		}
	}
	found, ok, err := s.registry.Cached(f, id)
	switch {
	case ok:
		return s.keep(id, found, err)
	case s.wait == nil:
		return nil, &codec.UnknownSchema{ID: id}
	}
	found, err = s.registry.ByID(s.wait, f, id)
	return s.keep(id, found, err)
}

// keep remembers and returns what was found, unless it will be another thing
// when it is asked for again.
func (s *Schemas) keep(id int32, found codec.Schema, err error) (codec.Schema, error) {
	if err != nil && !apierr.Undecodable.Is(err) {
		return found, err
	}
	k := knownSchema{id, found, err}
	if len(s.known) < maxKnown {
		s.known = append(s.known, k)
		return found, err
	}
	s.known[s.oldest] = k
	s.oldest = (s.oldest + 1) % maxKnown
	return found, err
}

// Forget has the next round ask again.
func (s *Schemas) Forget() {
	if s != nil {
		clear(s.known)
		s.known, s.oldest = s.known[:0], 0
	}
}

// Learn asks the registry for the schema that err says is missing; any other
// err it returns. After nil there is something new to try. A schema that does
// not exist is news too: the record in question can be reported then, with its
// place.
func (s *Schemas) Learn(ctx context.Context, f codec.Format, err error) error {
	var missing *codec.UnknownSchema
	if !errors.As(err, &missing) {
		return err
	}
	found, err := s.registry.ByID(ctx, f, missing.ID)
	if _, err = s.keep(missing.ID, found, err); err != nil && !apierr.Undecodable.Is(err) {
		return apierr.From(err)
	}
	return nil
}
