package registry

import (
	"net/http"

	"github.com/twmb/franz-go/pkg/sr"
)

// request is the body of a request with a schema.
type request struct {
	sr.Schema
	ID      int `json:"id"`
	Version int `json:"version"`
}

func readSchema(q *http.Request) (wanted, error) {
	var body request
	if err := readJSON(q, &body); err != nil {
		return wanted{}, err
	}
	return wanted{Schema: body.Schema, ID: max(body.ID, 0), Version: max(body.Version, 0), normalize: flag(q, "normalize")}, nil
}

// registered is the response to a registration. Clients that name schemas by headers take the GUID
// from it.
type registered struct {
	ID      int    `json:"id"`
	Version int    `json:"version"`
	GUID    string `json:"guid"`
}

func (r *Registry) postVersion(q *http.Request) (any, error) {
	w, err := readSchema(q)
	if err != nil {
		return nil, err
	}
	v, err := r.register(q.Context(), subjectOf(q), w)
	if err != nil {
		return nil, err
	}
	return registered{v.ID, v.Version, v.GUID}, nil
}

// postLookup finds a schema in a subject without adding it.
func (r *Registry) postLookup(q *http.Request) (any, error) {
	w, err := readSchema(q)
	if err != nil {
		return nil, err
	}
	subject := subjectOf(q)
	known := r.store.versions(subject, scopeOf(q))
	if len(known) == 0 {
		return nil, subjectNotFound(subject)
	}
	w.normalize = r.normalizes(subject, w)
	prepared, _, err := r.prepare(w)
	if err != nil {
		return nil, err
	}
	identity := identify(prepared)
	for i := len(known) - 1; i >= 0; i-- {
		if known[i].same(identity, w.normalize) {
			return known[i].SubjectSchema, nil
		}
	}
	return nil, schemaNotFound(0)
}

func (r *Registry) deleteSubject(q *http.Request) (any, error) {
	return r.removeSubject(q.Context(), subjectOf(q), flag(q, "permanent"))
}

func (r *Registry) deleteVersion(q *http.Request) (any, error) {
	number, err := numberOf(q)
	if err != nil {
		return nil, err
	}
	subject := subjectOf(q)
	known := r.store.versions(subject, all)
	if len(known) == 0 {
		return nil, subjectNotFound(subject)
	}
	if number == latestVersion {
		if alive := r.store.versions(subject, live); len(alive) > 0 {
			known = alive
		}
		number = known[len(known)-1].Version
	}
	return number, r.removeVersion(q.Context(), subject, number, flag(q, "permanent"))
}

// postCompatibility checks a schema against one version, or against all that
// the level of the subject names.
func (r *Registry) postCompatibility(q *http.Request) (any, error) {
	w, err := readSchema(q)
	if err != nil {
		return nil, err
	}
	subject := subjectOf(q)
	versions := r.store.versions(subject, live)
	if q.PathValue("version") != "" {
		v, err := r.version(q)
		if err != nil {
			return nil, err
		}
		versions = []*version{v}
	}
	_, src, err := r.prepare(w)
	if err != nil {
		return nil, err
	}
	conf, _ := r.store.config(subject)
	problems, err := r.incompatible(src, conf.Level, versions)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"is_compatible": len(problems) == 0}
	if flag(q, "verbose") {
		out["messages"] = append([]string{}, problems...)
	}
	return out, nil
}

func (r *Registry) getConfig(q *http.Request) (any, error) {
	subject := subjectOf(q)
	c, own := r.store.config(subject)
	if !own && !flag(q, "defaultToGlobal") {
		return nil, fail(sr.ErrSubjectLevelCompatibilityNotConfigured, "Subject '%s' does not have subject-level compatibility configured", subject)
	}
	return c, nil
}

func (r *Registry) putConfig(q *http.Request) (any, error) {
	var body struct {
		Level     string `json:"compatibility"`
		Normalize *bool  `json:"normalize,omitempty"`
	}
	if err := readJSON(q, &body); err != nil {
		return nil, err
	}
	subject := subjectOf(q)
	r.writing.Lock()
	defer r.writing.Unlock()
	c, _ := r.store.config(subject) // members missing from the request keep their value
	if body.Level != "" {
		if err := c.Level.UnmarshalText([]byte(body.Level)); err != nil {
			return nil, fail(sr.ErrInvalidCompatibilityLevel,
				"Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive")
		}
	}
	if body.Normalize != nil {
		c.Normalize = body.Normalize
	}
	if err := r.set(q, configRecord, &c); err != nil {
		return nil, err
	}
	body.Level = c.Level.String()
	return body, nil
}

// deleteConfig responds with the former configuration.
func (r *Registry) deleteConfig(q *http.Request) (any, error) {
	subject := subjectOf(q)
	r.writing.Lock()
	defer r.writing.Unlock()
	c, own := r.store.config(subject)
	if !own {
		return nil, fail(sr.ErrSubjectLevelCompatibilityNotConfigured, "Subject '%s' does not have subject-level compatibility configured", subject)
	}
	return c, r.set(q, configRecord, nil)
}

func (r *Registry) getMode(q *http.Request) (any, error) {
	subject := subjectOf(q)
	m, own := r.store.mode(subject)
	if !own && !flag(q, "defaultToGlobal") {
		return nil, fail(sr.ErrSubjectLevelModeNotConfigured, "Subject '%s' does not have subject-level mode configured", subject)
	}
	return modeValue{m}, nil
}

func (r *Registry) putMode(q *http.Request) (any, error) {
	var body struct {
		Mode string `json:"mode"`
	}
	if err := readJSON(q, &body); err != nil {
		return nil, err
	}
	var m modeValue
	if err := m.Mode.UnmarshalText([]byte(body.Mode)); err != nil || body.Mode == "" {
		return nil, fail(sr.ErrInvalidMode, "Invalid mode. Valid values are READWRITE, READONLY, and IMPORT")
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	subject := subjectOf(q)
	if m.Mode == sr.ModeImport && !flag(q, "force") && r.holds(subject) {
		return nil, fail(sr.ErrOperationNotPermitted, "Cannot import since found existing subjects")
	}
	return m, r.set(q, modeRecord, &m)
}

// holds reports whether the subject has versions; "" stands for any subject.
func (r *Registry) holds(subject string) bool {
	if subject == "" {
		return len(r.store.everything("", live)) > 0
	}
	return len(r.store.versions(subject, live)) > 0
}

// deleteMode responds with the former mode.
func (r *Registry) deleteMode(q *http.Request) (any, error) {
	subject := subjectOf(q)
	r.writing.Lock()
	defer r.writing.Unlock()
	m, own := r.store.mode(subject)
	if !own {
		return nil, fail(sr.ErrSubjectLevelModeNotConfigured, "Subject '%s' does not have subject-level mode configured", subject)
	}
	return modeValue{m}, r.set(q, modeRecord, nil)
}

// set writes a setting of the subject in the path, or the global one; a nil value deletes it. The
// caller holds r.writing.
func (r *Registry) set(q *http.Request, kind string, value any) error {
	subject := subjectOf(q)
	if subject != "" {
		if err := checkSubject(subject); err != nil {
			return err
		}
	}
	return r.write(q.Context(), change{settingKey(kind, subject), value})
}
