package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/lab"
	"millrace/internal/testkit"
	"millrace/pool"
)

// childBroker is a broker in a process of its own that takes records and keeps
// none, so that only the node's allocations are in this process.
const childBroker = "blackhole-broker"

func TestMain(m *testing.M) {
	if len(os.Args) != 3 || os.Args[1] != childCommand {
		testkit.Main(m)
	}
	run := runChild
	if os.Args[2] == childBroker {
		run = runBlackhole
	}
	if err := run(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runBlackhole serves until stdin ends.
func runBlackhole(string) error {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BlackholeProduce(), kfake.SeedTopics(1, blackholeTopic))
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("broker " + c.ListenAddrs()[0])
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// Rows of the tests are measured for as long as it takes to be answered something by
// the slowest of them, and read topics that fill two pages of the larger size.
const (
	testWarmUp  = 50 * time.Millisecond
	testRecords = 12_000
)

// testWindow is longer with the race detector, which costs several times as much.
func testWindow() time.Duration {
	if pool.Checked {
		return 600 * time.Millisecond
	}
	return 200 * time.Millisecond
}

// quickBench runs the bench as -quick does, in shorter windows, and returns its report
// and its tables.
func quickBench(t *testing.T, brokers []string, args ...string) (*report, string, error) {
	t.Helper()
	opts, err := readOptions(append([]string{
		"-quick", "-brokers", strings.Join(brokers, ","), "-results", t.TempDir(), "-millrace", testkit.Binary(t),
	}, args...))
	if err != nil {
		t.Fatal(err)
	}
	opts.timing, opts.brokerWarmUp = timing{Warm: testWarmUp, Measured: testWindow()}, testWarmUp
	opts.fetchRecords = min(opts.fetchRecords, testRecords)
	var out bytes.Buffer
	err = run(t.Context(), opts, &out)
	return readReport(t, out.String()), out.String(), err
}

// Every suite runs on kfake and comes to figures: a bench that nobody runs between
// releases would be broken at the next one. Most of it waits for windows to pass.
func TestBenchRuns(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	for _, c := range []struct {
		suites                string
		rows, ratios, counted int
	}{
		// Two limits and json twice; at 100 records three limits of formats, six of
		// codecs and Avro, and seven of our own. Eight look-ups beside their limit. The
		// ratios are our own.
		{"produce,metadata", 2*3 + 3 + 6 + 7 + 8*2, 2 + 7 + 8, 1},
		// Four of latency. Eight readers, with two page sizes, beside HTTP with either, two kinds of
		// streams over two things; three formats, written and, but for one, read: Avro by id and by
		// text, and read.
		{"latency,fetch,avro", 4 + 8 + 2 + 3 + 2, 2 + 2*2 + 2 + 1, 1},
		// Two of memory. Two at three spreads; two topics of instances.
		{"memory,growth,instances", 2 + 2*3 + 2, 0, 0},
	} {
		t.Run(c.suites, func(t *testing.T) {
			t.Parallel()
			rep, tables, err := quickBench(t, testkit.Fake(t).Addrs, "-only", c.suites)
			if err != nil {
				t.Fatalf("%v\n%s", err, tables)
			}
			if len(rep.Rows) != c.rows {
				t.Errorf("%d rows, want %d", len(rep.Rows), c.rows)
			}
			idle := checkFigures(t, rep, c.counted)
			if len(rep.Ratios) > c.ratios || len(rep.Ratios) < c.ratios-idle {
				t.Errorf("%d ratios, want %d", len(rep.Ratios), c.ratios)
			}
			switch c.suites {
			case "produce,metadata":
				checkLimits(t, rep)
			case "latency,fetch,avro":
				checkPages(t, rep, tables)
			}
			if len(rep.Goals) < c.ratios/2 || c.ratios > 0 && !strings.Contains(tables, "### Goals") {
				t.Errorf("goals: %+v", rep.Goals)
			}
		})
	}
}

// checkFigures fails unless all rows have sane figures, and returns how many used no
// CPU: on a machine that has little time for it, some of so short windows see no tick
// of the clock, or no more allocations than counting them took. At least counted rows
// of ours must have allocated.
func checkFigures(t *testing.T, rep *report, counted int) (idle int) {
	t.Helper()
	for _, r := range rep.Rows {
		f := r.Figures
		if f.RequestsPerSecond <= 0 || f.CPUPerRequest < 0 || f.P50 <= 0 || f.P999 < f.P50 || f.RSS < 1<<20 || f.AllocsPerRequest > 20_000 {
			t.Errorf("%s has no sane figures: %+v", r, f)
		}
		if f.CPUPerRequest == 0 {
			idle++
		}
		if strings.HasPrefix(r.Server, millrace) && f.AllocsPerRequest >= 1 {
			counted--
		}
	}
	if idle > max(len(rep.Rows)/4, 1) || counted > 0 {
		t.Errorf("of %d rows %d used no CPU, and %d of ours more should have allocated", len(rep.Rows), idle, counted)
	}
	for _, q := range rep.Ratios {
		if q.Ratio < 0 || q.Limit <= 0 {
			t.Errorf("%+v is no ratio", q)
		}
	}
	return idle
}

// readReport reads the results that a run says it has written, and the plots beside them.
func readReport(t *testing.T, tables string) *report {
	t.Helper()
	_, rest, ok := strings.Cut(tables, "All figures: ")
	if !ok {
		t.Fatalf("no results:\n%s", tables)
	}
	path, _, _ := strings.Cut(rest, "\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plots, err := os.ReadFile(strings.TrimSuffix(path, ".json") + ".svg")
	if err != nil || bytes.Count(plots, []byte(`class="part own"`)) < 1 || xml.Unmarshal(plots, new(any)) != nil {
		t.Errorf("the plots are no drawing of %d bars: %v", bytes.Count(plots, []byte("<rect")), err)
	}
	rep := &report{}
	if err := json.Unmarshal(text, rep); err != nil {
		t.Fatal(err)
	}
	return rep
}

// checkLimits fails unless each figure was divided by limits of its own place.
func checkLimits(t *testing.T, rep *report) {
	t.Helper()
	type limits struct{ http, kafka place }
	f := func(server, format, codec string, want limits) {
		t.Helper()
		at := place{Suite: "produce", Records: 100, Connections: 32, ValueBytes: 200, Format: format, Compression: codec}
		own, http, kafka := rep.at(server, at), rep.at(httpFloor, want.http), rep.at(kafkaFloor, want.kafka)
		if own == nil || http == nil || kafka == nil {
			t.Errorf("%s of %s: own %v, HTTP floor %v, Kafka floor %v", server, at, own, http, kafka)
			return
		}
		sum := http.Figures.CPUPerRequest + kafka.Figures.CPUPerRequest
		if sum > 0 && !slices.ContainsFunc(rep.Ratios, func(q ratio) bool { return q.place == at && q.Server == server && q.Limit == sum }) {
			t.Errorf("%s of %s is not divided by %v", server, at, sum)
		}
	}
	at := func(format, codec string) place {
		return place{Suite: "produce", Records: 100, Connections: 32, ValueBytes: 200, Format: format, Compression: codec}
	}
	f("millrace json", "json", "none", limits{at("json", ""), at("", "none")})
	f("millrace json", "json", "zstd", limits{at("json", ""), at("", "zstd")})
	f("millrace binary", "binary", "none", limits{at("binary", ""), at("", "none")})
	f("millrace avro", "avro", "none", limits{at("avro", ""), at("avro", "none")})
}

// checkPages fails unless reads were divided by a floor with pages of their size, and
// streams stand in a table of their own.
func checkPages(t *testing.T, rep *report, tables string) {
	t.Helper()
	for _, line := range []string{"| millrace /stream, events | CPU a record over that of millrace /records, pages of 64 KiB |", "from the producer to the client, p50"} {
		if !strings.Contains(tables, line) {
			t.Errorf("the tables lack %q", line)
		}
	}
	for _, page := range pageSizes {
		pages := place{Suite: "fetch", ValueBytes: 200, PageBytes: page, Connections: 1, Compression: "none"}
		floor := rep.at(appendConsumer, pages)
		if floor == nil || floor.Figures.CPUPerRecord > 0 && !slices.ContainsFunc(rep.Ratios, func(q ratio) bool {
			return q.place == pages && q.Server == millraceReads && q.Limit == floor.Figures.CPUPerRecord
		}) {
			t.Errorf("pages of %d B are not divided by a floor with such pages", page)
		}
	}
}

// Records that are not those that were acknowledged are found, though their
// number is right.
func TestReadBackFindsOtherValues(t *testing.T) {
	broker := testkit.Fake(t)
	c, err := openCluster(t.Context(), broker.Addrs)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	values := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	f := func(stored string, same bool) {
		t.Helper()
		topic, err := c.newTopic(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		client, err := kgo.NewClient(kgo.DisableClientMetrics(), kgo.SeedBrokers(broker.Addrs...))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for _, v := range strings.Split(stored, "") {
			if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		held, err := c.held(t.Context(), true, topic)
		if err != nil {
			t.Fatal(err)
		}
		acked := lab.Content{Records: 6, Sum: bodySums(values, 6)[0]} // a b c a b c
		if groups := groupSums(values, 4); groups[2] != sumOf(values, 2, 4) {
			t.Errorf("the sum of c a b c is %d, not %d", groups[2], sumOf(values, 2, 4))
		}
		if held.Records != 6 || (held == acked) != same {
			t.Errorf("%s: %+v, acknowledged were %+v", stored, held, acked)
		}
	}
	f("abcabc", true)
	f("ccbbaa", true)
	f("abcabb", false) // c was lost, b doubled
	f("abcabx", false)
}

// A run that lost or doubled a record, or was answered an error, has no figures.
func TestBadRunsHaveNoFigures(t *testing.T) {
	good := window{Seconds: 1, Requests: 10, Records: 10, Acked: lab.Content{Records: 12, Sum: 99}, CPU: time.Second}
	f := func(change func(*window), held uint64, want string) {
		t.Helper()
		w := good
		change(&w)
		r := &row{place: place{Suite: "produce"}, Server: "s", Rounds: []window{w}}
		r.verify(w, lab.Content{Records: held, Sum: 99})
		rep := &report{Rows: []*row{r}}
		rep.finish()
		var out bytes.Buffer
		rep.writeTables(&out)
		if want == "" {
			if r.Failure != "" || r.Figures.CPUPerRequest != 100_000 {
				t.Errorf("a good run came to %q, %+v", r.Failure, r.Figures)
			}
			return
		}
		if !strings.Contains(r.Failure, want) || r.Figures != (figures{}) || !strings.Contains(out.String(), want) {
			t.Errorf("want %q, have %q and %+v in\n%s", want, r.Failure, r.Figures, &out)
		}
	}
	f(func(*window) {}, 12, "")
	f(func(*window) {}, 11, "LOST 1 of 12")
	f(func(*window) {}, 13, "DOUBLED")
	f(func(w *window) { w.Acked.Sum = 98 }, 12, "CHANGED")
	f(func(w *window) { w.Errors, w.FirstError = 1, "status 503" }, 12, "status 503")
	f(func(w *window) { w.Requests = 0 }, 12, "nothing was answered")
}

// A floor whose window was too short for a tick of the clock costs nothing, and
// nothing is divided by it: JSON has no infinity.
func TestNothingIsDividedByZero(t *testing.T) {
	rep := &report{}
	for _, r := range []row{
		{Server: httpFloor, place: place{Suite: "produce", Format: "json"}},
		{Server: kafkaFloor, place: place{Suite: "produce", Compression: "none"}},
		{Server: millraceJSON, place: place{Suite: "produce", Format: "json", Compression: "none"}},
		{Server: millraceReads, place: place{Suite: "fetch", PageBytes: streamPage}},
		{Server: millraceLines, place: place{Suite: "fetch"}},
	} {
		w := window{Seconds: 1, Requests: 1, Records: 1}
		if r.Server == millraceJSON || r.Server == millraceLines {
			w.CPU = time.Second
		}
		r.Rounds = []window{w}
		rep.Rows = append(rep.Rows, &r)
	}
	rep.finish()
	if _, err := rep.write(t.TempDir()); err != nil || len(rep.Ratios) != 0 {
		t.Errorf("%v; ratios %+v", err, rep.Ratios)
	}
}

// Where the run with one topic of one partition is no measurement, nothing stands in its place.
func TestGrowthIsOverOneOfEach(t *testing.T) {
	rep := &report{}
	for i, s := range spreads {
		r := &row{place: place{Suite: "growth"}, Server: millraceJSON, Topics: s.topics, Partitions: s.partitions}
		r.Rounds = []window{{Seconds: 1, Requests: 10, Records: 10, CPU: time.Second}}
		if i == 0 {
			r.fail("LOST 1 of 10 acknowledged records")
		}
		rep.Rows = append(rep.Rows, r)
	}
	rep.finish()
	var out bytes.Buffer
	rep.growthTable(&out)
	if len(rep.Goals) != 0 || strings.Contains(out.String(), "1.00") {
		t.Errorf("goals %+v, and\n%s", rep.Goals, &out)
	}
}

func TestValuesAreRealAndExact(t *testing.T) {
	for _, size := range []int{64, 100, 200, 1024, 10_000} {
		values, err := realValues(50, size)
		if err != nil {
			t.Fatal(err)
		}
		different := map[string]bool{}
		for _, v := range values {
			different[string(v)] = true
			if len(v) != size {
				t.Errorf("a value has %d bytes, not %d", len(v), size)
			}
		}
		if len(different) < 45 {
			t.Errorf("only %d of 50 values of %d bytes differ", len(different), size)
		}
	}
	if _, err := realValues(1, 63); err == nil {
		t.Error("a value of 63 bytes was made")
	}
}

// CPU and rates are of the round that was disturbed least, whichever that is.
func TestFiguresAreOfTheBestRound(t *testing.T) {
	r := row{Rounds: []window{
		{Seconds: 1, Requests: 100, Records: 1000, CPU: 3 * time.Millisecond, Mallocs: 200, RSS: 2 << 20},
		{Seconds: 2, Requests: 100, Records: 1000, CPU: 2 * time.Millisecond, Mallocs: 400, RSS: 1 << 20},
		{Seconds: 4, Requests: 100, Records: 1000, CPU: 4 * time.Millisecond, Mallocs: 300, RSS: 1 << 20},
	}}
	r.sum()
	want := figures{RequestsPerSecond: 100, RecordsPerSecond: 1000, CPUPerRequest: 20, CPUPerRecord: 2, Spread: 1, RSS: 2 << 20, AllocsPerRequest: 3, AllocsPerRecord: 0.3}
	if r.Figures != want {
		t.Errorf("%+v, want %+v", r.Figures, want)
	}
}
