package lint

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// layers is who may import whom: a package imports only from rows above its
// own, and from its own component. internal/NAME is in the row of "internal" unless it has
// a place of its own; a folder below server is a component of its own.
var layers = [][]string{
	{"internal/bounded", "internal/singleflight", "internal/fair", "docs"},
	{"internal", "pool", "metrics"},
	{"codec"},
	{"schema", "spool", "internal/registry"},
	{"reader"},
	{"batch", "consumer", "metadata", "admin", "auth", "cluster"},
	{"server/intake", "server/idempotency"},
	{"server"},
	{"server/rest", "server/v3", "server/ops", "server/peer", "server/ui", "ingest"},
	{"server/api"},
	{"config"},
	{"bench", "loadtest", "tune"},
	{"internal/faults", "internal/simulation"},
	{"cmd"},
}

// edgeImports are the components that the HTTP edge may know. It is handed routes, and
// knows no resource: what a resource needs stays in the resource's package.
var edgeImports = []string{"auth", "pool", "metrics", "codec", "internal/apierr", "internal/fair", "internal/tracing", "server/intake", "server/idempotency"}

const (
	testkit = "internal/testkit"
	lab     = "internal/lab"
	faulty  = "internal/faults"
)

// reserved are packages that the product does without: tests may import them, and the
// components named here.
var reserved = map[string][]string{
	testkit: {testkit, faulty, "bench", "loadtest"},     // starts brokers and child processes
	lab:     {lab, faulty, "bench", "loadtest", "tune"}, // measures
	faulty:  {faulty},                                   // breaks
}

// fence says where a library, or a package of ours, may be imported.
type fence struct {
	library string   // and all packages below it
	within  []string // folders, with all below them, and single files
	why     string
}

var fences = []fence{
	{"github.com/valyala/fasthttp", edge, "the rest must not know which HTTP library there is"},
	{"github.com/fasthttp/router", edge, "the rest must not know which HTTP library there is"},
	{"github.com/bytedance/sonic", []string{"codec/json"}, "one place decides how JSON is read: use codec/json"},
	// codec/json has the types of encoding/json. cluster/record.go writes keys whose bytes must
	// not change. loadtest/check judges the product, and so reads JSON by another reader. The rest is
	// below codec, or no part of the product.
	{"encoding/json", []string{"codec/json", "cluster/record.go", "loadtest/check", lab, testkit, "internal/lint", "bench", "examples", testsOnly}, "one place decides how JSON is read: use codec/json"},
	{"github.com/hamba/avro", []string{"codec/avro"}, "it is no longer maintained: changing it must stay a change of one folder"},
	{"github.com/twmb/franz-go/pkg/kfake", []string{"internal/testkit", "cmd", "bench", "loadtest", testsOnly}, "the product talks to brokers and holds none, but for dev mode"},
	{Module + "/internal/registry", []string{"internal/registry", faulty, "cmd", testsOnly}, "the product is a client of a registry, and is none but in dev mode"},
	{"github.com/pavlo-v-chernykh/keystore-go", []string{"internal/javaconf", testsOnly}, "one place reads what Java wrote"},
	{"software.sslmate.com/src/go-pkcs12", []string{"internal/javaconf", testsOnly}, "one place reads what Java wrote"},
	{"github.com/HdrHistogram/hdrhistogram-go", []string{lab}, "one histogram for all that measures"},
	{"github.com/tsenart/vegeta", []string{"loadtest"}, "its latency hides a stall: only loadtest, which takes the time itself, fires by it"},
	{"go.uber.org/goleak", []string{testkit, testsOnly}, "it belongs to tests"},
	{"github.com/twmb/avro", []string{testsOnly}, "the product has one Avro library; this one is a second opinion in tests"},
	{"github.com/alecthomas/kong", []string{"cmd"}, "only the command line knows flags"},
	{"github.com/agnivade/levenshtein", []string{"config", "server"}, "only settings and query parameters have a nearest name"},
	{"github.com/prometheus", []string{"metrics", testsOnly}, "one place names the figures; the other packages count"},
	{"github.com/twmb/franz-go/plugin/kprom", []string{"metrics"}, "one place names the figures; the other packages count"},
	{"go.opentelemetry.io/otel", []string{"internal/tracing"}, "tracing is off by default, and the other packages must not notice"},
	{"github.com/twmb/franz-go/plugin/kotel", []string{"internal/tracing"}, "tracing is off by default, and the other packages must not notice"},
	{"go.opentelemetry.io/proto/otlp", []string{testkit, testsOnly}, "only the collector of the tests reads spans"},
	{"github.com/bufbuild/protocompile", []string{"codec/protobuf", testsOnly}, "one place compiles Protobuf schemas"},
	{"github.com/santhosh-tekuri/jsonschema", []string{"codec/jsonschema", testsOnly}, "one place validates by JSON Schema, and bounds its work"},
	{"github.com/dlclark/regexp2", []string{"codec/jsonschema"}, "it backtracks: one place bounds its time"},
	{"github.com/twmb/franz-go/pkg/sr", []string{"schema", "internal/registry", "bench", testsOnly}, "one client of the registry, with one cache and one set of bounds"},
	{"github.com/pierrec/lz4", []string{"internal/kafka"}, "only batches for Kafka are lz4"},
	{"github.com/minio/simdjson-go", []string{"bench", testkit}, "only its test data is used, as input of tests and benchmarks"},
	{"go.yaml.in/yaml", []string{"auth", "ingest", "server/ops", "loadtest", testsOnly}, "only rules about callers, routes of events, the description of the API and scenarios of load tests are YAML"},
	{"github.com/go-jose/go-jose", []string{"auth", testkit, testsOnly}, "one place decides which signatures are good"},
	{"golang.org/x/crypto", []string{"auth", testsOnly}, "one place compares passwords"},
	{"github.com/jcmturner/gokrb5", []string{"internal/kafka"}, "its last release is of 2023: replacing it must stay a change of one file"},
	{"github.com/twmb/franz-go/pkg/sasl/kerberos", []string{"internal/kafka"}, "as gokrb5"},
	{"golang.org/x/oauth2", []string{"internal/kafka"}, "only connections to Kafka take tokens"},
	{"github.com/VictoriaMetrics/metricsql", []string{testsOnly}, "it checks the queries of deploy/ in tests"},
	{"github.com/magiconair/properties", []string{testsOnly}, "it is a second opinion on javaconf in tests"},
}

