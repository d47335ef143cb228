package lint

import (
	"fmt"
	"path"
	"strings"
	"testing"
)

// TestHouseRules is the gate: the module as it is breaks no rule.
func TestHouseRules(t *testing.T) {
	files, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d files found: the rules did not see the module", len(files))
	}
	for _, p := range Check(files) {
		t.Error(p)
	}
	for _, f := range files {
		for _, p := range LongFunctions(f) {
			t.Log("look at it: " + p.String())
		}
	}
}

// sample parses a few lines of Go as the given file of the module.
func sample(t *testing.T, file, src string) *File {
	t.Helper()
	dir, name := path.Split(file)
	f, err := parse("/m", path.Join("/m", dir), name, src)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// breaks checks that exactly one problem is found, with want in its text, or
// none at all when want is empty.
func breaks(t *testing.T, problems []Problem, want string) {
	t.Helper()
	switch {
	case want == "" && len(problems) == 0:
	case want != "" && len(problems) == 1 && strings.Contains(problems[0].String(), want):
	default:
		t.Errorf("want %q, have %v", want, problems)
	}
}

func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		rule                Rule
		file, imports, want string
	}{
		{Layers, "server/rest/a.go", "millrace/batch", ""},
		{Layers, "server/rest/a.go", "millrace/server", ""},
		{Layers, "server/a.go", "millrace/batch", "the HTTP edge must not import batch"},
		{Layers, "server/a.go", "millrace/server/rest", "the HTTP edge must not import server/rest"},
		{Layers, "server/rest/a.go", "millrace/server/peer", "never up or sideways"},
		{Layers, "server/a.go", "millrace/internal/apierr", ""},
		{Layers, "cmd/millrace/a.go", "millrace/config", ""},
		{Layers, "codec/json/a.go", "millrace/codec", ""},
		{Layers, "config/a.go", "millrace/server", ""},
		{Layers, "bench/a.go", "millrace/internal/testkit", ""},
		{Layers, "batch/a_test.go", "millrace/internal/testkit", ""},
		{Layers, "internal/kafka/a_test.go", "millrace/internal/testkit", ""},
		{Layers, "internal/testkit/cmd/kafka/a.go", "millrace/internal/testkit", ""},
		{Layers, "batch/a.go", "millrace/server", "batch/a.go:2: batch must not import server"},
		{Layers, "batch/a.go", "millrace/consumer", "never up or sideways"},
		{Layers, "batch/a_test.go", "millrace/server", "never up or sideways"},
		{Layers, "internal/kafka/a.go", "millrace/internal/apierr", "never up or sideways"},
		{Layers, "pool/a.go", "millrace/metrics", "never up or sideways"},
		{Layers, "server/a.go", "millrace/internal/testkit", "is for tests"},
		{Layers, "server/rest/a.go", "millrace/extra", "has no layer"},
		{Layers, "internal/registry/a.go", "millrace/codec/avro", ""},
		{Layers, "internal/registry/a.go", "millrace/schema", "never up or sideways"},
		{Layers, "schema/a_test.go", "millrace/internal/registry", "never up or sideways"},
		{Layers, "tune/a.go", "millrace/internal/lab", ""},
		{Layers, "codec/avro/a_test.go", "millrace/internal/lab", ""},
		{Layers, "cmd/millrace/a.go", "millrace/internal/lab", "is for tests and internal/lab, internal/faults, bench"},
		{Layers, "internal/lab/a.go", "millrace/internal/kafka", "never up or sideways"},
		{Layers, "extra/a.go", "millrace/pool", "has no layer"},

		{Fences, "server/a.go", "github.com/valyala/fasthttp", ""},
		{Fences, "ingest/a.go", "github.com/valyala/fasthttp/fasthttputil", ""},
		{Fences, "batch/a.go", "github.com/valyala/fasthttp", "batch/a.go:2: github.com/valyala/fasthttp is only for"},
		{Fences, "batch/a_test.go", "github.com/valyala/fasthttp", "is only for"},
		{Fences, "metadata/a.go", "github.com/fasthttp/router", "is only for"},
		{Fences, "codec/json/a.go", "github.com/bytedance/sonic/ast", ""},
		{Fences, "codec/avro/a.go", "github.com/bytedance/sonic", "one place decides"},
		{Fences, "server/a_test.go", "github.com/bytedance/sonic", "one place decides"},
		{Fences, "cluster/record.go", "encoding/json", ""},
		{Fences, "cluster/a.go", "encoding/json", "one place decides"},
		{Fences, "cluster/a_test.go", "encoding/json", ""},
		{Fences, "codec/avro/a.go", "github.com/hamba/avro/v2", ""},
		{Fences, "codec/a.go", "github.com/hamba/avro/v2", "no longer maintained"},
		{Fences, "codec/avro/a_test.go", "github.com/twmb/avro", ""},
		{Fences, "codec/avro/a.go", "github.com/twmb/avro", "one Avro library"},
		{Fences, "cmd/millrace/dev.go", "millrace/internal/registry", ""},
		{Fences, "server/a_test.go", "millrace/internal/registry", ""},
		{Fences, "server/a.go", "millrace/internal/registry", "none but in dev mode"},
		{Fences, "internal/javaconf/jks.go", "github.com/pavlo-v-chernykh/keystore-go/v4", ""},
		{Fences, "config/tls.go", "github.com/pavlo-v-chernykh/keystore-go/v4", "what Java wrote"},
		{Fences, "server/a_test.go", "github.com/twmb/franz-go/pkg/kfake", ""},
		{Fences, "server/a.go", "github.com/twmb/franz-go/pkg/kfake", "dev mode"},
		{Fences, "internal/lab/a.go", "github.com/HdrHistogram/hdrhistogram-go", ""},
		{Fences, "bench/a.go", "github.com/HdrHistogram/hdrhistogram-go", "one histogram"},
		{Fences, "bench/a.go", "github.com/tsenart/vegeta/v12/lib", "hides a stall"},
		{Fences, "config/a.go", "github.com/alecthomas/kong", "only the command line knows flags"},
		{Fences, "batch/a.go", "github.com/prometheus/client_golang/prometheus", "one place names the figures"},
		{Fences, "server/a.go", "go.opentelemetry.io/otel/trace", "tracing is off by default"},
		{Fences, "consumer/a.go", "github.com/twmb/franz-go/pkg/sr", "one client of the registry"},
	} {
		t.Run(c.file+" "+c.imports, func(t *testing.T) {
			f := sample(t, c.file, fmt.Sprintf("package p\nimport _ %q\n", c.imports))
			breaks(t, c.rule(f), c.want)
		})
	}
}

