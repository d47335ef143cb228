package ui

import (
	"slices"
	"time"

	"millrace/metadata"
	"millrace/metrics"
)

// topicsMessage has the topics in the order of [byNeed], then by name.
type topicsMessage struct {
	Count      int            `json:"count"`
	Partitions int            `json:"partitions"`
	Leaderless int            `json:"leaderless"` // partitions
	Behind     int            `json:"behind"`     // partitions with a replica that is not in sync
	List       []topicMessage `json:"list"`
}

// topicMessage is one topic. Rates are of the records through this node.
type topicMessage struct {
	Name       string  `json:"name"`
	Internal   bool    `json:"internal"`
	Partitions int     `json:"partitions"`
	Replicas   int     `json:"replicas"`
	Leaderless int     `json:"leaderless"`
	Behind     int     `json:"behind"`
	InRecords  float64 `json:"in_records"` // a second
	InBytes    float64 `json:"in_bytes"`
	OutRecords float64 `json:"out_records"`
	OutBytes   float64 `json:"out_bytes"`
	Produced   uint64  `json:"produced"` // records since the start
	Consumed   uint64  `json:"consumed"`
}

// topicRate is the recent rate of a topic.
type topicRate struct {
	last                                     metrics.TopicReading
	inRecords, inBytes, outRecords, outBytes float64
}

// newer is the weight of the latest second in a topic's rate.
const newer = 0.3

// topicsOf joins the topics of the cluster with their rates.
func (p *sampler) topicsOf(known *metadata.Snapshot) topicsMessage {
	p.measureTopics()
	m := topicsMessage{Count: len(known.Topics), List: make([]topicMessage, 0, len(known.Topics))}
	for _, t := range known.Topics {
		line := topicMessage{Name: t.Name, Internal: t.Internal, Partitions: len(t.Partitions)}
		for i := range t.Partitions {
			part := &t.Partitions[i]
			line.Replicas = max(line.Replicas, len(part.Replicas))
			if part.Leader < 0 {
				line.Leaderless++
			}
			if len(part.ISR) < len(part.Replicas) {
				line.Behind++
			}
		}
		m.Partitions += line.Partitions
		m.Leaderless += line.Leaderless
		m.Behind += line.Behind
		if rate := p.topics[t.Name]; rate != nil {
			line.InRecords, line.InBytes = short(rate.inRecords), short(rate.inBytes)
			line.OutRecords, line.OutBytes = short(rate.outRecords), short(rate.outBytes)
			line.Produced, line.Consumed = rate.last.ProducedRecords, rate.last.ConsumedRecords
		}
		m.List = append(m.List, line)
	}
	slices.SortStableFunc(m.List, byNeed)
	return m
}

// measureTopics updates the topics' rates. The first time it has nothing to compare with.
func (p *sampler) measureTopics() {
	now := time.Now()
	seconds := now.Sub(p.topicsAt).Seconds()
	first := p.topics == nil
	if first {
		p.topics = make(map[string]*topicRate)
	} else if seconds < sampleEvery.Seconds()/2 {
		return // another viewer joined in between
	}
	p.topicsAt = now
	for t := range p.edge.Metrics().Topics().All() {
		r := p.topics[t.Name]
		if r == nil {
			r = &topicRate{}
			if first {
				r.last = t
			}
			p.topics[t.Name] = r
		}
		smooth := func(rate *float64, n uint64) { *rate += newer * (float64(n)/seconds - *rate) }
		if !first {
			smooth(&r.inRecords, t.ProducedRecords-r.last.ProducedRecords)
			smooth(&r.inBytes, t.ProducedBytes-r.last.ProducedBytes)
			smooth(&r.outRecords, t.ConsumedRecords-r.last.ConsumedRecords)
			smooth(&r.outBytes, t.ConsumedBytes-r.last.ConsumedBytes)
		}
		r.last = t
	}
}

func brokersOf(known *metadata.Snapshot) brokersMessage {
	m := brokersMessage{Known: !known.Taken.IsZero(), Cluster: known.ClusterID}
	if m.Known {
		m.Age = time.Since(known.Taken).Seconds()
	}
	at := make(map[int32]int, len(known.Brokers))
	for _, b := range known.Brokers {
		at[b.ID] = len(m.List)
		m.List = append(m.List, brokerMessage{
			ID: b.ID, Host: b.Host, Port: b.Port, Rack: b.Rack, Controller: b.ID == known.Controller,
		})
	}
	for _, t := range known.Topics {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if n, ok := at[p.Leader]; ok {
				m.List[n].Leads++
			}
			for _, id := range p.Replicas {
				n, ok := at[id]
				if !ok {
					continue
				}
				m.List[n].Replicas++
				if !slices.Contains(p.ISR, id) {
					m.List[n].Behind++
				}
			}
		}
	}
	return m
}
