package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// writeTables writes the report as Markdown.
func (rep *report) writeTables(out io.Writer) {
	fmt.Fprintf(out, "%s, %d cores, Linux %s, %s, commit %s; %d rounds in alternating order, window %gs after %gs of warm-up, linger %d ms\n",
		rep.CPU, rep.Cores, rep.Kernel, rep.Go, rep.Commit, rep.Rounds, rep.Window, rep.WarmUp, rep.Linger)
	rep.produceTable(out)
	rep.produceRatios(out)
	rep.peerTable(out)
	rep.fetchTable(out)
	rep.streamTable(out)
	rep.metadataTable(out)
	rep.latencyTable(out)
	rep.growthTable(out)
	rep.avroTable(out)
	rep.ingestTable(out)
	rep.instancesTable(out)
	rep.memoryTable(out)
	rep.goalTable(out)
	for _, r := range rep.failed() {
		fmt.Fprintf(out, "\n**FAILED** %s\n", r)
	}
}

func (rep *report) of(suite string) (rows []*row) {
	for _, r := range rep.Rows {
		if r.Suite == suite {
			rows = append(rows, r)
		}
	}
	return rows
}

func (rep *report) produceTable(out io.Writer) {
	rows := rep.of("produce")
	if len(rows) == 0 {
		return
	}
	header(out, "Produce", "value", "format", "codec", "records, c", "server", "requests/s", "records/s", "p50", "p99", "p99.9",
		"CPU/request", "CPU/record", "±", "allocations/request", "allocations/record", "RSS")
	for _, r := range rows {
		point := []string{fmt.Sprintf("%d B", r.ValueBytes), r.Format, r.Compression, fmt.Sprintf("%d, %d", r.Records, r.Connections), r.Server}
		if r.Failure != "" {
			line(out, append(point, "FAILED")...)
			continue
		}
		f := r.Figures
		line(out, append(point, count(f.RequestsPerSecond), count(f.RecordsPerSecond), ms(f.P50), ms(f.P99), ms(f.P999),
			us(f.CPUPerRequest), us(f.CPUPerRecord), percent(f.Spread), allocs(f.AllocsPerRequest), allocs(f.AllocsPerRecord), mib(f.RSS))...)
	}
}

func (rep *report) memoryTable(out io.Writer) {
	rows := rep.of("memory")
	if len(rows) == 0 {
		return
	}
	header(out, "Resident memory", "records, c", "server", "requests/s", "at the end", "at its peak")
	for _, r := range rows {
		point := []string{fmt.Sprintf("%d, %d", r.Records, r.Connections), r.Server}
		if r.Failure != "" {
			line(out, append(point, "FAILED")...)
			continue
		}
		line(out, append(point, count(r.Figures.RequestsPerSecond), mib(r.Figures.RSS), mib(r.Figures.Peak))...)
	}
}