func TestUnsafeRule(t *testing.T) {
	for _, c := range []struct{ file, src, want string }{
		{"pool/unsafe.go", "var s = unsafe.String(nil, 0)", ""},
		{"pool/a_test.go", "var s = unsafe.String(nil, 0)", ""},
		{"pool/slab.go", "var n = unsafe.Sizeof(0)", ""},
		{"pool/slab.go", "var s = unsafe.String(nil, 0)", "pool/slab.go:3: unsafe.String is only for pool/unsafe.go"},
		{"codec/unsafe.go", "var p unsafe.Pointer", "unsafe.Pointer is only for"},
	} {
		breaks(t, Unsafe(sample(t, c.file, "package p\nimport \"unsafe\"\n"+c.src)), c.want)
	}
	breaks(t, Unsafe(sample(t, "codec/a.go", "package p\nimport _ \"unsafe\"\n")), "under another name")
}

func TestBodyRule(t *testing.T) {
	for _, c := range []struct{ file, src, want string }{
		{"server/body.go", "ctx.Request.BodyStream()", ""},
		{"server/a.go", "ctx.Response.Body()", ""},
		{"server/a.go", "resp.Body.Close()", ""},
		{"bench/a.go", "ctx.Request.Body()", ""},
		{"server/a.go", "ctx.Request.Body()", "Body hides the errors"},
		{"server/a_test.go", "ctx.Request.SwapBody(nil)", "SwapBody hides the errors"},
		{"server/a.go", "ctx.PostBody()", "use server.RequestBody"},
	} {
		breaks(t, Bodies(sample(t, c.file, "package p\nfunc f() { "+c.src+" }\n")), c.want)
	}
}

