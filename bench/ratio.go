package main

import (
	"slices"
	"strings"
)

// streamSuite is what ratios of streams to reads are filed under. Their rows
// are of the fetch suite, and have a ratio to its limit as well.
const streamSuite = "streams"

// ratio compares a row with the limits of its place, taken in the same run.
type ratio struct {
	place
	Server string `json:"server"`
	// Over says what the row is divided by.
	Over string `json:"over"`
	// Limit and Own are the two figures: CPU in microseconds a request
	// (produce) or a record (fetch), requests a second (metadata).
	Limit float64 `json:"limit"`
	Own   float64 `json:"own"`
	Ratio float64 `json:"ratio"`
	// Goal is what the ratio should not exceed (metadata: fall below); 0 is none.
	Goal float64 `json:"goal,omitempty"`
}

// produceGoals are the goals for CPU over the sum of both floors by records a request, packedGoals
// those with lz4 and zstd on both sides.
var (
	produceGoals = map[int]float64{1: 1.0, 10: 1.05, 100: 0.95, 1000: 0.85}
	packedGoals  = map[int]float64{100: 1.0, 1000: 0.95}
)

// fetchGoals are the goals for CPU a record over consumer and append by bytes a page.
var fetchGoals = map[int]float64{64 << 10: 1.25, 1 << 20: 1.15}

const (
	streamGoal   = 1.5 // CPU a record of a stream over that of a read
	liveGoal     = 5.0 // ms from the producer to the stream's client, p50
	metadataGoal = 0.9 // requests a second over the HTTP floor's
	avroGoal     = 2.0 // CPU a record over that of the same event as JSON
)

// ratios compares every row that is no limit itself, and whose limit has used a
// tick of the clock at least.
func (rep *report) ratios() []ratio {
	var out []ratio
	for _, r := range rep.Rows {
		if r.Failure != "" {
			continue
		}
		q := ratio{place: r.place, Server: r.Server}
		var ok bool
		switch r.Suite {
		case "produce":
			ok = rep.overFloors(r, &q)
		case "fetch":
			ok = rep.overConsumer(r, &q)
		case "metadata":
			ok = rep.overHTTP(r, &q)
		case "avro":
			ok = rep.overJSON(r, &q, avroGoal)
		case "ingest":
			ok = rep.overJSON(r, &q, ndjsonGoal)
		}
		if ok {
			out = append(out, q)
		}
	}
	out = append(out, rep.overReads()...)
	return slices.DeleteFunc(out, func(q ratio) bool { return q.Limit == 0 })
}

// overReads divides each stream by the reads of pages as large as its chunks.
func (rep *report) overReads() (out []ratio) {
	for _, r := range rep.of("fetch") {
		if r.Failure != "" || r.Server != millraceLines && r.Server != millraceEvents {
			continue
		}
		at := r.place
		at.PageBytes = streamPage
		limit := rep.at(millraceReads, at)
		if limit == nil {
			continue
		}
		at.Suite = streamSuite
		own, most := r.Figures.CPUPerRecord, limit.Figures.CPUPerRecord
		out = append(out, ratio{place: at, Server: r.Server, Over: millraceReads, Limit: most, Own: own, Ratio: own / most, Goal: streamGoal})
	}
	return out
}

// overFloors divides by what HTTP and Kafka alone cost for the same request.
func (rep *report) overFloors(r *row, q *ratio) bool {
	http, kafka := rep.find(r, httpFloor), rep.find(r, kafkaFloor)
	if http == nil || kafka == nil || r.isLimit() {
		return false
	}
	q.Over = httpFloor + " + " + kafkaFloor
	q.Limit = http.Figures.CPUPerRequest + kafka.Figures.CPUPerRequest
	q.Own = r.Figures.CPUPerRequest
	q.Ratio = q.Own / q.Limit
	switch {
	case r.Server != millraceJSON || r.ValueBytes != 200:
	case r.Compression == "none":
		q.Goal = produceGoals[r.Records]
	case r.Compression == "lz4" || r.Compression == "zstd":
		q.Goal = packedGoals[r.Records]
	}
	return true
}

// overConsumer divides by a consumer that encodes its records, into pages of
// the same size.
func (rep *report) overConsumer(r *row, q *ratio) bool {
	at := r.place
	switch r.Server {
	case millraceReads:
	case millraceLines, millraceEvents:
		at.PageBytes = streamPage
	default:
		return false
	}
	limit := rep.at(appendConsumer, at)
	if limit == nil {
		return false
	}
	q.Over, q.Limit, q.Own = appendConsumer, limit.Figures.CPUPerRecord, r.Figures.CPUPerRecord
	q.Ratio = q.Own / q.Limit
	if r.Server == millraceReads {
		q.Goal = fetchGoals[r.PageBytes]
	}
	return true
}

// overJSON divides by what the same event costs as JSON.
func (rep *report) overJSON(r *row, q *ratio, goal float64) bool {
	limit := rep.find(r, millraceJSON)
	if limit == nil || limit == r {
		return false
	}
	q.Over, q.Limit, q.Own = millraceJSON, limit.Figures.CPUPerRecord, r.Figures.CPUPerRecord
	q.Ratio, q.Goal = q.Own/q.Limit, goal
	return true
}

// overHTTP divides requests a second by those of the HTTP floor with the same answer.
func (rep *report) overHTTP(r *row, q *ratio) bool {
	limit := rep.find(r, httpFloor)
	if limit == nil || limit == r {
		return false
	}
	q.Over, q.Limit, q.Own = httpFloor, limit.Figures.RequestsPerSecond, r.Figures.RequestsPerSecond
	q.Ratio = q.Own / q.Limit
	if r.Server == millrace {
		q.Goal = metadataGoal
	}
	return true
}

// find returns the row of a server that r is compared with, nil if it failed.
func (rep *report) find(r *row, server string) *row { return rep.at(server, r.of(server)) }

// at returns the row of a server at a place, nil if it failed.
func (rep *report) at(server string, p place) *row {
	for _, o := range rep.Rows {
		if o.Server == server && o.place == p && o.Failure == "" {
			return o
		}
	}
	return nil
}

// isLimit says that others are divided by the row.
func (r *row) isLimit() bool {
	return r.Server == httpFloor || strings.HasPrefix(r.Server, kafkaFloor) || r.Server == bareConsumer || r.Server == appendConsumer
}
