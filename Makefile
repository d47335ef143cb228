# What can be done here; `make help` lists it.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 2000x
# Of the fuzzers named FuzzCalls…, whose inputs are whole conversations with a node.
CALLSFUZZTIME ?= 60x
COMMIT   := $(shell git log -1 --format=%h --abbrev=12 2>/dev/null)
DATE     := $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
PREFIX   ?= /usr/local
BIN      ?= bin/millrace

# The stamp is ours, and so a clone without git, or a git that will not answer
# for this folder, builds too. Without cgo the program is static, and runs where
# there is no C library, as in an empty container. Without symbols and DWARF (-s -w) it
# is 37 MB rather than 53; stack traces and pprof need neither, a debugger does: GOLDFLAGS= keeps
# them.
GOLDFLAGS ?= -s -w
GOBUILD  := CGO_ENABLED=0 go build -buildvcs=false -trimpath $(if $(GOLDFLAGS),,-gcflags=all=) -ldflags "$(GOLDFLAGS) -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.committed=$(DATE)"
KAFKA    := .cache/bin/kafka

# All that goes without the race detector is compiled once, and just as the program is: vet,
# staticcheck, tests, and the program that tests build and run. It is compiled for no folder
# (-trimpath), and so a second clone compiles nothing again. Without DWARF that takes an eighth less.
COMPILED := -trimpath -gcflags=all=-dwarf=false
export CGO_ENABLED := 0
# Compilers, linkers and analysers live for seconds. Without a garbage collector below 1 GiB they
# take a quarter less CPU (packages below internal/kafka, nothing cached: 80 s rather than 102).
# Tests, and what they build and run, have Go's default: hence -exec.
COMPILING := GOGC=off GOMEMLIMIT=1GiB
RUNNING   := env -u GOGC -u GOMEMLIMIT CGO_ENABLED=0
# staticcheck is one process for all packages, and needs more at once.
ANALYSING := GOGC=400 GOMEMLIMIT=3GiB
# What bash's time says of a step.
export TIMEFORMAT  := == %U s of CPU and %S s of the kernel, in %R s
export GOFLAGS     := $(filter-out $(COMPILED),$(shell go env GOFLAGS)) $(COMPILED)

.PHONY: run build test test-kfake race plain fuzz lint simulate attacks overload faults faults-short outage soak bench pollers clients browser helm alerts otelcol gateways screenshots cluster-proof upgrade-proof admin-proof conformance conformance-short proofs secured kafka loadtest install clean help budget all-but-lint $(KAFKA)

run: build ## build millrace and run it with a broker in process, on :8082
	bin/millrace dev

build: ## build bin/millrace (BIN), static and with its version; the same commit gives the same bytes
	$(GOBUILD) -o $(BIN) ./cmd/millrace

# aloud runs a command and says at the very end what its tests left out for want of a program:
# go test shows nothing of what a package prints whose tests pass.
define aloud
	@export MILLRACE_TEST_LEFT_OUT=$$(mktemp); trap 'rm -f "$$MILLRACE_TEST_LEFT_OUT"' EXIT; code=0; \
	$(1) || code=$$?; \
	if [ -s "$$MILLRACE_TEST_LEFT_OUT" ]; then \
		printf '\n*** LEFT OUT, because this machine lacks it (with CI=1 that is a failure):\n'; \
		sort "$$MILLRACE_TEST_LEFT_OUT" | uniq -c | sort -rn | while read -r n line; do echo "***   $$n times: $$line"; done; \
	fi; \
	exit $$code
endef

test: lint $(KAFKA) ## lint, allocation budgets, fuzzers, tests with -race on a real Kafka
	$(call aloud,$(KAFKA) -- $(MAKE) all-but-lint)

# What runs without the race detector waits for the processes that it starts, what runs with it
# computes: side by side they use both cores. Allocations are counted before.
all-but-lint: budget fuzz
	$(MAKE) -j2 -O plain race

test-kfake: ## tests on the broker in process alone, some 140 s of CPU once they are built; go test remembers those that nothing has changed for
	$(call aloud,go test -short ./...)
	@echo "Left out by -short: Kafka and the registry, Java, Python and shells, budgets and long comparisons, the bench, lint, fuzzers and the race detector. make test has them."