func TestSizeRules(t *testing.T) {
	long := func(lines int) string {
		return "package p\nfunc f() {" + strings.Repeat("\n", lines-1) + "}\n"
	}
	breaks(t, FunctionSize(sample(t, "a/a.go", long(70))), "")
	breaks(t, FunctionSize(sample(t, "a/a.go", long(71))), "a/a.go:2: function f has 71 lines")
	breaks(t, FunctionSize(sample(t, "a/a_test.go", long(100))), "")
	breaks(t, FunctionSize(sample(t, "a/a_test.go", long(101))), "a/a_test.go:2: function f has 101 lines")
	breaks(t, LongFunctions(sample(t, "a/a.go", long(61))), "61 lines")
	breaks(t, FileSize(sample(t, "a/a.go", "package p\n"+strings.Repeat("//\n", 498))), "")
	breaks(t, FileSize(sample(t, "a/a_test.go", "package p\n"+strings.Repeat("//\n", 500))), "more than 500")
	breaks(t, Parameters(sample(t, "a/a.go", "package p\nfunc f(a, b, c int, d, e string) {}\n")), "")
	breaks(t, Parameters(sample(t, "a/a.go", "package p\nfunc f(a, b, c int, d, e string, _ ...bool) {}\n")), "function f has 6 parameters")
	breaks(t, Parameters(sample(t, "a/a.go", "package p\nfunc (r *T) f(a, b, c, d, e, g int) {}\n")), "function f has 6 parameters")
	breaks(t, Parameters(sample(t, "a/a.go", "package p\nfunc (r *T) OnBrokerRead(a, b, c, d, e, g int) {}\n")), "")
	breaks(t, Parameters(sample(t, "a/a.go", "package p\nfunc OnBrokerRead(a, b, c, d, e, g int) {}\n")), "6 parameters")
	literal := "package p\nvar f = func(int, int, int, int, int, int) {}\n"
	breaks(t, Parameters(sample(t, "a/a.go", literal)), "literal has 6 parameters")
	breaks(t, Parameters(sample(t, "a/a_test.go", literal)), "")
}

func TestPackageSize(t *testing.T) {
	var files []*File
	add := func(names ...string) {
		for _, name := range names {
			files = append(files, sample(t, name, "package a\n"))
		}
	}
	for n := range maxPackageFiles {
		add(fmt.Sprintf("a/f%d.go", n))
	}
	add("a/f1_unix.go", "a/f1_other.go", "a/f_test.go", "b/a.go")
	breaks(t, PackageSize(files), "")
	add("a/more.go")
	breaks(t, PackageSize(files), "a/f0.go:1: package a has 31 files, more than 30")
}

func TestWordRules(t *testing.T) {
	sleeps := func(f *File) []Problem { return Sleeps([]*File{f}) }
	for _, c := range []struct {
		rule            Rule
		file, src, want string
	}{
		{Names, "codec/json.go", "package codec", ""},
		{Names, "codec/utils/a.go", "package utils", "package's name utils says nothing"},
		{Names, "codec/types/a.go", "package codectypes", "says nothing"},
		{Names, "codec/helpers_test.go", "package codec", "file's name helpers_test.go says nothing"},

		{DocComments, "a/a.go", "package a\n// F is.\nfunc F() {}\nfunc g() {}\n", ""},
		{DocComments, "a/a.go", "package a\nfunc F() {}\n", "a/a.go:2: exported function F"},
		{DocComments, "a/a_test.go", "package a\nfunc TestF() {}\n", ""},
		{DocComments, "a/a.go", "package a\nfunc (t *T[K]) F() {}\n", "exported function F"},
		{DocComments, "a/a.go", "package a\nfunc (t *t) F() {}\n", ""},
		{DocComments, "a/a.go", "package a\ntype T int\n", "exported type T"},
		{DocComments, "a/a.go", "package a\n// These are.\ntype (\n\tT int\n)\n", "exported type T"},
		{DocComments, "a/a.go", "package a\n// These are.\nconst (\n\tA = 1\n\tB = 2\n)\n", ""},
		{DocComments, "a/a.go", "package a\nconst (\n\tA = 1 // one\n\tb = 2\n)\n", ""},
		{DocComments, "a/a.go", "package a\nvar a, B int\n", "exported var B"},

		{LeftOvers, "a/a.go", "package a\n// Nothing to do.\nvar x = \"TODO\"\n", ""},
		{LeftOvers, "a/a.go", "package a\nvar x = 1 // TODO: more\n", "a/a.go:2: TODO in a comment"},
		{LeftOvers, "a/a_test.go", "package a\n/* FIXME */\n", "FIXME in a comment"},

		{sleeps, "a/a_test.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", "a/a_test.go:3: time.Sleep"},
		{sleeps, "a/a_test.go", "package a\nimport clock \"time\"\nfunc f() { clock.Sleep(1) }\n", "time.Sleep in a test"},
		{sleeps, "a/a.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", ""},
		{sleeps, "a/a_test.go", "package a\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() { synctest.Test(nil, func() { time.Sleep(1) }) }\n", ""},
		{sleeps, "a/a_test.go", "package a\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc in(f func()) { synctest.Test(nil, f) }\nfunc f() { in(func() { time.Sleep(1) }) }\n", ""},
		{sleeps, "a/a_test.go", "package a\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc in(f func()) { synctest.Test(nil, f) }\nfunc f() { out(func() { time.Sleep(1) }) }\n", "a/a_test.go:7: time.Sleep"},
	} {
		breaks(t, c.rule(sample(t, c.file, c.src)), c.want)
	}
}

