package registry

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/codec/json"
)

// contentType is the type of the responses of Confluent's registry; clients also accept and send
// others, and this registry accepts any.
const contentType = "application/vnd.schemaregistry.v1+json"

var errNoRoute = &sr.Error{Code: http.StatusNotFound, Name: "NOT_FOUND", Description: "There is no such path"}

// handler handles a request and returns the response, which is written as JSON.
type handler func(q *http.Request) (any, error)

func (r *Registry) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /{$}":                 func(*http.Request) (any, error) { return struct{}{}, nil },
		"/":                        func(*http.Request) (any, error) { return nil, fail(errNoRoute, "HTTP 404 Not Found") },
		"GET /v1/metadata/id":      getClusterID,
		"GET /v1/metadata/version": getVersion,
		"GET /contexts":            func(*http.Request) (any, error) { return []string{"."}, nil },

		"GET /schemas":                   r.getSchemas,
		"GET /schemas/types":             getTypes,
		"GET /schemas/ids/{id}":          r.getID,
		"GET /schemas/ids/{id}/schema":   r.getIDText,
		"GET /schemas/ids/{id}/subjects": r.getIDSubjects,
		"GET /schemas/ids/{id}/versions": r.getIDVersions,
		"GET /schemas/guids/{guid}":      r.getGUID,
		"GET /schemas/guids/{guid}/ids":  r.getGUIDIDs,

		"GET /subjects":                                             r.getSubjects,
		"POST /subjects/{subject}":                                  r.postLookup,
		"DELETE /subjects/{subject}":                                r.deleteSubject,
		"GET /subjects/{subject}/versions":                          r.getVersions,
		"POST /subjects/{subject}/versions":                         r.postVersion,
		"GET /subjects/{subject}/versions/{version}":                r.getVersion,
		"DELETE /subjects/{subject}/versions/{version}":             r.deleteVersion,
		"GET /subjects/{subject}/versions/{version}/schema":         r.getVersionText,
		"GET /subjects/{subject}/versions/{version}/referencedby":   r.getReferencedBy,
		"POST /compatibility/subjects/{subject}/versions":           r.postCompatibility,
		"POST /compatibility/subjects/{subject}/versions/{version}": r.postCompatibility,

		"GET /config":              r.getConfig,
		"PUT /config":              r.putConfig,
		"DELETE /config":           r.deleteConfig,
		"GET /config/{subject}":    r.getConfig,
		"PUT /config/{subject}":    r.putConfig,
		"DELETE /config/{subject}": r.deleteConfig,
		"GET /mode":                r.getMode,
		"PUT /mode":                r.putMode,
		"DELETE /mode":             r.deleteMode,
		"GET /mode/{subject}":      r.getMode,
		"PUT /mode/{subject}":      r.putMode,
		"DELETE /mode/{subject}":   r.deleteMode,
	} {
		mux.Handle(pattern, r.serve(h))
	}
	return mux
}

// serve makes an http.Handler of h. A panic ends the request, not the process: net/http recovers
// it.
func (r *Registry) serve(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		q.Body = http.MaxBytesReader(w, q.Body, maxBody)
		answer, err := h(q)
		status := http.StatusOK
		if err != nil {
			var code int
			var message string
			status, code, message = answerOf(err)
			if status >= http.StatusInternalServerError {
				r.log.Error("a request to the schema registry failed", "method", q.Method, "path", q.URL.Path, "err", err)
			}
			answer = map[string]any{"error_code": code, "message": message}
		}
		body, err := json.Marshal(answer)
		if err != nil {
			r.log.Error("a response of the schema registry cannot be written", "path", q.URL.Path, "err", err)
			status = http.StatusInternalServerError
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write(body) // an error: the client is gone
	})
}

// readJSON reads the body into v. Members that v does not have are for newer registries, and are
// ignored.
func readJSON(q *http.Request, v any) error {
	body, err := io.ReadAll(q.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fail(sr.ErrSchemaTooLarge, "The request is larger than %d bytes", maxBody)
	} else if err != nil {
		return fail(sr.ErrInvalidSchema, "cannot read the request: %v", err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fail(sr.ErrInvalidSchema, "cannot read the request as JSON: %v", err)
	}
	return nil
}

// flag is a query parameter that is true or not; Python's clients write True.
func flag(q *http.Request, name string) bool {
	return strings.EqualFold(q.URL.Query().Get(name), "true")
}

// subjectOf is the subject in the path, "" for none.
func subjectOf(q *http.Request) string { return plainSubject(q.PathValue("subject")) }

// prefixOf returns ?subjectPrefix; Java's clients ask for all contexts by :*:
func prefixOf(q *http.Request) string {
	return strings.TrimPrefix(plainSubject(q.URL.Query().Get("subjectPrefix")), ":*:")
}

// plainSubject removes the name of the only context.
func plainSubject(subject string) string { return strings.TrimPrefix(subject, ":.:") }

// scopeOf reads ?deleted and ?deletedOnly.
func scopeOf(q *http.Request) scope {
	switch {
	case flag(q, "deletedOnly"):
		return deleted
	case flag(q, "deleted"):
		return all
	}
	return live
}

func idOf(q *http.Request) (int, error) {
	id, err := strconv.ParseInt(q.PathValue("id"), 10, 32)
	if err != nil || id <= 0 {
		return 0, fail(sr.ErrSchemaNotFound, "Schema %s not found", q.PathValue("id"))
	}
	return int(id), nil
}

// latestVersion is the number that stands for the latest version in a request.
const latestVersion = -1

func numberOf(q *http.Request) (int, error) {
	text := q.PathValue("version")
	n, err := strconv.ParseInt(text, 10, 32)
	switch {
	case text == "latest", err == nil && n == latestVersion:
		return latestVersion, nil
	case err != nil || n <= 0:
		return 0, fail(sr.ErrInvalidVersion, "The specified version '%s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"", text)
	}
	return int(n), nil
}

// page returns the part of a list that ?offset and ?limit select.
func page[T any](q *http.Request, list []T) []T {
	if offset, err := strconv.Atoi(q.URL.Query().Get("offset")); err == nil && offset > 0 {
		list = list[min(offset, len(list)):]
	}
	if limit, err := strconv.Atoi(q.URL.Query().Get("limit")); err == nil && limit >= 0 {
		list = list[:min(limit, len(list))]
	}
	if list == nil {
		list = []T{} // [] and not null
	}
	return list
}
