package lint

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// part tells which part of the repository needs a module. A module has the first part, in
// the order of the constants, that one of its importers belongs to.
type part int

// The parts, from that which every user runs to that which only a developer runs.
const (
	forProduct part = iota
	forDevMode
	forLaboratory
	forTests
	forTool
)

// String returns the part as docs/dependencies.md names it.
func (p part) String() string {
	return [...]string{"Product", "Dev mode", "Load tests and benchmarks", "Tests", "Tools"}[p]
}

// moduleInfo is a direct module of go.mod.
type moduleInfo struct {
	path, licence string
	part          part
}

// partOf returns the part that a file belongs to.
func partOf(f *File) part {
	switch c := component(f.Dir); {
	case f.Test || c == testkit || c == "internal/lint":
		return forTests
	case slices.Contains([]string{"bench", "loadtest", "tune", "internal/lab"}, c):
		return forLaboratory
	case c == "internal/registry" || c == "cmd" && f.Name == "dev.go":
		return forDevMode
	}
	return forProduct
}

// partsOf returns the part of each module that files import. The longest module path
// that holds an import is its module.
func partsOf(files []*File, modules []string) map[string]part {
	parts := map[string]part{}
	for _, f := range files {
		for _, spec := range f.AST.Imports {
			m := moduleOf(importPath(spec.Path.Value), modules)
			if have, ok := parts[m]; m != "" && (!ok || partOf(f) < have) {
				parts[m] = partOf(f)
			}
		}
	}
	return parts
}

func moduleOf(lib string, modules []string) string {
	longest := ""
	for _, m := range modules {
		if within(lib, m) && len(m) > len(longest) {
			longest = m
		}
	}
	return longest
}

// directModules reads go.mod and the licences of its direct modules, sorted by path.
func directModules(files []*File) ([]moduleInfo, error) {
	direct, tools, err := readGoMod()
	if err != nil {
		return nil, err
	}
	dirs, err := moduleDirs(slices.Concat(direct, tools))
	if err != nil {
		return nil, err
	}
	parts := partsOf(files, direct)
	var all []moduleInfo
	for path, dir := range dirs {
		text, err := readLicence(dir)
		if err != nil {
			return nil, err
		}
		m := moduleInfo{path: path, licence: licence(text), part: forTool}
		if p, imported := parts[path]; imported {
			m.part = p
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b moduleInfo) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// readGoMod returns the direct modules, and those of the tools.
func readGoMod() (direct, tools []string, err error) {
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read go.mod: %w", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Tool []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, nil, fmt.Errorf("cannot read go.mod: %w", err)
	}
	var required []string
	for _, r := range mod.Require {
		required = append(required, r.Path)
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	for _, tool := range mod.Tool {
		if m := moduleOf(tool.Path, required); !slices.Contains(direct, m) {
			tools = append(tools, m)
		}
	}
	return direct, tools, nil
}

// moduleDirs returns where the sources of modules are; those that are not in the module
// cache are downloaded.
func moduleDirs(paths []string) (map[string]string, error) {
	out, err := exec.Command("go", append([]string{"mod", "download", "-json"}, paths...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot find the modules: %w", err)
	}
	dirs := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Dir string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("cannot read the list of modules: %w", err)
		}
		dirs[m.Path] = m.Dir
	}
}

// readLicence returns the text of the licence file in a module's folder.
func readLicence(dir string) (string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", fmt.Errorf("cannot look for a licence: %w", err)
	}
	for _, name := range names {
		base := strings.ToUpper(filepath.Base(name))
		base = strings.TrimSuffix(strings.TrimSuffix(base, ".TXT"), ".MD")
		if base == "LICENSE" || base == "LICENCE" || base == "COPYING" {
			text, err := os.ReadFile(name)
			if err != nil {
				return "", fmt.Errorf("cannot read a licence: %w", err)
			}
			return string(text), nil
		}
	}
	return "", fmt.Errorf("%s has no licence file", dir)
}

// licence returns the SPDX names of the licences in a text, "" when it knows none of them.
// A file with several has parts from several authors.
func licence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(phrase string) bool { return strings.Contains(text, phrase) }
	var names []string
	if has("Apache License") {
		names = append(names, "Apache-2.0")
	}
	switch {
	case !has("Redistribution and use in source and binary forms"):
	case has("Neither the name") || has("names of its contributors"):
		names = append(names, "BSD-3-Clause")
	default:
		names = append(names, "BSD-2-Clause")
	}
	if has("Permission is hereby granted, free of charge") {
		names = append(names, "MIT")
	}
	return strings.Join(names, ", ")
}

// unexplained reports modules without a reason or a known licence, and reasons without a
// module.
func unexplained(modules []moduleInfo) []Problem {
	var out []Problem
	left := maps.Clone(dependencies)
	for _, m := range modules {
		if dependencies[m.path] == "" {
			out = append(out, Problem{"go.mod", m.path + " has no row: say in internal/lint/dependencies.go why it is needed"})
		}
		if m.licence == "" {
			out = append(out, Problem{"go.mod", m.path + " has an unknown licence: look at it, and teach modules.go its text"})
		}
		delete(left, m.path)
	}
	for _, path := range slices.Sorted(maps.Keys(left)) {
		out = append(out, Problem{"internal/lint/dependencies.go", path + " has a row and is not in go.mod"})
	}
	return out
}

const dependenciesHead = `# Dependencies

This page is generated from go.mod, the licence files of the modules, and two tables of
` + "`internal/lint`" + `: the reasons (dependencies.go) and the fences (imports.go);
` + "`go test ./internal/lint -run TestDependencies -update`" + ` rewrites it. A module of go.mod that has no
row fails that test, and so does an import outside of its fence.

The list has the direct modules. Each stands under the first part of the repository that needs it:
the product before dev mode, load tests and tests. "Everywhere" means that no fence holds the
module; the layers in imports.go hold all the same. ` + "`*_test.go`" + ` stands for the tests of all
packages.
`

// writeDependencies writes docs/dependencies.md.
func writeDependencies(w io.Writer, modules []moduleInfo) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, dependenciesHead)
	for p := forProduct; p <= forTool; p++ {
		fmt.Fprintf(out, "\n## %s\n\n| module | licence | why | who may import it |\n|---|---|---|---|\n", p)
		for _, m := range modules {
			if m.part == p {
				fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", m.path, m.licence, dependencies[m.path], importers(m))
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("cannot write the dependencies: %w", err)
	}
	return nil
}

// importers returns who may import a module, by its fence.
func importers(m moduleInfo) string {
	if m.part == forTool {
		return "nothing: it is run, not imported"
	}
	for _, fence := range fences {
		if within(m.path, fence.library) {
			return "`" + strings.Join(fence.within, "`, `") + "`: " + fence.why
		}
	}
	return "everywhere"
}