# Lint has vetted all packages by then. The packages whose tests take longest begin first, beside
# the others, and are not left to the end. Most tests wait more than they compute: hence three
# packages at a time, and four tests of each. What counts memory or goroutines of the test's own
# process is not t.Parallel, nor what sets its environment. The rules of the house have no goroutines:
# lint alone runs them. Without symbols a test binary is linked in an eighth less.
GOTEST := go test -vet=off -shuffle=on -parallel=4 -ldflags="-s -w" -exec '$(RUNNING)'
LONG   := ./server/api ./consumer ./internal/simulation

# The race detector sees only what runs in the test's own process, and there is nothing to see where
# no two goroutines of ours run. These start none, nor does any package of ours that they import; a
# test of internal/lint holds that.
ALONE    := ./codec ./codec/avro ./codec/binary ./codec/json ./codec/jsonschema ./codec/protobuf ./internal/javaconf
# These run millrace, and all that has goroutines, in a process of its own, which has no detector
# anyhow. In theirs are clients, and what has none: arguments, plots, comparisons.
CHILDREN := ./cmd/millrace ./bench
UNRACED  := $(ALONE) $(CHILDREN)
RACED     = $$(go list ./... | sed 's,^millrace,.,' | grep -vxF -e ./internal/lint $(UNRACED:%=-e %))

# Where there is no C compiler there is no race detector. The programs that the tests build do
# without cgo, as they are compiled already: only go test itself needs it.
RACE   = $(shell command -v "$$(go env CC)" >/dev/null && echo -race)
RACING = $(if $(RACE),CGO_ENABLED=1) $(COMPILING) $(GOTEST) $(RACE)
NOT_RACED := RACE DETECTOR NOT USED: needs a C compiler (Debian: apt-get install gcc libc6-dev)

race: ## all tests with the race detector, of packages in which goroutines of ours run
	@echo "== tests, with the race detector"
	@if [ -z "$(RACE)" ]; then \
		echo "*** $(NOT_RACED) ***" >&2; \
		[ "$${CI:-}" != 1 ] || exit 1; \
		[ -z "$${MILLRACE_TEST_LEFT_OUT:-}" ] || echo "$(NOT_RACED)" >> "$$MILLRACE_TEST_LEFT_OUT"; \
	fi
	time $(RACING) -skip '$(SINGLE)' -timeout=25m -p 3 $(LONG) $(RACED)

plain: ## all tests of the other packages, without it
	@echo "== tests of packages without goroutines of ours"
	time $(COMPILING) $(GOTEST) -timeout=25m $(UNRACED)

# Tests that count what they allocate, which the race detector would change, and those of one
# goroutine that compute for long, which it would only make ten times as long. Those that do not
# run with it at all stand in files of their own (//go:build !race).
PLAIN := Alloc|Budget|OverJSON|AgreesWithJava|LargeBodies|BenchRuns|EveryCodec
# Tests of one goroutine that compute for long, in files with others: the race run leaves them out.
SINGLE := AgreesWithOthers|JSONSchemaIsSound|PlainRoundTrip|ReadsIsBounded|TextIsBounded|EnumsAreBounded|Reordered|OpenAPIHasTheBounds|OpenAPIRefuses|Flat(Tokens|Objects|Records|Depth)|ListAndWords

