package registry

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

const (
	maxVersions   = 20_000 // of all subjects
	maxSubject    = 255    // bytes of a name
	maxReferences = 200    // of one schema, those of its references included
)

// wanted is a request to register or look up a schema. ID and Version may be
// given in mode IMPORT only.
type wanted struct {
	sr.Schema
	ID        int
	Version   int
	normalize bool
}

// register returns the version of a subject that is the wanted schema, and adds it first where
// that is allowed. The version is in the topic when register returns.
func (r *Registry) register(ctx context.Context, subject string, w wanted) (*version, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	conf, _ := r.store.config(subject)
	w.normalize = r.normalizes(subject, w)
	prepared, src, err := r.prepare(w)
	if err != nil {
		return nil, err
	}
	identity := identify(prepared)
	for _, v := range r.store.versions(subject, live) {
		if v.same(identity, w.normalize) && (w.ID == 0 || w.ID == v.ID) {
			return v, nil
		}
	}
	if err := r.writable(subject); err != nil {
		return nil, err
	}
	mode, _ := r.store.mode(subject)
	if err := checkMode(subject, mode, w); err != nil {
		return nil, err
	}
	if err := checkAcyclic(subject, src); err != nil {
		return nil, err
	}
	// Confluent's registry refuses these, but serves those that are older than its check.
	if a, ok := src.parsed.(avroSchema); ok && len(a.Misfits()) > 0 {
		return nil, fail(sr.ErrInvalidSchema, "Invalid schema: the default of the field %s does not fit its type", a.Misfits()[0])
	}
	if mode != sr.ModeImport {
		problems, err := r.incompatible(src, conf.Level, r.store.versions(subject, live))
		if err != nil {
			return nil, err
		}
		if len(problems) > 0 {
			return nil, fail(sr.ErrIncompatibleSchema, "Schema being registered is incompatible with an earlier schema for subject %q, details: [%s]",
				subject, strings.Join(problems, ", "))
		}
	}
	return r.add(ctx, subject, prepared, identity, w)
}

// normalizes reports whether the request, or the configuration of the subject, asks for schemas in
// normal form.
func (r *Registry) normalizes(subject string, w wanted) bool {
	conf, _ := r.store.config(subject)
	return w.normalize || conf.Normalize != nil && *conf.Normalize
}

// add gives the schema an id and a number and writes it.
func (r *Registry) add(ctx context.Context, subject string, s sr.Schema, id identity, w wanted) (*version, error) {
	count, _ := r.store.size()
	if count >= maxVersions {
		return nil, fail(sr.ErrOperationNotPermitted, "This registry is for development and keeps no more than %d versions", maxVersions)
	}
	v := &version{SubjectSchema: sr.SubjectSchema{Subject: subject, Version: w.Version, ID: w.ID, Schema: s}}
	if v.Version == 0 {
		v.Version = 1
		if known := r.store.versions(subject, all); len(known) > 0 {
			v.Version = known[len(known)-1].Version + 1
		}
	}
	// The same schema has the same id under every subject, in its deleted versions too.
	for _, known := range r.store.everything("", all) {
		if known.same(id, w.normalize) && v.ID == 0 {
			v.ID = known.ID
		}
		if w.ID != 0 && known.ID == w.ID && !known.same(id, false) {
			return nil, fail(sr.ErrOperationNotPermitted, "Overwrite new schema with id %d is not permitted.", w.ID)
		}
	}
	if v.ID == 0 {
		v.ID = r.nextID()
	}
	if err := r.write(ctx, change{schemaKey(subject, v.Version), v.value(false)}); err != nil {
		return nil, err
	}
	return r.store.find(subject, v.Version, live), nil
}

// nextID returns a new id. An id whose write failed is not used again: the record may still get
// into the topic.
func (r *Registry) nextID() int {
	_, last := r.store.size()
	r.lastID = max(r.lastID, last) + 1
	return r.lastID
}

// prepare checks a schema by itself and converts it to the form in which it is stored.
func (r *Registry) prepare(w wanted) (sr.Schema, source, error) {
	s, err := tidy(w.Schema)
	if err != nil {
		return s, source{}, fail(sr.ErrInvalidSchema, "Invalid schema: %v", err)
	}
	if w.normalize {
		s = normalized(s)
	}
	src, err := r.resolve(s)
	if err != nil {
		return s, src, err
	}
	if src.parsed, err = src.parse(); err != nil {
		return s, src, fail(sr.ErrInvalidSchema, "Invalid schema: %v", err)
	}
	return s, src, nil
}

