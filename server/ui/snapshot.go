package ui

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/metrics"
)

// helloMessage is the part that a page needs once.
type helloMessage struct {
	Version  string               `json:"version"`
	Revision string               `json:"revision"`
	Started  int64                `json:"started"` // Unix time in ms, as all times here
	Fields   []string             `json:"fields"`  // the members of a point
	History  any                  `json:"history"` // points
	Errors   map[string]errorInfo `json:"errors"`  // by name
}

// errorInfo is a row of the table of errors.
type errorInfo struct {
	Status int    `json:"status"`
	Code   int    `json:"code"`
	Text   string `json:"text"`
	Advice string `json:"advice"`
	Retry  bool   `json:"retry"`
}

func errorCatalog() map[string]errorInfo {
	catalog := make(map[string]errorInfo)
	for _, k := range apierr.Kinds() {
		catalog[k.Name] = errorInfo{k.Status, k.Code, k.Message, k.Advice(), k.Retry}
	}
	return catalog
}

// snapshotMessage is everything that the dashboard shows at one time.
type snapshotMessage struct {
	At        int64           `json:"at"`
	Point     *point          `json:"point"` // nil before the second reading
	State     stateMessage    `json:"state"`
	Totals    totalsMessage   `json:"totals"`
	Routes    []routeMessage  `json:"routes"`
	Codecs    []codecMessage  `json:"codecs"`
	Errors    []errorMessage  `json:"errors"`
	Recent    []recentMessage `json:"recent"`
	Topics    topicsMessage   `json:"topics"`
	Brokers   brokersMessage  `json:"brokers"`
	Consumers consumersState  `json:"consumers"`
}

// stateMessage is the present state, where rates do not apply.
type stateMessage struct {
	Draining    bool    `json:"draining"`
	Reachable   bool    `json:"reachable"`
	Silence     float64 `json:"silence"` // seconds since a broker responded
	InFlight    int64   `json:"in_flight"`
	Streams     int64   `json:"streams"`
	Connections int     `json:"connections"`
	Held        int64   `json:"held"`
	HeldLimit   int64   `json:"held_limit"`
	Panics      uint64  `json:"panics"`
}

// totalsMessage counts since the start of the process, as /metrics does.
type totalsMessage struct {
	Requests   uint64 `json:"requests"`
	Failed     uint64 `json:"failed"`
	Broken     uint64 `json:"broken"`
	Received   uint64 `json:"-"` // for the points alone
	Sent       uint64 `json:"-"`
	RecordsIn  uint64 `json:"records_in"`
	RecordsOut uint64 `json:"records_out"`
}

type routeMessage struct {
	Method   string   `json:"method"`
	Path     string   `json:"path"`
	Requests uint64   `json:"requests"`
	Failed   uint64   `json:"failed"` // with a status of 400 or more
	Broken   uint64   `json:"broken"` // with a status of 500 or more
	Rate     float64  `json:"rate"`
	In       float64  `json:"in"`  // bytes a second
	Out      float64  `json:"out"` // bytes a second
	P50      *float64 `json:"p50"` // seconds; nil when no request was timed
	P99      *float64 `json:"p99"`
}

type codecMessage struct {
	Name    string   `json:"name"`
	Batches uint64   `json:"batches"`
	In      uint64   `json:"in"`
	Out     uint64   `json:"out"`
	Rate    float64  `json:"rate"`  // bytes a second before compression
	Ratio   *float64 `json:"ratio"` // lately; nil when nothing was compressed
	Cost    *float64 `json:"cost"`  // seconds for each byte, lately
}

// errorMessage is an error that occurred: the requests that failed with it, and the records that
// are not in Kafka because of it.
type errorMessage struct {
	Name     string  `json:"name"`
	Requests uint64  `json:"requests"`
	Records  uint64  `json:"records"`
	Rate     float64 `json:"rate"` // requests a second, as the chart's "failed"
	// RecordRate is records a second, most of them of requests that did not fail.
	RecordRate float64 `json:"record_rate"`
}

type recentMessage struct {
	Name  string `json:"name"`
	Where string `json:"where"`
	Count uint64 `json:"count"`
	Last  int64  `json:"last"`
	// The last of them; empty for single records.
	Topic   string `json:"topic"`
	Client  string `json:"client"`
	Message string `json:"message"`
}

type brokersMessage struct {
	Known   bool            `json:"known"`
	Age     float64         `json:"age"` // seconds
	Cluster string          `json:"cluster"`
	List    []brokerMessage `json:"list"`
}

