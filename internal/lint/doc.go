// Package lint holds the rules of the house that no linter knows, as a test:
// `go test ./internal/lint` reads every Go file of the module and fails on each
// broken rule with its place.
//
//   - imports.go: who may import whom (one table of layers) and which package
//     may use which library (one table of fences), both with the reason.
//   - bodies.go: the one place that reads the body of a request.
//   - dependencies.go: why each module of go.mod is there; modules.go reads go.mod and
//     the licences, and writes docs/dependencies.md of both.
//   - citations.go: the tests and files that documents name exist.
//   - sizes.go: lines of a file and of a function, files of a package, number of
//     parameters.
//   - prose.go: the words of comments and documents, their width, and the key of an
//     error in the log.
//   - words.go: names that say nothing, comments that are missing or left over,
//     sleeping in tests.
//   - tree.go: finds and parses the files; a rule is a function from a [File]
//     to what is wrong with it, so each is shown to fire in a test on a few
//     lines of Go.
//
// A rule here is a decision that can be changed: change its table and say why in the reason
// next to it. The findings of formatting, vet and staticcheck are not repeated; `make lint`
// runs those. Nothing imports this package, and it changes no file.
package lint
