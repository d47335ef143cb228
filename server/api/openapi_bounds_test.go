package api_test

import (
	"net/http"
	"strings"
	"testing"

	"millrace/server/ops"
)

// TestOpenAPIHasTheBounds has the document take each member of each body as long as it
// may be, and refuse it one longer, as the routes do.
func TestOpenAPIHasTheBounds(t *testing.T) {
	t.Parallel()
	text := ops.Document()
	doc, err := parseOpenAPI(text)
	if err != nil {
		t.Fatal(err)
	}
	bodies := 0
	for r := range everything().Routes() {
		path := strings.NewReplacer("{group}", "g", "{instance}", "i").Replace(r.Path)
		tooLong := func(body string) bool {
			req, err := http.NewRequest(r.Method, "http://h"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			media := "application/vnd.kafka.v2+json"
			if path == "/admin/config" || strings.HasPrefix(path, "/v3/") {
				media = "application/json"
			}
			req.Header.Set("Content-Type", media)
			err = doc.checkRequest(req, body) // which may have other reasons, too
			return err != nil && (strings.Contains(err.Error(), "maxLength") || strings.Contains(err.Error(), "maxItems"))
		}
		for _, m := range r.Body {
			for _, within := range sized(m, 0) {
				if tooLong(within.body) {
					t.Errorf("%s %s: openapi.yaml refuses %s at its bound", r.Method, r.Path, within.name)
				}
			}
			for _, beyond := range sized(m, 1) {
				bodies++
				if !tooLong(beyond.body) {
					t.Errorf("%s %s: openapi.yaml takes %s past its bound", r.Method, r.Path, beyond.name)
				}
			}
		}
	}
	if bodies == 0 {
		t.Error("no route has a body")
	}
}
