package reader

import (
	"context"
	"errors"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/schema"
)

// maxCached is how many schemas a read caches for itself. A record needs two, for its key and its
// value, so that a read with these always makes progress.
const maxCached = 16

// Schemas is the cache of schemas of one read, or of one round of a stream. It gets each of them
// from the registry's cache once, so that reads do not contend for that cache's lock for each key
// and value, and a schema that the registry's cache evicts meanwhile stays here. It is a list and
// no bounded.Map: a read has one or two schemas, so comparing their ids is less than hashing one,
// and there is nothing to allocate. One goroutine at a time may use it.
type Schemas struct {
	registry *schema.Registry
	wait     context.Context // of the look-ups in Get; nil: Get does not wait
	cached   []cachedSchema
	oldest   int // index into cached, when that is full
}

// cachedSchema is a schema, or why records cannot be decoded with it.
type cachedSchema struct {
	id     codec.SchemaID
	schema codec.Schema
	err    error
}

// NewSchemas returns the empty cache of a read of records in format f; nil when they need no
// schema, or registry is nil. wait bounds the look-ups of a read whose wait delays no other
// reader; with nil an unknown schema ends the page, see [Schemas.Learn].
func NewSchemas(registry *schema.Registry, f codec.Format, wait context.Context) *Schemas {
	if registry == nil || !f.NeedsSchema() {
		return nil
	}
	return &Schemas{registry: registry, wait: wait}
}

// Get is [codec.Extras.Schemas].
func (s *Schemas) Get(f codec.Format, id codec.SchemaID) (codec.Schema, error) {
	for i := range s.cached {
		if k := &s.cached[i]; k.id == id {
			return k.schema, k.err
		}
	}
	found, ok, err := s.registry.Cached(f, id)
	switch {
	case ok:
		return s.put(id, found, err)
	case s.wait == nil:
		return nil, &codec.UnknownSchema{ID: id}
	}
	found, err = s.registry.ByID(s.wait, f, id)
	return s.put(id, found, err)
}

// put caches and returns the result of a look-up. A retriable error is not cached.
func (s *Schemas) put(id codec.SchemaID, found codec.Schema, err error) (codec.Schema, error) {
	if err != nil && !apierr.Undecodable.Is(err) {
		return found, err
	}
	k := cachedSchema{id, found, err}
	if len(s.cached) < maxCached {
		s.cached = append(s.cached, k)
		return found, err
	}
	s.cached[s.oldest] = k
	s.oldest = (s.oldest + 1) % maxCached
	return found, err
}

// Forget empties the cache for the next round.
func (s *Schemas) Forget() {
	if s != nil {
		clear(s.cached)
		s.cached, s.oldest = s.cached[:0], 0
	}
}

// Learn looks the schema up that err reports as missing; any other err it returns. After nil a
// retry can make progress. That holds for a schema that does not exist, too: the record can then
// be reported, with its offset.
func (s *Schemas) Learn(ctx context.Context, f codec.Format, err error) error {
	var missing *codec.UnknownSchema
	if !errors.As(err, &missing) {
		return err
	}
	found, err := s.registry.ByID(ctx, f, missing.ID)
	if _, err = s.put(missing.ID, found, err); err != nil && !apierr.Undecodable.Is(err) {
		return apierr.From(err)
	}
	return nil
}