budget: ## of the packages with the race detector, the tests that count allocations or compute for long, without it
	@echo "== budgets and long comparisons, without the race detector"
	@packages=(); \
	for package in $(RACED); do \
		for file in "$$package"/*_test.go; do \
			[[ -f "$$file" && $$(<"$$file") =~ func\ Test[A-Za-z0-9_]*($(PLAIN)|$(SINGLE)) ]] || continue; \
			packages+=("$$package"); break; \
		done; \
	done; \
	time $(COMPILING) $(GOTEST) -timeout=10m -run '$(PLAIN)|$(SINGLE)' "$${packages[@]}"

FUZZED := -gcflags=millrace/...=-d=libfuzzer -ldflags='-s -w'

# One binary a package, all built at once, of which each fuzzer is run on its own. Only packages of
# this module count their edges, by which inputs are chosen: -fuzz would compile the standard library
# and all modules once more, and keep inputs for what is new there.
fuzz: ## each fuzzer for FUZZTIME (2000x), those of conversations for CALLSFUZZTIME (60x)
	@echo "== fuzzers, $(FUZZTIME) each"
	@shopt -s globstar; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; corpus=$$(go env GOCACHE)/fuzz/millrace; \
	packages=$$(grep -l '^func Fuzz' **/*_test.go | xargs -n1 dirname | sort -u); \
	time { $(COMPILING) go test -c -vet=off $(FUZZED) -o "$$out/" $$(printf './%s\n' $$packages); \
	for package in $$packages; do \
		for name in $$("$$out/$${package##*/}.test" -test.list '^Fuzz'); do \
			echo "-- $$name in $$package"; \
			times='$(FUZZTIME)'; [[ $$name != FuzzCalls* ]] || times='$(CALLSFUZZTIME)'; \
			(cd "$$package" && "$$out/$${package##*/}.test" -test.run '^$$' -test.fuzz "^$$name\$$" -test.fuzztime "$$times" \
				-test.fuzzminimizetime 100x -test.fuzzcachedir "$$corpus/$$package" </dev/null); \
		done; \
	done; }

lint: ## go vet, staticcheck, gofumpt and the rules of the house
	@echo "== lint"
	time $(COMPILING) go vet ./...
	time $(ANALYSING) go tool staticcheck ./...
	@unformatted=$$(go tool gofumpt -l .); \
		if [ -n "$$unformatted" ]; then echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; fi
	time $(COMPILING) go test -vet=off -exec '$(RUNNING)' ./internal/lint

pollers: ## 1,000 clients that poll metadata for half a minute
	MILLRACE_POLLERS=full go test -count=1 -v -run '^TestPollers$$' ./server/api

simulate: export MILLRACE_SEEDS = $(or $(SEEDS),10000)
simulate: export MILLRACE_SEED_FROM = $(or $(FROM),0)
simulate: ## SEEDS (10000) schedules of faults in memory, on a model of Kafka and on kfake, from seed FROM (0) on; a failure prints its seed (minutes)
	go test -count=1 -timeout=2h -run '^TestSimulation$$|^TestStorm$$' ./batch
	go test -count=1 -timeout=2h ./internal/simulation

attacks: build ## what attacks on its memory cost the program (MILLRACE_BIN), the table of docs/reliability.md (Linux; minutes)
	MILLRACE_ATTACKS=1 MILLRACE_BIN=$(abspath $(or $(MILLRACE_BIN),$(BIN))) go test -count=1 -v -timeout=20m -run '^TestAttacks$$' ./cmd/millrace

overload: build ## a node (MILLRACE_BIN) on one core that is offered four times its peak, for OVERLOAD=60s each; generator and broker on another (Linux, taskset; minutes)
	go test -c -vet=off -o bin/overload.test ./cmd/millrace
	cd cmd/millrace && MILLRACE_OVERLOAD=1 MILLRACE_BIN=$(abspath $(or $(MILLRACE_BIN),$(BIN))) taskset -c 1 $(abspath bin/overload.test) -test.timeout=20m -test.run '^TestOverload$$'

faults: ## every schedule of internal/faults on three real brokers, every error of every API of Kafka, and their table in docs/reliability.md (Linux; needs Java 17 and Maven; 20 minutes)
	MILLRACE_FAULTS=full go test -count=1 -timeout=60m -v -run '^TestFaults$$|^TestEveryErrorOfEveryAPI$$' ./internal/faults

faults-short: ## those schedules that CI has time for, and every error of every API of Kafka (Linux; needs Java 17 and Maven; 5 minutes)
	MILLRACE_FAULTS=short go test -count=1 -timeout=15m -v -run '^TestFaults$$|^TestEveryErrorOfEveryAPI$$' ./internal/faults