// edge is where HTTP is spoken.
var edge = []string{"server", "ingest", "bench", "loadtest", "cmd"}

// testsOnly stands in a fence for the test files of every package.
const testsOnly = "*_test.go"

// Layers reports imports of our own packages that go up or sideways.
func Layers(f *File) []Problem {
	from := component(f.Dir)
	var out []Problem
	for _, spec := range f.AST.Imports {
		target, ours := strings.CutPrefix(importPath(spec.Path.Value), Module+"/")
		to := component(target)
		switch {
		case !ours || from == to:
		case reserved[to] != nil:
			if !f.Test && !slices.Contains(reserved[to], from) {
				out = append(out, f.problem(spec.Pos(), "%s is for tests and %s", to, strings.Join(reserved[to], ", ")))
			}
		case from == "server" && !f.Test && !slices.Contains(edgeImports, to):
			out = append(out, f.problem(spec.Pos(), "the HTTP edge must not import %s: it knows no resource", target))
		case layer(from) < 0 || layer(to) < 0:
			out = append(out, f.problem(spec.Pos(), "%s or %s has no layer: give it one in internal/lint/imports.go", f.Dir, target))
		case layer(to) >= layer(from):
			out = append(out, f.problem(spec.Pos(), "%s must not import %s: imports go down only, never up or sideways", f.Dir, target))
		}
	}
	return out
}

// Fences reports libraries that are used outside of their fence.
func Fences(f *File) []Problem {
	var out []Problem
	for _, spec := range f.AST.Imports {
		lib := importPath(spec.Path.Value)
		for _, fence := range fences {
			if within(lib, fence.library) && !fence.allows(f) {
				out = append(out, f.problem(spec.Pos(), "%s is only for %s: %s", fence.library, strings.Join(fence.within, ", "), fence.why))
			}
		}
	}
	return out
}

func (fe fence) allows(f *File) bool {
	return slices.ContainsFunc(fe.within, func(dir string) bool {
		return within(path.Join(f.Dir, f.Name), dir) || dir == testsOnly && f.Test
	})
}

// harmless is what of unsafe looks at types and at no memory.
var harmless = []string{"Sizeof", "Alignof", "Offsetof"}

// Unsafe reports the use of unsafe outside of pool/unsafe.go: views of bytes as
// strings are made in one place, where their lifetime is explained. pool's
// tests may look at pointers, and the size of a type is no secret anywhere.
func Unsafe(f *File) []Problem {
	if f.Dir == "pool" && (f.Name == "unsafe.go" || f.Test) {
		return nil
	}
	const want = "only for pool/unsafe.go; use its functions"
	var out []Problem
	for _, spec := range f.AST.Imports {
		if importPath(spec.Path.Value) == "unsafe" && spec.Name != nil {
			out = append(out, f.problem(spec.Pos(), "unsafe under another name is %s", want))
		}
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && !slices.Contains(harmless, sel.Sel.Name) {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "unsafe" {
				out = append(out, f.problem(sel.Pos(), "unsafe.%s is %s", sel.Sel.Name, want))
			}
		}
		return true
	})
	return out
}

// component is the first element of a package's path, the first two below internal
// and server, where each folder is a thing of its own.
func component(dir string) string {
	parts := strings.SplitN(dir, "/", 3)
	if (parts[0] == "internal" || parts[0] == "server") && len(parts) > 1 {
		return path.Join(parts[0], parts[1])
	}
	return parts[0]
}

// layer is the row of a component, -1 when it has none.
func layer(component string) int {
	row := slices.IndexFunc(layers, func(row []string) bool { return slices.Contains(row, component) })
	if row < 0 && strings.HasPrefix(component, "internal/") {
		return layer("internal")
	}
	return row
}

// within reports whether a path is dir or below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func importPath(literal string) string {
	p, err := strconv.Unquote(literal)
	if err != nil {
		return literal // the compiler will say more about it
	}
	return p
}
