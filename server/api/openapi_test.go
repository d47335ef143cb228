package api_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"millrace/internal/apierr"
	"millrace/server/api"
	"millrace/server/ops"
)

// described is the part of the document that a test reads.
type described struct {
	Paths      map[string]map[string]struct{ Summary string }
	Components struct {
		Schemas map[string]struct{ Enum []any }
	}
}

// everything is an API with every route and no parts behind it.
func everything() *api.API {
	return api.New(api.Settings{Admin: true, UI: true}, api.Parts{Logger: slog.New(slog.DiscardHandler)})
}

// The document has every route and nothing else.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	var doc described
	text := ops.Document()
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var have, want []string
	for path, methods := range doc.Paths {
		for method, about := range methods {
			have = append(have, strings.ToUpper(method)+" "+path)
			if about.Summary == "" {
				t.Errorf("%s %s says nothing", method, path)
			}
		}
	}
	for r := range everything().Routes() {
		want = append(want, r.Method+" "+r.Path)
	}
	for _, r := range want {
		if !slices.Contains(have, r) {
			t.Errorf("openapi.yaml lacks %s", r)
		}
	}
	for _, r := range have {
		if !slices.Contains(want, r) {
			t.Errorf("openapi.yaml has %s, which is no route", r)
		}
	}
	var codes []any
	for _, k := range apierr.Kinds() {
		codes = append(codes, k.Code)
	}
	slices.SortFunc(codes, func(a, b any) int { return a.(int) - b.(int) })
	if have, want := doc.Components.Schemas["ErrorCode"].Enum, slices.Compact(codes); !slices.Equal(have, want) {
		t.Errorf("ErrorCode has %v, want %v", have, want)
	}
}
