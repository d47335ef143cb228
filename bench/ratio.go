package main

// streamSuite is what ratios of streams to reads are filed under. Their rows
// are of the fetch suite, and have a ratio to its limit as well.
const streamSuite = "streams"

// ratio compares a row with the limits of its suite, taken in the same run.
type ratio struct {
	Suite       string `json:"suite"`
	Server      string `json:"server"`
	Records     int    `json:"records_per_request,omitempty"`
	ValueBytes  int    `json:"value_bytes,omitempty"`
	PageBytes   int    `json:"page_bytes,omitempty"`
	Compression string `json:"compression,omitempty"`
	// Over says what the row is divided by.
	Over string `json:"over"`
	// Limit and Own are the two figures: CPU in microseconds a request
	// (produce) or a record (fetch), requests a second (metadata).
	Limit float64 `json:"limit"`
	Own   float64 `json:"own"`
	Ratio float64 `json:"ratio"`
	// Goal is what the ratio should not exceed (metadata: fall below); 0 is none.
	Goal float64 `json:"goal,omitempty"`
	// Confluent is the CPU a request of the Confluent proxy, in microseconds,
	// where it is known for this point; 0 elsewhere.
	Confluent float64 `json:"confluent_us,omitempty"`
}

// confluentCPU is the CPU per request, in microseconds, of the Confluent REST
// Proxy 8 (Java 17, 1 GB heap), by records per request of 200-byte JSON values,
// measured on a 2-core machine that ran Kafka and the load too. Another machine
// makes the comparison one of magnitudes.
var confluentCPU = map[int]float64{1: 737, 10: 680, 100: 2550, 1000: 11900}

// produceGoals are the goals for CPU over the sum of both floors.
var produceGoals = map[int]float64{1: 1.4, 10: 1.35, 100: 1.15, 1000: 1.0}

const (
	fetchGoal    = 1.3 // CPU a record at 1 MiB pages over consumer and append
	streamGoal   = 1.5 // CPU a record of a stream over that of a read
	liveGoal     = 5.0 // ms from the producer to the stream's client, p50
	metadataGoal = 0.9 // requests a second over the HTTP floor's
	avroGoal     = 2.0 // CPU a record over that of the same event as JSON
)

// ratios compares every row that is no limit itself.
func (rep *report) ratios() []ratio {
	var out []ratio
	for _, r := range rep.Rows {
		if r.Failure != "" {
			continue
		}
		q := ratio{
			Suite: r.Suite, Server: r.Server, Records: r.Records, ValueBytes: r.ValueBytes,
			PageBytes: r.PageBytes, Compression: r.Compression,
		}
		var ok bool
		switch r.Suite {
		case "produce":
			ok = rep.overFloors(r, &q)
		case "fetch":
			ok = rep.overConsumer(r, &q)
		case "metadata":
			ok = rep.overHTTP(r, &q)
		case "avro":
			ok = rep.overJSON(r, &q)
		}
		if ok {
			out = append(out, q)
		}
	}
	return append(out, rep.overReads()...)
}

// overReads divides each stream by the reads of pages as large as its chunks.
func (rep *report) overReads() (out []ratio) {
	for _, r := range rep.of("fetch") {
		limit := rep.find(r, millraceReads) // the first of them, which has the smallest pages
		if limit == nil || r.Failure != "" || r.Server != millraceLines && r.Server != millraceEvents {
			continue
		}
		own, most := r.Figures.CPUPerRecord, limit.Figures.CPUPerRecord
		out = append(out, ratio{
			Suite: streamSuite, Server: r.Server, ValueBytes: r.ValueBytes, PageBytes: limit.PageBytes,
			Over: millraceReads, Limit: most, Own: own, Ratio: own / most, Goal: streamGoal,
		})
	}
	return out
}

// overFloors divides by what HTTP and Kafka alone cost for the same request.
func (rep *report) overFloors(r *row, q *ratio) bool {
	http, kafka := rep.find(r, httpFloor), rep.find(r, kafkaFloor)
	if http == nil || kafka == nil || http == r || kafka == r || r.Server == kafkaFloor+", linger 0" {
		return false
	}
	q.Over = httpFloor + " + " + kafkaFloor
	q.Limit = http.Figures.CPUPerRequest + kafka.Figures.CPUPerRequest
	q.Own = r.Figures.CPUPerRequest
	q.Ratio = q.Own / q.Limit
	if r.Server == millraceJSON {
		q.Goal = produceGoals[r.Records]
		if r.ValueBytes == 200 && r.Compression == "none" {
			q.Confluent = confluentCPU[r.Records]
		}
	}
	return true
}

// overConsumer divides by a consumer that encodes its records.
func (rep *report) overConsumer(r *row, q *ratio) bool {
	limit := rep.find(r, appendConsumer)
	if limit == nil || r.Server != millraceReads && r.Server != millraceLines && r.Server != millraceEvents {
		return false
	}
	q.Over, q.Limit, q.Own = appendConsumer, limit.Figures.CPUPerRecord, r.Figures.CPUPerRecord
	q.Ratio = q.Own / q.Limit
	if r.PageBytes == 1<<20 {
		q.Goal = fetchGoal
	}
	return true
}

// overJSON divides by what the same event costs as JSON.
func (rep *report) overJSON(r *row, q *ratio) bool {
	limit := rep.find(r, millraceJSON)
	if limit == nil || limit == r {
		return false
	}
	q.Over, q.Limit, q.Own = millraceJSON, limit.Figures.CPUPerRecord, r.Figures.CPUPerRecord
	q.Ratio, q.Goal = q.Own/q.Limit, avroGoal
	return true
}

// overHTTP divides requests a second by the HTTP floor's.
func (rep *report) overHTTP(r *row, q *ratio) bool {
	limit := rep.find(r, httpFloor)
	if limit == nil || limit == r {
		return false
	}
	q.Over, q.Limit, q.Own = httpFloor, limit.Figures.RequestsPerSecond, r.Figures.RequestsPerSecond
	q.Ratio, q.Goal = q.Own/q.Limit, metadataGoal
	return true
}

// find returns the row of a server at the point of r, nil if it failed.
func (rep *report) find(r *row, server string) *row {
	for _, o := range rep.Rows {
		if o.Suite == r.Suite && o.Server == server && o.Failure == "" && o.Records == r.Records &&
			o.ValueBytes == r.ValueBytes && o.Compression == r.Compression && o.Rate == r.Rate && (o.Suite != "avro" || o.PageBytes == r.PageBytes) {
			return o
		}
	}
	return nil
}
