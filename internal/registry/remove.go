package registry

import (
	"context"

	"github.com/twmb/franz-go/pkg/sr"
)

// removeSubject deletes all versions of a subject: softly, or for good those that are softly
// deleted already. It returns their numbers.
func (r *Registry) removeSubject(ctx context.Context, subject string, permanent bool) ([]int, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.writable(subject); err != nil {
		return nil, err
	}
	known, alive := r.store.versions(subject, all), r.store.versions(subject, live)
	switch {
	case len(known) == 0:
		return nil, subjectNotFound(subject)
	case permanent && len(alive) > 0:
		return nil, fail(sr.ErrSubjectNotSoftDeleted, "Subject '%s' was not deleted first before being permanently deleted", subject)
	case !permanent && len(alive) == 0:
		return nil, fail(sr.ErrSubjectSoftDeleted, "Subject '%s' was soft deleted.Set permanent=true to delete permanently", subject)
	}
	// A softly deleted version can be referred to, even by schemas that were registered later.
	if err := r.unreferenced(subject, known); err != nil {
		return nil, err
	}
	if !permanent {
		last := known[len(known)-1].Version
		key := recordKey{Kind: subjectDelete, Subject: &subject}
		return numbers(alive), r.write(ctx, append(r.forgetSettings(subject), change{key, &deleteValue{subject, last}})...)
	}
	var changes []change
	for _, v := range known {
		changes = append(changes, change{key: schemaKey(subject, v.Version)})
	}
	return numbers(known), r.write(ctx, changes...)
}

// removeVersion does the same for one version.
func (r *Registry) removeVersion(ctx context.Context, subject string, number int, permanent bool) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.writable(subject); err != nil {
		return err
	}
	v := r.store.find(subject, number, all)
	switch {
	case v == nil:
		return versionNotFound(number)
	case permanent && !v.deleted:
		return fail(sr.ErrSchemaVersionNotSoftDeleted, "Subject '%s' Version %d was not deleted first before being permanently deleted", subject, number)
	case !permanent && v.deleted:
		return fail(sr.ErrSchemaVersionSoftDeleted, "Subject '%s' Version %d was soft deleted.Set permanent=true to delete permanently", subject, number)
	}
	if err := r.unreferenced(subject, []*version{v}); err != nil {
		return err
	}
	if permanent {
		return r.write(ctx, change{key: schemaKey(subject, number)})
	}
	changes := []change{{schemaKey(subject, number), v.value(true)}}
	if len(r.store.versions(subject, live)) == 1 {
		changes = append(r.forgetSettings(subject), changes...)
	}
	return r.write(ctx, changes...)
}

func (r *Registry) writable(subject string) error {
	if mode, _ := r.store.mode(subject); mode == sr.ModeReadOnly {
		return fail(sr.ErrOperationNotPermitted, "Subject %s is in read-only mode", subject)
	}
	return nil
}

// unreferenced refuses to delete versions that others refer to.
func (r *Registry) unreferenced(subject string, versions []*version) error {
	for _, v := range versions {
		if len(r.store.referencing(subject, v.Version, live)) > 0 {
			return fail(sr.ErrReferenceExists, "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=%s,version=%d}.", subject, v.Version)
		}
	}
	return nil
}

// forgetSettings returns the changes that delete a subject's own configuration and mode.
func (r *Registry) forgetSettings(subject string) []change {
	var out []change
	if _, own := r.store.config(subject); own {
		out = append(out, change{key: settingKey(configRecord, subject)})
	}
	if _, own := r.store.mode(subject); own {
		out = append(out, change{key: settingKey(modeRecord, subject)})
	}
	return out
}

func numbers(versions []*version) []int {
	out := make([]int, len(versions))
	for i, v := range versions {
		out[i] = v.Version
	}
	return out
}