// resolve finds the references of a schema.
func (r *Registry) resolve(s sr.Schema) (source, error) {
	out := source{Schema: s}
	seen := map[string]bool{}
	var walk func(sr.Schema) error
	walk = func(s sr.Schema) error {
		for _, ref := range s.References {
			v := r.store.find(ref.Subject, ref.Version, all)
			if v == nil || ref.Name == "" {
				return fail(sr.ErrInvalidSchema, "Invalid schema: the reference %q to version %d of subject %q is to nothing", ref.Name, ref.Version, ref.Subject)
			}
			key := fmt.Sprintf("%s\x00%s\x00%d", ref.Name, ref.Subject, ref.Version)
			if seen[key] {
				continue
			}
			seen[key] = true
			if len(seen) > maxReferences {
				return fail(sr.ErrInvalidSchema, "Invalid schema: it refers to more than %d others", maxReferences)
			}
			if err := walk(v.Schema); err != nil {
				return err
			}
			out.refs = append(out.refs, referred{name: ref.Name, subject: ref.Subject, text: v.Schema.Schema})
		}
		return nil
	}
	return out, walk(s)
}

// checkAcyclic refuses a schema that refers to its own subject: two schemas
// that need each other could never be registered in any order again.
func checkAcyclic(subject string, s source) error {
	for _, ref := range s.refs {
		if ref.subject == subject {
			return fail(sr.ErrInvalidSchema, "Invalid schema: it refers to its own subject %q", subject)
		}
	}
	return nil
}

func checkMode(subject string, mode sr.Mode, w wanted) error {
	switch {
	case mode == sr.ModeImport && w.ID <= 0:
		return fail(sr.ErrOperationNotPermitted, "Subject %s is in import mode: the request must give the id", subject)
	case mode != sr.ModeImport && (w.ID != 0 || w.Version != 0):
		return fail(sr.ErrOperationNotPermitted, "Subject %s is not in import mode", subject)
	}
	return nil
}

func checkSubject(subject string) error {
	if subject == "" || len(subject) > maxSubject || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fail(sr.ErrInvalidSubject, "The specified subject %q is not a valid subject.", subject)
	}
	return nil
}

// incompatible lists how a new schema, which is parsed, breaks a compatibility level.
func (r *Registry) incompatible(s source, level sr.CompatibilityLevel, versions []*version) ([]string, error) {
	if level == sr.CompatNone || len(versions) == 0 {
		return nil, nil
	}
	next := s.parsed
	switch level {
	case sr.CompatBackward, sr.CompatForward, sr.CompatFull: // the others are transitive
		versions = versions[len(versions)-1:]
	}
	backward := level != sr.CompatForward && level != sr.CompatForwardTransitive
	forward := level != sr.CompatBackward && level != sr.CompatBackwardTransitive
	for i := len(versions) - 1; i >= 0; i-- {
		v := versions[i]
		if v.Type != s.Type {
			return []string{fmt.Sprintf("version %d is of type %s, the new schema of type %s", v.Version, v.Type, s.Type)}, nil
		}
		old, err := r.parse(v)
		if err != nil {
			return nil, err
		}
		var problems []string
		if backward {
			problems = describe(next.canRead(old), "the new schema cannot read what version %d wrote", v)
		}
		if forward {
			problems = append(problems, describe(old.canRead(next), "version %d cannot read what the new schema writes", v)...)
		}
		if len(problems) > 0 {
			return problems, nil
		}
	}
	return nil, nil
}

func describe(problems []string, format string, v *version) []string {
	for i, p := range problems {
		problems[i] = fmt.Sprintf(format, v.Version) + ": " + p
	}
	return problems
}

// parse parses a stored version.
func (r *Registry) parse(v *version) (parsed, error) {
	src, err := r.resolve(v.Schema)
	if err != nil {
		return nil, err
	}
	p, err := src.parse()
	if err != nil {
		return nil, fmt.Errorf("cannot parse version %d of %s: %w", v.Version, v.Subject, err)
	}
	return p, nil
}