type brokerMessage struct {
	ID         int32  `json:"id"`
	Host       string `json:"host"`
	Port       int32  `json:"port"`
	Rack       string `json:"rack"`
	Controller bool   `json:"controller"`
	Leads      int    `json:"leads"`    // partitions
	Replicas   int    `json:"replicas"` // partitions of which it should hold a replica
	Behind     int    `json:"behind"`   // of these, not in sync
}

type consumersState struct {
	Instances  int             `json:"instances"`
	Limit      int             `json:"limit"`
	GroupCount int             `json:"group_count"`
	Groups     []groupMessage  `json:"groups"`
	List       []memberMessage `json:"list"`
}

type groupMessage struct {
	Group      string `json:"group"`
	Instances  int    `json:"instances"`
	Partitions int    `json:"partitions"`
	Lag        int64  `json:"lag"`
	LagKnown   bool   `json:"lag_known"` // else lag is 0
}

type memberMessage struct {
	Group      string   `json:"group"`
	Name       string   `json:"name"`
	Format     string   `json:"format"`
	Topics     []string `json:"topics"`
	Pattern    bool     `json:"pattern"`
	Partitions int      `json:"partitions"`
	Lag        int64    `json:"lag"`
	LagKnown   bool     `json:"lag_known"`
	Backlog    int      `json:"backlog"`
	Idle       float64  `json:"idle"` // seconds
}

// gather makes a snapshot. It waits for Kafka only for the list of topics, and for a bounded
// time.
func (p *sampler) gather() *snapshotMessage {
	if len(p.readings) == 0 {
		p.read()
	}
	last := len(p.readings) - 1
	now, before := &p.readings[last], &p.readings[0]
	m := &snapshotMessage{
		At:        time.Now().UnixMilli(),
		State:     p.state(now),
		Totals:    totalsOf(now),
		Routes:    routesOf(before, now),
		Codecs:    codecsOf(before, now),
		Errors:    errorsOf(before, now),
		Recent:    p.recentErrors(),
		Consumers: consumersOf(p.deps.Consumers),
	}
	if last > 0 {
		m.Point = p.pointOf(&p.readings[last-1], now)
	}
	p.cluster(m)
	return m
}

func (p *sampler) state(now *reading) stateMessage {
	sources, open := p.edge.Metrics().Sources(), p.edge.Stats()
	m := stateMessage{
		Draining: open.Draining, Connections: open.Connections,
		InFlight: now.InFlight, Streams: now.Streams, Panics: now.Panics,
	}
	if sources.Producer != nil {
		produce := sources.Producer()
		m.Held, m.HeldLimit = produce.Held, produce.Limit
	}
	if cache := p.deps.Metadata; cache != nil {
		known := cache.Stats()
		m.Reachable, m.Silence = known.Reachable, known.Silence.Seconds()
	}
	return m
}

func totalsOf(r *reading) (m totalsMessage) {
	for i := range r.Routes {
		m.Requests += r.Routes[i].Requests
		m.Failed += r.Routes[i].Failed
		m.Broken += r.Routes[i].Broken
		m.Received += r.Routes[i].Received
		m.Sent += r.Routes[i].Sent
	}
	for _, f := range r.Formats {
		m.RecordsIn += f.Produced
		m.RecordsOut += f.Consumed
	}
	return m
}

func routesOf(before, now *reading) []routeMessage {
	all := make([]routeMessage, 0, len(now.Routes))
	for i := range now.Routes {
		n := &now.Routes[i]
		was := routeIn(before, n)
		m := routeMessage{
			Method: n.Method, Path: n.Path, Requests: n.Requests, Failed: n.Failed, Broken: n.Broken,
			Rate: perSecond(before, now, n.Requests-was.Requests),
			In:   perSecond(before, now, n.Received-was.Received),
			Out:  perSecond(before, now, n.Sent-was.Sent),
		}
		took := n.Took.Since(&was.Took)
		m.P50, m.P99 = quantile(&took, .5), quantile(&took, .99)
		all = append(all, m)
	}
	return all
}

// routeIn returns the figures of a route in an earlier reading, or zero ones.
func routeIn(r *reading, of *metrics.RouteReading) *metrics.RouteReading {
	for i := range r.Routes {
		if was := &r.Routes[i]; was.Method == of.Method && was.Path == of.Path {
			return was
		}
	}
	return &metrics.RouteReading{}
}

// quantile returns seconds, or nil when no request was timed.
func quantile(d *metrics.Durations, q float64) *float64 {
	took := d.Quantile(q)
	if took == 0 {
		return nil
	}
	seconds := short(took.Seconds())
	return &seconds
}