func TestSleepsKnowsBubblesOfOtherFiles(t *testing.T) {
	bubble := "package a\nimport \"testing/synctest\"\nfunc in(f func()) { synctest.Test(nil, f) }\n"
	user := sample(t, "a/a_test.go", "package a\nimport \"time\"\nfunc f() { in(func() { time.Sleep(1) }) }\n")
	breaks(t, Sleeps([]*File{user, sample(t, "a/b_test.go", bubble)}), "")
	breaks(t, Sleeps([]*File{user, sample(t, "b/b_test.go", bubble)}), "a/a_test.go:3: time.Sleep")
}

func TestPackageComments(t *testing.T) {
	doc := sample(t, "a/doc.go", "// Package a is.\npackage a\n")
	bare := sample(t, "a/a.go", "package a\n")
	test := sample(t, "a/a_test.go", "// Package a is.\npackage a\n")
	breaks(t, PackageComments([]*File{bare, doc}), "")
	breaks(t, PackageComments([]*File{bare, test}), "a/a.go:1: package a has no package comment")
	breaks(t, PackageComments([]*File{test}), "")
}

// TestCheckAppliesEveryRule guards the list: a rule that is written and not
// listed would hold nothing.
func TestCheckAppliesEveryRule(t *testing.T) {
	f := sample(t, "batch/util_test.go", `package batch
import (
	"time"
	_ "unsafe"
	_ "millrace/server"
	_ "github.com/valyala/fasthttp"
)
func f(a, b, c, d, e, g int) { time.Sleep(1); ctx.PostBody() } // TODO
func h() { log.Warn("it failed", "error", err) }
// Who waits is served.
// `+strings.Repeat("wide ", 20)+`
`+"func g() {"+strings.Repeat("\n", 800)+"}\n")
	// All of Rules and Sleeps, without DocComments and DocStart, which leave test files alone.
	if got := len(Check([]*File{f})); got != len(Rules)-1 {
		t.Errorf("%d problems, want %d: %v", got, len(Rules)-1, Check([]*File{f}))
	}
	// PackageComments, and the rule of the case.
	for _, src := range []string{"func F() {}\n", "// Returns.\nfunc F() {}\n"} {
		one := sample(t, "pool/a.go", "package pool\n"+src)
		if got := len(Check([]*File{one})); got != 2 {
			t.Errorf("%d problems, want 2: %v", got, Check([]*File{one}))
		}
	}
	many := []*File{sample(t, "pool/a.go", "// Package pool is.\npackage pool\n")}
	for n := range maxPackageFiles {
		many = append(many, sample(t, fmt.Sprintf("pool/f%d.go", n), "package pool\n"))
	}
	breaks(t, Check(many), "more than 30")
}
