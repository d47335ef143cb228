package registry

import (
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
)

func getTypes(*http.Request) (any, error) {
	return []string{sr.TypeJSON.String(), sr.TypeProtobuf.String(), sr.TypeAvro.String()}, nil
}

func getClusterID(*http.Request) (any, error) {
	return map[string]any{"id": "", "scope": map[string]any{
		"path": []string{}, "clusters": map[string]string{"kafka-cluster": "millrace-dev", "schema-registry-cluster": "schema-registry"},
	}}, nil
}

func getVersion(*http.Request) (any, error) {
	return map[string]string{"version": "millrace", "commitId": ""}, nil
}

func (r *Registry) getSchemas(q *http.Request) (any, error) {
	found := r.store.everything(prefixOf(q), scopeOf(q))
	if flag(q, "latestOnly") {
		found = latestOnly(found)
	}
	out := []sr.SubjectSchema{}
	for _, v := range page(q, found) {
		out = append(out, v.SubjectSchema)
	}
	return out, nil
}

// latestOnly keeps the last version of each subject.
func latestOnly(versions []*version) []*version {
	var out []*version
	for i, v := range versions {
		if i+1 == len(versions) || versions[i+1].Subject != v.Subject {
			out = append(out, v)
		}
	}
	return out
}

// byID finds the versions with the request's id; with ?subject those of that subject, if it has
// any. Confluent's registry takes a subject without it for no more than its context.
func (r *Registry) byID(q *http.Request) ([]*version, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	found := r.store.withID(id)
	if subject := plainSubject(q.URL.Query().Get("subject")); subject != "" {
		own := slices.DeleteFunc(slices.Clone(found), func(v *version) bool { return v.Subject != subject })
		if len(own) > 0 {
			found = own
		}
	}
	if len(found) == 0 {
		return nil, schemaNotFound(id)
	}
	return found, nil
}

func (r *Registry) getID(q *http.Request) (any, error) {
	found, err := r.byID(q)
	if err != nil {
		return nil, err
	}
	s, err := r.formatted(q, found[0])
	if err != nil {
		return nil, err
	}
	if flag(q, "fetchMaxId") {
		_, last := r.store.size()
		return struct {
			sr.Schema
			MaxID int `json:"maxId"`
		}{s, last}, nil
	}
	return s, nil
}

func (r *Registry) getIDText(q *http.Request) (any, error) {
	found, err := r.byID(q)
	if err != nil {
		return nil, err
	}
	s, err := r.formatted(q, found[0])
	return s.Schema, err
}

func (r *Registry) getIDSubjects(q *http.Request) (any, error) {
	found, err := r.byID(q)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, v := range found {
		if scopeOf(q).sees(v) {
			out = append(out, v.Subject)
		}
	}
	return page(q, slices.Compact(out)), nil
}

// subjectVersion is a version as some responses name it.
type subjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

func (r *Registry) getIDVersions(q *http.Request) (any, error) {
	found, err := r.byID(q)
	if err != nil {
		return nil, err
	}
	var out []subjectVersion
	for _, v := range found {
		if scopeOf(q).sees(v) {
			out = append(out, subjectVersion{v.Subject, v.Version})
		}
	}
	return page(q, out), nil
}

func (r *Registry) byGUID(q *http.Request) (*version, error) {
	for _, v := range r.store.everything("", all) {
		if v.GUID == q.PathValue("guid") {
			return v, nil
		}
	}
	return nil, fail(sr.ErrSchemaNotFound, "Schema %s not found", q.PathValue("guid"))
}

func (r *Registry) getGUID(q *http.Request) (any, error) {
	v, err := r.byGUID(q)
	if err != nil {
		return nil, err
	}
	s, err := r.formatted(q, v)
	return sr.SubjectSchema{GUID: v.GUID, Schema: s}, err
}

func (r *Registry) getGUIDIDs(q *http.Request) (any, error) {
	v, err := r.byGUID(q)
	if err != nil {
		return nil, err
	}
	return []sr.ContextID{{Context: ".", ID: v.ID}}, nil
}

func (r *Registry) getSubjects(q *http.Request) (any, error) {
	var out []string
	alive := map[string]bool{}
	sc := scopeOf(q)
	for _, v := range r.store.everything(prefixOf(q), all) {
		if sc == all || !v.deleted {
			alive[v.Subject] = true
		}
		out = append(out, v.Subject)
	}
	// A subject is deleted when all of its versions are.
	out = slices.DeleteFunc(slices.Compact(out), func(s string) bool { return alive[s] == (sc == deleted) })
	return page(q, out), nil
}

func (r *Registry) getVersions(q *http.Request) (any, error) {
	subject := subjectOf(q)
	found := r.store.versions(subject, scopeOf(q))
	if len(found) == 0 {
		return nil, subjectNotFound(subject)
	}
	return page(q, numbers(found)), nil
}

// version finds the version that the path names.
func (r *Registry) version(q *http.Request) (*version, error) {
	number, err := numberOf(q)
	if err != nil {
		return nil, err
	}
	subject := subjectOf(q)
	known := r.store.versions(subject, scopeOf(q))
	switch {
	case len(known) == 0:
		return nil, subjectNotFound(subject)
	case number == latestVersion:
		return known[len(known)-1], nil
	}
	for _, v := range known {
		if v.Version == number {
			return v, nil
		}
	}
	return nil, versionNotFound(number)
}

func (r *Registry) getVersion(q *http.Request) (any, error) {
	v, err := r.version(q)
	if err != nil {
		return nil, err
	}
	out := v.SubjectSchema
	out.Schema, err = r.formatted(q, v)
	return out, err
}

func (r *Registry) getVersionText(q *http.Request) (any, error) {
	v, err := r.version(q)
	if err != nil {
		return nil, err
	}
	s, err := r.formatted(q, v)
	return s.Schema, err
}

func (r *Registry) getReferencedBy(q *http.Request) (any, error) {
	v, err := r.version(q)
	if err != nil {
		return nil, err
	}
	ids := []int{}
	for _, by := range r.store.referencing(v.Subject, v.Version, scopeOf(q)) {
		ids = append(ids, by.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// formatted is the schema as ?format asks for it. Clients without a compiler
// for Protobuf ask for "serialized": the descriptor, in base64.
func (r *Registry) formatted(q *http.Request, v *version) (sr.Schema, error) {
	s := v.Schema
	if s.Type != sr.TypeProtobuf || q.URL.Query().Get("format") != "serialized" {
		return s, nil
	}
	p, err := r.parse(v)
	if err != nil {
		return s, err
	}
	file := protodesc.ToFileDescriptorProto(p.(protobufSchema).FileDescriptor)
	file.Name = proto.String("schema.main.proto") // clients replace it by their own
	raw, err := proto.Marshal(file)
	s.Schema = base64.StdEncoding.EncodeToString(raw)
	return s, err
}