func perSecond(before, now *reading, n uint64) float64 {
	seconds := now.at.Sub(before.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return short(float64(n) / seconds)
}

func codecsOf(before, now *reading) []codecMessage {
	all := make([]codecMessage, 0, len(now.codecs))
	for _, c := range now.codecs {
		if c.Batches == 0 {
			continue
		}
		var was metrics.Codec
		if i := slices.IndexFunc(before.codecs, func(b metrics.Codec) bool { return b.Name == c.Name }); i >= 0 {
			was = before.codecs[i]
		}
		m := codecMessage{Name: c.Name, Batches: c.Batches, In: c.In, Out: c.Out, Rate: perSecond(before, now, c.In-was.In)}
		if in, out := c.In-was.In, c.Out-was.Out; in > 0 && out > 0 {
			ratio, cost := short(float64(in)/float64(out)), short((c.Time-was.Time).Seconds()/float64(in))
			m.Ratio, m.Cost = &ratio, &cost
		}
		all = append(all, m)
	}
	return all
}

func errorsOf(before, now *reading) []errorMessage {
	all := make([]errorMessage, 0, len(now.Failures))
	for _, f := range now.Failures {
		var was metrics.FailureReading
		if i := slices.IndexFunc(before.Failures, func(b metrics.FailureReading) bool { return b.Name == f.Name }); i >= 0 {
			was = before.Failures[i]
		}
		all = append(all, errorMessage{
			Name: f.Name, Requests: f.Requests, Records: f.Records,
			Rate:       perSecond(before, now, f.Requests-was.Requests),
			RecordRate: perSecond(before, now, f.Records-was.Records),
		})
	}
	return all
}

func (p *sampler) recentErrors() []recentMessage {
	list := p.edge.RecentErrors()
	all := make([]recentMessage, 0, len(list))
	for _, e := range list {
		where := "connection"
		if e.Route != nil {
			method, path := e.Route.Name()
			where = strings.TrimPrefix(method+" "+path, "any ")
		}
		if e.Records {
			where = "single records"
		}
		all = append(all, recentMessage{e.Kind.Name, where, e.Count, e.Last.UnixMilli(), e.Sample.Topic, e.Sample.Client, e.Sample.Message})
	}
	return all
}

func consumersOf(manager *consumer.Manager) consumersState {
	if manager == nil {
		return consumersState{}
	}
	o := manager.Overview(math.MaxInt)
	o.Groups = o.Groups[:min(rowsPerPage, len(o.Groups))]
	m := consumersState{Instances: o.Instances, Limit: o.Limit, GroupCount: o.GroupCount}
	for _, g := range o.Groups {
		m.Groups = append(m.Groups, groupMessage{g.Group, g.Instances, g.Partitions, g.Lag, g.LagKnown})
	}
	for _, i := range o.Shown {
		m.List = append(m.List, memberMessage{
			Group: i.Group, Name: i.Name, Format: i.Format.String(), Topics: i.Topics, Pattern: i.Pattern,
			Partitions: i.Partitions, Lag: i.Lag, LagKnown: i.LagKnown, Backlog: i.Backlog, Idle: i.Idle.Seconds(),
		})
	}
	return m
}

// configMessage has every setting in effect, secrets masked.
type configMessage struct {
	Settings []Setting `json:"settings"`
}

// Setting is a setting in effect.
type Setting struct {
	// Name and Value are as a properties file has them.
	Name  string `json:"name"`
	Value string `json:"value"`
	// Origin is where the value was set.
	Origin string `json:"origin"`
	// Runtime marks a setting that can change while the program runs.
	Runtime bool `json:"runtime"`
}

func (p *sampler) config() configMessage {
	m := configMessage{Settings: []Setting{}}
	if p.deps.Settings != nil {
		m.Settings = p.deps.Settings()
	}
	return m
}

// topicsWait bounds the wait for a fresh list of topics.
const topicsWait = 300 * time.Millisecond

// cluster adds the cached state of brokers and topics. It makes the cache refresh an old state,
// but shows the old one rather than wait long.
func (p *sampler) cluster(m *snapshotMessage) {
	cache := p.deps.Metadata
	if cache == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), topicsWait)
	defer cancel()
	known, err := cache.Snapshot(ctx)
	if err != nil {
		known = cache.Known()
	}
	m.Brokers = brokersOf(known)
	m.Topics = p.topicsOf(known)
}