outage: ## 5,000 events a second to /ingest while Kafka is killed for 20 s and millrace meanwhile: what was acknowledged is in Kafka (needs Java 17 and Maven; 2 minutes)
	MILLRACE_OUTAGE=1 go test -count=1 -timeout=10m -v -run '^TestEventsOutliveAnOutage$$' ./cmd/millrace

soak: build ## a node (MILLRACE_BIN) on three real brokers under mixed load for SOAK=30m, a fault every two minutes: what it holds must not grow (Linux; needs Java 17 and Maven)
	MILLRACE_SOAK=$(or $(SOAK),30m) MILLRACE_BIN=$(abspath $(or $(MILLRACE_BIN),$(BIN))) go test -count=1 -timeout=0 -v -run '^TestSoak$$' ./internal/faults

bench: ## benchmarks beside their limits
	go run ./bench

clients: $(KAFKA) ## clients of others against a real Kafka: npm's kafka-rest, Python's confluent-kafka, kafka-rest, kafka-rest-client, kafka-bridge-client, nlp-kafka-rest-api, pymapr-kafkarest, kafka-mcp and cloudevents (needs node, npm, python3-venv and the network)
	$(KAFKA) -- env MILLRACE_TEST_CLIENTS=1 go test -count=1 -run 'TestNodeClient|TestPythonClient' ./cmd/millrace

browser: $(KAFKA) ## the dashboard and the sample pages in Chromium (needs chromium, node, npm and the network)
	$(KAFKA) -- env MILLRACE_TEST_BROWSER=1 go test -count=1 -timeout=15m -run 'TestDashboard|TestBrowser' ./cmd/millrace

helm: ## the Helm chart, by helm lint and helm template (builds helm at first: minutes, and the network)
	MILLRACE_TEST_HELM=1 go test -count=1 -timeout=20m -run '^TestHelmChart$$' ./cmd/millrace

PROMTOOL := $(abspath .cache/bin/promtool)

alerts: ## each alert of deploy/prometheus fires when it should and only then, by promtool (builds it at first: minutes, and the network)
	@mkdir -p $(dir $(PROMTOOL))
	cd deploy/prometheus/tool && go build -tags remove_all_sd -o $(PROMTOOL) github.com/prometheus/prometheus/cmd/promtool
	$(PROMTOOL) check rules deploy/prometheus/rules.yml deploy/prometheus/alerts.yml
	$(PROMTOOL) test rules deploy/prometheus/alerts_test.yml

OTELCOL := $(abspath .cache/bin/otelcol)
TELEGRAF := $(abspath .cache/bin/telegraf)

$(OTELCOL): bench/gateways/otelcol/main.go bench/gateways/otelcol/go.mod
	@mkdir -p $(dir $@)
	cd bench/gateways/otelcol && go build -o $@ .

$(TELEGRAF): bench/gateways/telegraf/go.mod
	@mkdir -p $(dir $@)
	cd bench/gateways/telegraf && go build -tags custom,inputs.http_listener_v2,outputs.kafka,parsers.json,serializers.json -o $@ github.com/influxdata/telegraf/cmd/telegraf

otelcol: $(OTELCOL) ## an OpenTelemetry collector sends to millrace by its configuration alone (builds it at first: minutes, and the network)
	MILLRACE_TEST_OTELCOL=$(OTELCOL) go test -count=1 -run '^TestCollectorSendsUnchanged$$' ./cmd/millrace

gateways: build $(OTELCOL) $(TELEGRAF) ## events/s a core, and what a kill loses, of millrace, an OpenTelemetry collector and Telegraf: the table of docs/ingest.md (builds them at first: minutes, and the network; needs Java 17 and Maven; 12 minutes)
	go run ./bench/gateways -millrace $(abspath $(BIN)) -otelcol $(OTELCOL) -telegraf $(TELEGRAF)

screenshots: build ## new pictures of the dashboard for the documentation, under a load test of five minutes
	MILLRACE_TEST_BROWSER=1 MILLRACE_TEST_PICTURES=1 MILLRACE_BIN=$(abspath $(BIN)) go test -count=1 -timeout=10m -run 'TestPictures' ./cmd/millrace

