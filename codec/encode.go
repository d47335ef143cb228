package codec

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"millrace/internal/apierr"
	"millrace/pool"
)

// Budget bounds what the values of one request may cost together. A short text can stand for many
// bytes, because a missing field gets its default, however large. The size of a request therefore
// does not bound its cost, and Budget does.
type Budget struct {
	// Bytes is how many bytes may still be written.
	Bytes int
	// Effort is how much work may still be done that a text does not pay for by its length, in
	// steps of about a nanosecond.
	Effort int
	// Grown, if not nil, gets the arena's new capacity after each growth, and may refuse it.
	Grown func(capacity int) error
}

// FreeEffort is the effort that a request has to begin with.
const FreeEffort = 1 << 20

// Begin sets the budget of a request that may write so many bytes.
func (b *Budget) Begin(bytes int) { b.Bytes, b.Effort = bytes, FreeEffort }

// Left returns what one value may spend of b. A nil b is the budget of a value on its own: that
// of a new request.
func (b *Budget) Left() (bytes, effort int) {
	if b == nil {
		return math.MaxInt, FreeEffort
	}
	return b.Bytes, b.Effort
}

// ErrOverBudget reports that a value costs more than is left for the request, though it might fit
// into another request.
var ErrOverBudget = errors.New("with it the request costs more memory or time than one may: send fewer records at once")

// Encoding is how the records of a request are encoded.
type Encoding struct {
	Key, Value Registered
	// KeyNulls and ValueNulls have nulls encoded by the schema, which must be there then. Without
	// them a null stays a null of Kafka, which deletes its key from a compacted topic.
	KeyNulls, ValueNulls bool
	Dialect              Dialect
	// Budget is spent; it must not be nil.
	Budget *Budget
}

// EncodeRecords converts the keys and values in slab, JSON texts as [DecodeProduce] leaves them,
// to the bytes that Kafka stores: frame and payload, appended to arena, which it takes and
// returns grown. The records then have views of arena. Nulls stay nil and need no schema, unless e
// has them encoded. Errors are [apierr.Error] values that name the record; the slab is undefined
// after one.
//
// While EncodeRecords runs, the outgrown arenas are held too, which is as much again: each is at
// least twice as large as the one before.
func EncodeRecords(slab *pool.Slab, arena []byte, e Encoding) ([]byte, error) {
	first, room := len(arena), cap(arena)
	var err error
	for i := range slab.Records {
		r := &slab.Records[i]
		if r.Key != nil || e.KeyNulls {
			if e.Key.Schema == nil {
				return arena, apierr.KeySchemaMissing.New("records[%d] has a key, which needs a schema: send key_schema or key_schema_id.", i)
			}
			if arena, r.Key, err = e.append(arena, &e.Key, r.Key); err != nil {
				return arena, misfit(fmt.Sprintf("records[%d].key", i), err)
			}
		}
		if r.Value != nil || e.ValueNulls {
			if e.Value.Schema == nil {
				return arena, apierr.ValueSchemaMissing.New("records[%d] has a value, which needs a schema: send value_schema or value_schema_id.", i)
			}
			if arena, r.Value, err = e.append(arena, &e.Value, r.Value); err != nil {
				return arena, misfit(fmt.Sprintf("records[%d].value", i), err)
			}
		}
	}
	if cap(arena) != room {
		moveViews(slab, arena[first:])
	}
	return arena, nil
}

// null is the text of a null that a schema encodes.
var null = []byte("null")

// append returns the arena and the view of what it appended. A nil text is a null.
func (e *Encoding) append(arena []byte, s *Registered, text []byte) (grown, view []byte, err error) {
	if text == nil {
		text = null
	}
	start, room, b := len(arena), cap(arena), e.Budget
	if need := frameSize + len(text); room-start < need { // few values are longer than their text
		arena = slices.Grow(arena, max(need, min(room, b.Bytes)))
	}
	grown, err = s.AppendEncoded(AppendFrame(arena, s.ID), text, e.Dialect, b)
	if err != nil {
		return arena, nil, err
	}
	if b.Bytes -= len(grown) - start; b.Bytes < 0 {
		return arena, nil, ErrOverBudget
	}
	if cap(grown) > room && b.Grown != nil {
		if err := b.Grown(cap(grown)); err != nil {
			return arena, nil, err
		}
	}
	return grown, grown[start:len(grown):len(grown)], nil
}

// moveViews makes the keys and values views of all, which holds them one behind the other.
// Before, they may be views of outgrown arenas.
func moveViews(slab *pool.Slab, all []byte) {
	for i := range slab.Records {
		r := &slab.Records[i]
		for _, b := range [...]*[]byte{&r.Key, &r.Value} {
			if n := len(*b); *b != nil {
				*b, all = all[:n:n], all[n:]
			}
		}
	}
}

// EncodeData converts one key or value, a JSON text, to the bytes that Kafka stores, and appends
// them to arena, which it takes and returns grown. Older views of arena may be of memory that it
// has outgrown. A nil text is a null. half names the text in errors, which are [apierr.Error]
// values.
func EncodeData(arena []byte, s Registered, half string, text []byte, e Encoding) ([]byte, error) {
	arena, _, err := e.append(arena, &s, text)
	if err != nil {
		return arena, misfit(half, err)
	}
	return arena, nil
}

// misfit returns the error of a text that could not be encoded.
func misfit(where string, err error) error {
	var m *Mismatch
	var known *apierr.Error
	switch {
	case errors.As(err, &m):
		return apierr.BadRequest.New("%s%s: %s", where, m.Path, m.Problem)
	case errors.Is(err, ErrOverBudget):
		return apierr.BodyTooLarge.New("%s: %s", where, err)
	case errors.As(err, &known):
		return known
	}
	return apierr.From(fmt.Errorf("cannot encode %s: %w", where, err))
}
