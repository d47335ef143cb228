package check

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// plan is one produce request as the seed decides it: a pure function of seed, client and
// number, whatever the proxy answers.
type plan struct {
	topic   string
	format  string // json or binary
	records []planned
	pause   time.Duration // before it is sent
	again   bool          // it is sent again if its outcome is failed or unknown
}

type planned struct {
	key   string // "" for none
	asked int32  // partition, -1 for none
	bad   bool
}

// planOf returns what client sends as its request n.
func (o *Options) planOf(client, n int) plan {
	r := rand.New(rand.NewPCG(o.Seed, uint64(client)<<32|uint64(n)))
	p := plan{
		topic:   o.Topics[r.IntN(len(o.Topics))],
		format:  []string{"json", "binary"}[r.IntN(2)],
		records: make([]planned, 1+r.IntN(o.MaxRecords)),
		again:   r.IntN(2) == 0,
	}
	if o.Pause > 0 {
		p.pause = time.Duration(r.Int64N(int64(2 * o.Pause)))
	}
	for i := range p.records {
		rec := planned{asked: -1, bad: r.Float64() < o.Bad}
		switch r.IntN(3) {
		case 0:
			rec.key = "key-" + strconv.Itoa(r.IntN(50))
		case 1:
			rec.asked = r.Int32N(int32(o.Partitions))
		}
		p.records[i] = rec
	}
	return p
}

// badTimestamp is far past what message.timestamp.after.max.ms allows, an hour by default.
const badTimestamp = 30 * 24 * time.Hour

// body is the envelope of p, whose first record is the client's record number seq.
func (p *plan) body(run string, client, seq int, now time.Time) []byte {
	b := append(make([]byte, 0, 64+len(p.records)*(maxPad+100)), `{"records":[`...)
	for i, rec := range p.records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		if rec.key != "" {
			b = append(p.appendText(append(b, `"key":`...), strconv.AppendQuote(nil, rec.key)), ',')
		}
		if rec.asked >= 0 {
			b = fmt.Appendf(b, `"partition":%d,`, rec.asked)
		}
		if rec.bad {
			b = fmt.Appendf(b, `"timestamp":%d,`, now.Add(badTimestamp).UnixMilli())
		}
		b = p.appendText(append(b, `"value":`...), AppendValue(nil, run, ID{client, seq + i}))
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// appendText appends JSON as the format has it.
func (p *plan) appendText(dst, text []byte) []byte {
	if p.format != "binary" {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, text)
	return append(dst, '"')
}

// sent are the records of p as the history has them.
func (p *plan) sent(client, seq int) []Sent {
	out := make([]Sent, len(p.records))
	for i, rec := range p.records {
		out[i] = Sent{ID: ID{client, seq + i}, Asked: rec.asked, Bad: rec.bad, Partition: -1, Offset: -1}
	}
	return out
}
