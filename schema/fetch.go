package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec"
	"millrace/internal/apierr"
)

// These limits bound what one schema may refer to, directly or not.
const (
	maxReferenceDepth = 16
	maxReferences     = 128
)

// fetch finds the schema of an id or a GUID.
func (r *Registry) fetch(ctx context.Context, q *question) (stored, time.Duration, error) {
	id := codec.SchemaID{Number: q.id, GUID: q.guid}
	var s sr.Schema
	err := r.client.call(ctx, func(ctx context.Context, c *sr.Client) (err error) {
		if q.guid == ([16]byte{}) {
			s, err = c.SchemaByID(ctx, int(q.id))
			return err
		}
		found, err := c.SchemaByGUID(ctx, id.String())
		s = found.Schema
		return err
	})
	if isMissing(err) || q.guid != ([16]byte{}) && isNoPath(err) {
		return stored{}, 0, apierr.RegistryRefused.Wrap(err, "The schema registry has no schema with the id %s.", id)
	}
	if err != nil {
		return stored{}, 0, refused(err, fmt.Sprintf("the schema id %s", id))
	}
	found, err := r.compile(ctx, q.id, s, "")
	return found, 0, err
}

// compile compiles a schema of the registry, with its references, which are of the context that the
// subject names.
func (r *Registry) compile(ctx context.Context, id int32, s sr.Schema, subject string) (stored, error) {
	w := walk{registry: r, seen: map[sr.SchemaReference]bool{}, size: len(s.Schema)}
	if err := w.visit(ctx, s.References, contextOf(subject), nil); err != nil {
		return stored{}, err
	}
	found, err := r.formats.compile(r.formats.of(s.Type), s.Schema, w.found)
	found.id = id
	return found, err
}

// walk collects the references of a schema, each before those that need it.
type walk struct {
	registry *Registry
	seen     map[sr.SchemaReference]bool
	found    []reference
	size     int // bytes of all texts
}

// visit fetches the references and theirs. space is the context of the subjects that name none.
// path has the schemas that lead here, none of which may occur again.
func (w *walk) visit(ctx context.Context, references []sr.SchemaReference, space string, path []sr.SchemaReference) error {
	for _, ref := range references {
		if !namesContext(ref.Subject) {
			ref.Subject = space + ref.Subject
		}
		for _, above := range path {
			if above.Subject == ref.Subject && above.Version == ref.Version {
				return apierr.InvalidSchema.New("The schema refers to itself by way of the subject %s.", ref.Subject)
			}
		}
		if w.seen[ref] {
			continue
		}
		if w.seen[ref] = true; len(path) >= maxReferenceDepth || len(w.seen) > maxReferences {
			return apierr.InvalidSchema.New("The schema refers to more than %d others, or more than %d deep.", maxReferences, maxReferenceDepth)
		}
		var s sr.SubjectSchema
		err := w.registry.client.call(ctx, func(ctx context.Context, c *sr.Client) (err error) {
			s, err = c.SchemaByVersion(ctx, ref.Subject, ref.Version)
			return err
		})
		if err != nil {
			return refused(err, fmt.Sprintf("version %d of the subject %s, which the schema refers to", ref.Version, ref.Subject))
		}
		w.size += len(s.Schema.Schema)
		if err := checkSize(w.size); err != nil {
			return err
		}
		if err := w.visit(ctx, s.References, contextOf(ref.Subject), append(path[:len(path):len(path)], ref)); err != nil {
			return err
		}
		w.found = append(w.found, reference{Name: ref.Name, Text: s.Schema.Schema})
	}
	return nil
}
