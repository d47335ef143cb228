package lint

// dependencies gives the reason for each direct module of go.mod, and each module of a tool.
// docs/dependencies.md is made of it, of the fences and of the modules' licences. A module
// without a row fails the test: a dependency is a decision, and its reason is lost first.
var dependencies = map[string]string{
	// Kafka.
	"github.com/twmb/franz-go":                "The Kafka client: connections, TLS, SASL, metadata, codecs and group consumer, in Go without cgo.",
	"github.com/twmb/franz-go/pkg/kadm":       "Requests of Kafka's admin API: topics, configurations, offsets.",
	"github.com/twmb/franz-go/pkg/kmsg":       "Requests and responses of Kafka's protocol that kgo and kadm do not wrap.",
	"github.com/twmb/franz-go/pkg/kfake":      "The Kafka broker in process of `millrace dev` and of tests.",
	"github.com/twmb/franz-go/pkg/sr":         "The schema registry's client, and its fake in tests.",
	"github.com/twmb/franz-go/plugin/kotel":   "Spans of the Kafka client.",
	"github.com/twmb/franz-go/plugin/kprom":   "Metrics of the Kafka client.",
	"github.com/klauspost/compress":           "Decompresses request bodies (gzip, zlib, zstd); the levels of zstd by their numbers.",
	"github.com/HdrHistogram/hdrhistogram-go": "The one histogram of benchmarks and load tests.",
	"github.com/KimMachineGun/automemlimit":   "The memory limit of the cgroup, for the soft limit of the Go runtime.",
	"github.com/pierrec/lz4/v4":               "The lz4 level of a batch, which can change at run time.",

	// HTTP.
	"github.com/valyala/fasthttp": "The HTTP server; its requests and their buffers are pooled.",
	"github.com/fasthttp/router":  "Finds the route of a path, with its parameters.",
	"golang.org/x/sys":            "Whether the client of a connection has hung up (poll), CPU time of a process, and instructions of the machine.",
	"golang.org/x/sync":           "errgroup: requests to Kafka that belong together.",
	"golang.org/x/time":           "Rate limits of requests to Kafka and of log lines.",

	// Callers and credentials.
	"github.com/go-jose/go-jose/v4":              "Signatures of tokens (JWT), and the sets of keys that they are checked with.",
	"golang.org/x/crypto":                        "bcrypt and argon2id, for passwords.",
	"github.com/jcmturner/gokrb5/v8":             "Tickets for Kafka (GSSAPI). It is the one Kerberos in Go, and its last release is of 2023: used by those alone who set GSSAPI, and by one file.",
	"github.com/twmb/franz-go/pkg/sasl/kerberos": "GSSAPI of the Kafka client, by gokrb5.",
	"golang.org/x/oauth2":                        "Tokens for Kafka by client credentials (OAUTHBEARER).",

	// Formats.
	"github.com/hamba/avro/v2":                 "Parses Avro schemas.",
	"github.com/bufbuild/protocompile":         "Compiles Protobuf schemas at run time.",
	"google.golang.org/protobuf":               "Protobuf messages of schemas that are known only at run time, and their JSON.",
	"github.com/santhosh-tekuri/jsonschema/v6": "Validates values against JSON Schema, all drafts.",
	"github.com/dlclark/regexp2":               "Patterns of JSON Schema that RE2 does not have, within a time.",
	"github.com/bytedance/sonic":               "Decodes and encodes JSON wherever a value must be understood.",

	// Settings and the command line.
	"github.com/alecthomas/kong":                 "Subcommands, flags, help.",
	"github.com/agnivade/levenshtein":            "The nearest name of a setting or a query parameter that does not exist.",
	"github.com/pavlo-v-chernykh/keystore-go/v4": "Java key stores (JKS).",
	"software.sslmate.com/src/go-pkcs12":         "PKCS#12 key and trust stores.",

	// Metrics and tracing.
	"github.com/prometheus/client_golang":                             "The registry of metrics and the metrics of the Go runtime.",
	"github.com/prometheus/client_model":                              "The form of a metric between registry and encoder.",
	"github.com/prometheus/common":                                    "Writes the text formats of /metrics.",
	"go.opentelemetry.io/otel":                                        "Attributes, status and propagation of spans.",
	"go.opentelemetry.io/otel/sdk":                                    "Samples and batches spans.",
	"go.opentelemetry.io/otel/trace":                                  "The interface of spans.",
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp": "Sends spans to a collector over HTTP.",

	// Load tests and benchmarks.
	"github.com/tsenart/vegeta/v12": "Fires the requests of `millrace loadtest` in an open loop.",
	"go.yaml.in/yaml/v3":            "Rules about callers and scenarios of load tests; files of deploy/ in tests.",
	"github.com/cespare/xxhash/v2":  "Fingerprints of records that a benchmark reads back.",
	"github.com/minio/simdjson-go":  "Its test data: real tweets, events and citations, as records.",

	// Tests.
	"github.com/VictoriaMetrics/metricsql": "Parses the queries of alerts, rules and dashboards.",
	"github.com/andybalholm/brotli":        "Decompresses request bodies in br.",
	"github.com/magiconair/properties":     "A second opinion on Java's properties files.",
	"github.com/twmb/avro":                 "A second opinion on Avro.",
	"go.opentelemetry.io/proto/otlp":       "Decodes the spans that the tests' collector is sent.",
	"go.uber.org/goleak":                   "Finds goroutines that a test leaves behind.",

	// Tools, run by `go tool`.
	"honnef.co/go/tools": "staticcheck, in `make lint`.",
	"mvdan.cc/gofumpt":   "The formatting, in `make lint`.",
}