cluster-proof: ## three brokers, three proxies, nginx and faults: no record is lost (needs Java 17, Maven and nginx; minutes)
	MILLRACE_TEST_CLUSTER=1 go test -count=1 -v -timeout 20m -run 'TestClusterProof|TestReadsFromTheNearestReplica' ./cmd/millrace ./server/api

# The last version whose nodes do not authenticate what they say to each other.
FORMER  := d8fcd0e
FORMED  := $(abspath .cache/former/$(FORMER))

upgrade-proof: ## a service of nodes of a former version, upgraded node by node in two steps under load (needs that version in the git history)
	@git cat-file -e '$(FORMER)^{commit}' || { echo "*** the upgrade was NOT tried: this clone does not have the commit $(FORMER), of which the former version is built; git fetch --unshallow ***"; exit 1; }
	@mkdir -p $(FORMED)/source
	@test -x $(FORMED)/millrace || { git archive $(FORMER) | tar -x -C $(FORMED)/source && cd $(FORMED)/source && CGO_ENABLED=0 go build -buildvcs=false -trimpath -o $(FORMED)/millrace ./cmd/millrace; }
	MILLRACE_TEST_OLD=$(FORMED)/millrace go test -count=1 -v -timeout 15m -run '^TestUpgradeInTwoSteps$$' ./cmd/millrace

secured: ## a Kafka with TLS, SCRAM, OAUTHBEARER, Kerberos and access control lists, behind nodes that log in as one user or as their callers (needs Java 17, Maven, and for Kerberos krb5-kdc and krb5-admin-server; three minutes)
	MILLRACE_TEST_SECURED=1 go test -count=1 -v -timeout=15m -run '^TestAccessControlListsHold|^TestSecured' ./cmd/millrace

admin-proof: ## what v3 does to three brokers: reassignments, elections, groups of all types, users, rights, transactions that hang (needs Java 17 and Maven; a minute)
	MILLRACE_TEST_ADMIN=1 go test -count=1 -v -timeout 10m -run '^TestAdminProof$$' ./server/api

conformance: ## requests that schemathesis makes of the specification, up to REQUESTS (5) of each operation beside its corner cases, to millrace dev and before a real Kafka (needs Java 17, Maven, python3-venv and the network; 3 minutes)
	MILLRACE_TEST_CONFORMANCE=$(or $(REQUESTS),5) go test -count=1 -timeout 60m -run '^TestConformance$$' ./cmd/millrace

conformance-short: ## three requests that schemathesis makes of each operation, beside the examples of the specification, without its corner cases (the same needs; a minute)
	$(MAKE) conformance REQUESTS=short

proofs: clients browser faults-short secured ## what make test leaves out because it takes minutes or programs of others; CI does both, and leaves out the other proofs: admin-proof, alerts, cluster-proof, conformance-short, helm, otelcol and upgrade-proof

kafka: $(KAFKA) ## a real Kafka on localhost:9092 until Ctrl-C (needs Java 17 and Maven)
	$(KAFKA)

loadtest: build ## a short mixed load on a millrace dev of its own, read back and reported
	bin/millrace loadtest --dev --duration 10s --out bin/loadtest mixed

install: build ## the program, its settings, systemd unit and completion into $(DESTDIR)$(PREFIX)
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/millrace
	install -D -m 644 deploy/systemd/millrace.service $(DESTDIR)/etc/systemd/system/millrace.service
	sed -i 's|/usr/local|$(PREFIX)|' $(DESTDIR)/etc/systemd/system/millrace.service
	test -e $(DESTDIR)/etc/millrace/millrace.properties || install -D -m 644 deploy/millrace.properties $(DESTDIR)/etc/millrace/millrace.properties
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	$(BIN) completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/millrace
	$(BIN) completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_millrace
	$(BIN) completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/millrace.fish

clean: ## remove what was built and downloaded
	rm -rf bin .cache bench/results

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Built rather than `go run`, so that a signal reaches it.
$(KAFKA):
	@go build -buildvcs=false -o $@ ./internal/testkit/cmd/kafka
