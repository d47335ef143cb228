package consumer

import (
	"context"
	"errors"

	"millrace/codec"
	"millrace/internal/apierr"
)

// cachedSchema is [codec.Extras.Schemas] for where nothing may wait.
func (m *Manager) cachedSchema(f codec.Format, id int32) (codec.Schema, error) {
	s, ok, err := m.settings.Schemas.Cached(f, id)
	if !ok {
		return nil, &codec.UnknownSchema{ID: id}
	}
	return s, err
}

// schemaWaiter is [codec.Extras.Schemas] for where only ctx is held up.
func (m *Manager) schemaWaiter(ctx context.Context) func(codec.Format, int32) (codec.Schema, error) {
	return func(f codec.Format, id int32) (codec.Schema, error) { return m.settings.Schemas.ByID(ctx, f, id) }
}

// learnSchema asks the registry for the schema that err says is missing; any
// other err it returns. After nil there is something new to try. A schema that
// does not exist is news too: the record in question can be reported then, with
// its place.
func (m *Manager) learnSchema(ctx context.Context, f codec.Format, err error) error {
	var missing *codec.UnknownSchema
	if !errors.As(err, &missing) {
		return err
	}
	if _, err = m.settings.Schemas.ByID(ctx, f, missing.ID); err != nil {
		if _, known, _ := m.settings.Schemas.Cached(f, missing.ID); !known {
			return apierr.From(err)
		}
	}
	return nil
}
