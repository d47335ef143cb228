package consumer

import (
	"context"
	"errors"
	"fmt"

	"millrace/codec"
	"millrace/internal/apierr"
)

// unknownSchema is met where a record cannot be answered before the registry
// was asked for its schema.
type unknownSchema struct{ id int32 }

func (e *unknownSchema) Error() string { return fmt.Sprintf("schema %d is not in the cache", e.id) }

// cachedSchema is [codec.Extras.Schemas] for where nothing may wait.
func (m *Manager) cachedSchema(f codec.Format, id int32) (codec.Schema, error) {
	s, ok, err := m.settings.Schemas.Cached(f, id)
	if !ok {
		return nil, &unknownSchema{id}
	}
	return s, err
}

// learnSchema asks the registry for the schema that err says is missing. It is
// true when there is something new to try. A schema that does not exist is
// news too: the record in question can be reported then, with its place.
func (m *Manager) learnSchema(ctx context.Context, f codec.Format, err error) (bool, error) {
	var missing *unknownSchema
	if !errors.As(err, &missing) {
		return false, err
	}
	_, failed := m.settings.Schemas.ByID(ctx, f, missing.id)
	if failed == nil {
		return true, nil
	}
	if _, known, _ := m.settings.Schemas.Cached(f, missing.id); known {
		return true, nil
	}
	return false, apierr.From(failed)
}