// allocs shows a number of allocations; nothing for one that is not known.
func allocs(v float64) string {
	if v == 0 {
		return ""
	}
	if v < 1 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func (rep *report) produceRatios(out io.Writer) {
	first := true
	for _, q := range rep.Ratios {
		if q.Suite != "produce" {
			continue
		}
		if first {
			header(out, "Produce, CPU a request over both floors", "value", "codec", "records", "server", "floors", "own", "ratio", "goal")
			first = false
		}
		line(out, fmt.Sprintf("%d B", q.ValueBytes), q.Compression, strconv.Itoa(q.Records), q.Server,
			us(q.Limit), us(q.Own), fmt.Sprintf("%.2f", q.Ratio), goal(q.Goal, "≤"))
	}
}

func (rep *report) fetchTable(out io.Writer) {
	rows := rep.of("fetch")
	if len(rows) == 0 {
		return
	}
	header(out, "Fetch, one consumer", "value", "reader", "page", "records/s", "records/read", "p50", "p99", "p99.9",
		"CPU/read", "CPU/record", "±", "over consumer + append", "goal", "allocations/read", "allocations/record", "RSS")
	for _, r := range rows {
		page := ""
		if r.PageBytes > 0 {
			page = mib(int64(r.PageBytes))
		}
		point := []string{fmt.Sprintf("%d B", r.ValueBytes), r.Server, page}
		if r.Failure != "" {
			line(out, append(point, "FAILED")...)
			continue
		}
		over, want := rep.ratioOf(r)
		f := r.Figures
		line(out, append(point, count(f.RecordsPerSecond), count(f.RecordsPerSecond/f.RequestsPerSecond), ms(f.P50), ms(f.P99), ms(f.P999),
			us(f.CPUPerRequest), us(f.CPUPerRecord), percent(f.Spread), over, goal(want, "≤"), allocs(f.AllocsPerRequest), allocs(f.AllocsPerRecord), mib(f.RSS))...)
	}
}

// streamTable sets what the fetch suite has of streams beside their goals.
func (rep *report) streamTable(out io.Writer) {
	var lines [][]string
	for _, q := range rep.Ratios {
		if q.Suite == streamSuite {
			what := fmt.Sprintf("CPU a record over that of %s, pages of %s", q.Over, mib(int64(q.PageBytes)))
			lines = append(lines, []string{q.Server, what, fmt.Sprintf("%.2f", q.Ratio), goal(q.Goal, "≤")})
		}
	}
	for _, r := range rep.of("fetch") {
		if r.Server == millraceLive && r.Failure == "" {
			lines = append(lines, []string{r.Server, "from the producer to the client, p50", ms(r.Figures.P50), "≤ " + ms(liveGoal)})
		}
	}
	if len(lines) == 0 {
		return
	}
	header(out, "Streams", "server", "what", "figure", "goal")
	for _, cells := range lines {
		line(out, cells...)
	}
}

func (rep *report) metadataTable(out io.Writer) {
	rows := rep.of("metadata")
	if len(rows) == 0 {
		return
	}
	header(out, fmt.Sprintf("Metadata, %d connections", metadataConnections), "request", "server", "requests/s", "over HTTP floor", "goal", "p50", "p99", "p99.9",
		"CPU/request", "over HTTP floor", "±", "allocations/request", "RSS")
	for _, r := range rows {
		if r.Failure != "" {
			line(out, r.Request, r.Server, "FAILED")
			continue
		}
		over, want := rep.ratioOf(r)
		f, cpuOver := r.Figures, ""
		if limit := rep.find(r, httpFloor); limit != nil && limit != r {
			cpuOver = fmt.Sprintf("%.2f", f.CPUPerRequest/limit.Figures.CPUPerRequest)
		}
		line(out, r.Request, r.Server, count(f.RequestsPerSecond), over, goal(want, "≥"),
			ms(f.P50), ms(f.P99), ms(f.P999), us(f.CPUPerRequest), cpuOver, percent(f.Spread), allocs(f.AllocsPerRequest), mib(f.RSS))
	}
}

// idleGoal bounds the memory of all idle instances together.
const idleGoal = "≤ 300 MiB"

func (rep *report) instancesTable(out io.Writer) {
	rows := rep.of("instances")
	if len(rows) == 0 {
		return
	}
	header(out, fmt.Sprintf("Idle consumer instances, then polls of some of them with timeout=%d", pollTimeout), "instances of", "instances",
		"RSS after one read each", "idle RSS", "goal", "goroutines", "connections", "CPU", "polled", "p50", "p99", "CPU/poll", "RSS")
	for _, r := range rows {
		if r.Failure != "" {
			line(out, r.Server, "FAILED")
			continue
		}
		f, idle := r.Figures, r.Rounds[len(r.Rounds)-1].Idle
		line(out, r.Server, count(float64(idle.Instances)), mib(idle.Fresh), mib(idle.RSS), idleGoal, count(float64(idle.Goroutines)),
			count(float64(idle.Connections)), percent(idle.CPU), strconv.Itoa(r.Connections), ms(f.P50), ms(f.P99), us(f.CPUPerRequest), mib(f.RSS))
	}
}

func (rep *report) latencyTable(out io.Writer) {
	rows := rep.of("latency")
	if len(rows) == 0 {
		return
	}
	header(out, "Latency of one record in an open loop, from the time it was due", "server", "due/s", "requests/s", "p50", "p99", "p99.9", "p99 over the bare producer's", "goal", "CPU/request", "over both floors", "±")
	for _, r := range rows {
		if r.Failure != "" {
			line(out, r.Server, "FAILED")
			continue
		}
		f, due, over, want, cpu := r.Figures, "as many as go", "", "", ""
		if r.Rate > 0 {
			due = count(r.Rate)
			if q := (ratio{}); rep.overFloors(r, &q) {
				cpu = digits(q.Ratio)
			}
			if floor := rep.find(r, kafkaFloor); floor != nil && floor != r {
				over, want = fmt.Sprintf("%+.2f ms", f.P99-floor.Figures.P99), fmt.Sprintf("≤ %g ms", latencyGoal)
			}
		}
		line(out, r.Server, due, count(f.RequestsPerSecond), ms(f.P50), ms(f.P99), ms(f.P999), over, want, us(f.CPUPerRequest), cpu, percent(f.Spread))
	}
}

func (rep *report) growthTable(out io.Writer) {
	rows := rep.of("growth")
	if len(rows) == 0 {
		return
	}
	header(out, "The cost of a record as topics and partitions grow", "server", "topics", "partitions each", "records/s", "p99", "CPU/record", "over one of each", "goal", "±", "RSS")
	for _, r := range rows {
		point := []string{r.Server, strconv.Itoa(r.Topics), strconv.Itoa(r.Partitions)}
		if r.Failure != "" {
			line(out, append(point, "FAILED")...)
			continue
		}
		f, over, want := r.Figures, "", ""
		if one := rep.oneOfEach(r); one != nil && one != r {
			over = fmt.Sprintf("%.2f", f.CPUPerRecord/one.Figures.CPUPerRecord)
			if r.Server == millraceJSON {
				want = goal(r.growthGoal(), "≤")
			}
		}
		line(out, append(point, count(f.RecordsPerSecond), ms(f.P99), us(f.CPUPerRecord), over, want, percent(f.Spread), mib(f.RSS))...)
	}
}

func (rep *report) avroTable(out io.Writer) {
	rows := rep.of("avro")
	if len(rows) == 0 {
		return
	}
	header(out, "A real record of 19 fields, as JSON and as Avro", "what", "server", "records/s", "p99", "CPU/record", "over JSON", "goal", "±", "RSS")
	for _, r := range rows {
		what := "read, pages of " + mib(int64(r.PageBytes))
		if r.PageBytes == 0 {
			what = fmt.Sprintf("written, %d a request", r.Records)
		}
		if r.Failure != "" {
			line(out, what, r.Server, "FAILED")
			continue
		}
		over, want := rep.ratioOf(r)
		f := r.Figures
		line(out, what, r.Server, count(f.RecordsPerSecond), ms(f.P99), us(f.CPUPerRecord), over, goal(want, "≤"), percent(f.Spread), mib(f.RSS))
	}
}

// ratioOf finds the ratio of a row of a suite other than produce.
func (rep *report) ratioOf(r *row) (over string, goal float64) {
	for _, q := range rep.Ratios {
		if q.place == r.place && q.Server == r.Server {
			return fmt.Sprintf("%.2f", q.Ratio), q.Goal
		}
	}
	return "", 0
}

// String says where.
func (p place) String() string {
	what := p.Suite
	if p.Request != "" {
		what += ", " + p.Request
	}
	if p.Records > 0 {
		what += fmt.Sprintf(", %d records", p.Records)
	}
	if p.Records > 0 && p.ValueBytes > 0 {
		what += fmt.Sprintf(" of %d B", p.ValueBytes)
	}
	if p.PageBytes > 0 {
		what += ", pages of " + mib(int64(p.PageBytes))
	}
	if p.Format != "json" && p.Format != "" {
		what += ", " + p.Format
	}
	if p.Compression != "none" && p.Compression != "" {
		what += ", " + p.Compression
	}
	return what
}

// String names the row and says what is wrong with it.
func (r *row) String() string {
	what := r.place.String() + ", " + r.Server
	if r.Failure != "" {
		what += ": " + r.Failure
	}
	return what
}

func header(out io.Writer, title string, columns ...string) {
	fmt.Fprintf(out, "\n### %s\n\n", title)
	line(out, columns...)
	fmt.Fprintln(out, strings.Repeat("|---", len(columns))+"|")
}

func line(out io.Writer, cells ...string) {
	fmt.Fprintln(out, "| "+strings.Join(cells, " | ")+" |")
}

// count groups the digits of a rounded number by thousands.
func count(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func ms(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

// us shows microseconds with three digits; nothing for a figure that is not known.
func us(v float64) string {
	switch {
	case v == 0:
		return ""
	case v < 10:
		return fmt.Sprintf("%.2f µs", v)
	case v < 100:
		return fmt.Sprintf("%.1f µs", v)
	}
	return count(v) + " µs"
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

func mib(v int64) string {
	if v < 1<<20 {
		return fmt.Sprintf("%d KiB", v>>10)
	}
	return fmt.Sprintf("%d MiB", v>>20)
}

func goal(v float64, sign string) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%s %.2f", sign, v)
}
