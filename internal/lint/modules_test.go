package lint

import (
	"flag"
	"io"
	"strings"
	"testing"

	kit "millrace/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite docs/dependencies.md")

// TestDependencies holds docs/dependencies.md to go.mod, and go.mod to the table of reasons.
func TestDependencies(t *testing.T) {
	files, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	modules, err := directModules(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range unexplained(modules) {
		t.Error(p)
	}
	kit.Reference(t, "../../docs/dependencies.md", *update, func(w io.Writer) error { return writeDependencies(w, modules) })
}

// TestUnexplainedModules shows each fault of the table on modules that have it.
func TestUnexplainedModules(t *testing.T) {
	var good []moduleInfo
	for path := range dependencies {
		good = append(good, moduleInfo{path: path, licence: "MIT"})
	}
	breaks(t, unexplained(good), "")
	breaks(t, unexplained(good[1:]), "has a row and is not in go.mod")
	breaks(t, unexplained(append(good, moduleInfo{path: "example.com/new", licence: "MIT"})), "example.com/new has no row")
	good[0].licence = ""
	breaks(t, unexplained(good), "unknown licence")
}

func TestLicences(t *testing.T) {
	for text, want := range map[string]string{
		"MIT License\n\nPermission is hereby granted,\nfree of charge, to any person": "MIT",
		"Apache License\nVersion 2.0":                                                             "Apache-2.0",
		"Redistribution and use in source and binary forms, with or without":                      "BSD-2-Clause",
		"Redistribution and use in source and binary\nforms. Neither the name of Google Inc. nor": "BSD-3-Clause",
		"Redistribution and use in source and binary forms. Neither the name. Apache License":     "Apache-2.0, BSD-3-Clause",
		"All rights reserved.": "",
	} {
		if got := licence(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestPartsOfModules(t *testing.T) {
	lib := "package p\nimport _ \"example.com/lib/sub\"\n"
	modules := []string{"example.com/lib", "example.com/li", "example.com"}
	var files []*File
	for _, step := range []struct {
		file string
		want part
	}{
		{"batch/a_test.go", forTests},
		{"internal/testkit/a.go", forTests},
		{"loadtest/a.go", forLaboratory},
		{"cmd/millrace/dev.go", forDevMode},
		{"cmd/millrace/serve.go", forProduct},
		{"batch/b_test.go", forProduct},
	} {
		files = append(files, sample(t, step.file, lib))
		parts := partsOf(files, modules)
		if got, ok := parts["example.com/lib"]; !ok || got != step.want || len(parts) != 1 {
			t.Errorf("with %s: %v, want %v of example.com/lib alone", step.file, parts, step.want)
		}
	}
}

// TestEveryFenceHoldsAModule finds fences of modules that go.mod no longer has, and modules
// with two.
func TestEveryFenceHoldsAModule(t *testing.T) {
	direct, _, err := readGoMod()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, fence := range fences {
		if seen[fence.library] {
			t.Errorf("%s has two fences", fence.library)
		}
		seen[fence.library] = true
		held := strings.HasPrefix(fence.library, Module+"/") || fence.library == "encoding/json"
		for _, m := range direct {
			held = held || within(m, fence.library) || within(fence.library, m)
		}
		if !held {
			t.Errorf("%s has a fence and is not in go.mod", fence.library)
		}
	}
}
