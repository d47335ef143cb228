package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"

	"millrace/internal/bounded"
)

// quota bounds how much some callers may do.
type quota struct {
	// Name is what a refused client reads.
	Name string `yaml:"name"`
	// The quota is for the callers that Who names, as in a rule.
	Who []string `yaml:"who"`
	// Paths are patterns of the routes that count; none: all.
	Paths []string `yaml:"paths"`
	// Per is who has a quota of its own: each identity (the default), each address, or all
	// together.
	Per string `yaml:"per"`
	// Requests, Records and Bytes are a second's; 0: no bound. Records and bytes are those of
	// request bodies.
	Requests float64 `yaml:"requests"`
	Records  float64 `yaml:"records"`
	Bytes    float64 `yaml:"bytes"`
	// Burst is for how many seconds' worth one may be ahead.
	Burst float64 `yaml:"burst"`
	// Consumers bounds the consumer instances of an identity on this node.
	Consumers int `yaml:"consumers"`
	// Connections bounds the open connections whose latest request is of the caller.
	Connections int `yaml:"connections"`

	line    int
	bucket  string // names its state, see bucketKey
	paths   patterns
	refused *refusals
}

const (
	perIdentity = "identity"
	perAddress  = "address"
	perAll      = "all"
)

// UnmarshalYAML implements [yaml.Unmarshaler]: it notes the line of the quota.
func (q *quota) UnmarshalYAML(n *yaml.Node) error {
	if err := onlyKeys(n, "name", "who", "paths", "per", "requests", "records", "bytes", "burst", "consumers", "connections"); err != nil {
		return err
	}
	type plain quota
	if err := n.Decode((*plain)(q)); err != nil {
		return err
	}
	q.line = n.Line
	return nil
}

func (q *quota) check() error {
	if err := checkWho(q.Who); err != nil {
		return err
	}
	if q.Per == "" {
		q.Per = perIdentity
	}
	if q.Burst == 0 {
		q.Burst = 1
	}
	most := max(q.Requests, q.Records, q.Bytes)
	switch {
	case q.Name == "":
		return errors.New("name is missing: what a client reads that is refused")
	case !slices.Contains([]string{perIdentity, perAddress, perAll}, q.Per):
		return fmt.Errorf("per is %q; allowed: %s, %s, %s", q.Per, perIdentity, perAddress, perAll)
	case min(q.Requests, q.Records, q.Bytes, q.Burst) < 0 || min(q.Consumers, q.Connections) < 0 || most > 1e12 || q.Burst > 3600:
		return errors.New("a number is out of range")
	case slices.ContainsFunc([]float64{q.Requests, q.Records, q.Bytes}, func(rate float64) bool { return rate > 0 && rate*q.Burst < 1 }):
		return errors.New("burst is too short for one at that rate")
	case most == 0 && q.Consumers == 0 && q.Connections == 0:
		return errors.New("none of requests, records, bytes, consumers and connections is given")
	case q.Connections > 0 && len(q.Paths) > 0:
		return errors.New("a connection is of no path: give connections a quota without paths")
	}
	q.setPaths(q.Paths)
	return nil
}

// setPaths has the quota count the routes of the patterns; none: all.
func (q *quota) setPaths(list []string) {
	q.paths = patterns{any: len(list) == 0}
	for _, path := range list {
		q.paths.add(path)
	}
}

// names reports whether the quota is for the identity. Other than a rule, one for * holds for
// anonymous callers too.
func (q *quota) names(id *Identity) bool { return names(q.Who, id, true) }

// meter is one thing that is counted.
type meter uint8

const (
	requests meter = iota
	records
	payload
	meters

	// Those below are no rates.
	instances
	connected
	allMeters
)

var meterNames = [allMeters]string{requests: "requests", records: "records", payload: "bytes", instances: "consumers", connected: "connections"}

func (q *quota) rate(m meter) float64 {
	switch m {
	case requests:
		return q.Requests
	case records:
		return q.Records
	}
	return q.Bytes
}

// bucket is the state of one bound, a GCRA: the time at which all that was taken would be used
// up at the rate. It is ahead of the clock by what was taken in advance.
type bucket struct{ ahead atomic.Int64 }

// take takes the cost, in nanoseconds, if there is room for that of one unit within the window. So
// a request that is larger than the window passes once, and is paid for by those after it. It
// returns how far ahead the bucket is, or was when it refused.
func (b *bucket) take(now, cost, unit, window int64) (ahead int64, ok bool) {
	for {
		was := b.ahead.Load()
		from := max(was, now)
		if from-now+unit > window {
			return from - now, false
		}
		if cost == 0 || b.ahead.CompareAndSwap(was, from+cost) {
			return from + cost - now, true
		}
	}
}

// maxCost bounds what one request takes: 36 years.
const maxCost = 1 << 60

// costOf returns for how many nanoseconds n units use up the rate. Those of one are no whole number
// where the rate is high: n times as many, rounded, would be far off.
func costOf(n int64, rate float64) int64 {
	return int64(min(float64(n)*float64(time.Second)/rate, maxCost))
}

// unitsIn returns how many whole units the rate gives in so many nanoseconds. The thousandth makes
// up for the digits of a rate that a float does not have.
func unitsIn(ns int64, rate float64) int64 {
	return int64(float64(ns)/float64(time.Second)*rate + 1e-3)
}

// limit is a quota for one identity.
type limit struct {
	*quota
	own *[meters]bucket // nil: each address has its own
}

// bucketKey names whose a bucket is.
type bucketKey struct {
	quota     string // its name, and the number of it among those of the name
	principal string
	addr      netip.Addr
}

// maxBuckets bounds the identities and addresses that are counted apart.
const maxBuckets = 100_000

// buckets are the states of all quotas. They outlive the snapshots: else a reload of the files
// would give everyone what is used up.
type buckets struct {
	mu  sync.RWMutex
	all *bounded.Map[bucketKey, *[meters]bucket]

	connections connections
	refusals    map[string]*refusals // by the name of the quota
}

// refusals count what a quota has refused.
type refusals [allMeters]atomic.Uint64

func newBuckets() *buckets {
	return &buckets{all: bounded.New[bucketKey, *[meters]bucket](maxBuckets, nil)}
}

// name gives quotas the names of their states. One that has the same name after a reload goes on
// with its state, whatever it allows by then. The counts of quotas that are no more are dropped.
// Only one load runs at a time.
func (b *buckets) name(all []quota) {
	seen, counts := map[string]int{}, map[string]*refusals{}
	for i := range all {
		q := &all[i]
		q.bucket = q.Name + "\x00" + q.Per + "\x00" + strconv.Itoa(seen[q.Name+q.Per])
		seen[q.Name+q.Per]++
		q.refused = cmp.Or(counts[q.Name], b.refusals[q.Name])
		if q.refused == nil {
			q.refused = &refusals{}
		}
		counts[q.Name] = q.refused
	}
	b.refusals = counts
}

// Refusal says how often a quota has refused something.
type Refusal struct {
	Quota, What string
	Times       uint64
}

// Refusals returns how often each quota has refused something that it bounds.
func (a *Access) Refusals() (all []Refusal) {
	if a == nil {
		return nil
	}
	seen := map[*refusals]bool{}
	for _, q := range a.policy.Load().quotas {
		if seen[q.refused] {
			continue
		}
		seen[q.refused] = true
		for m := range q.refused {
			if times := q.refused[m].Load(); times > 0 {
				all = append(all, Refusal{q.Name, meterNames[m], times})
			}
		}
	}
	return all
}

func (b *buckets) of(key bucketKey) *[meters]bucket {
	b.mu.RLock()
	found, ok := b.all.Get(key)
	b.mu.RUnlock()
	if ok {
		return found
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if found, ok = b.all.Get(key); !ok {
		found = new([meters]bucket)
		b.all.Put(key, found)
	}
	return found
}

// limitsOf returns the quotas that hold for an identity.
func (p *policy) limitsOf(id *Identity) (all []limit) {
	for i := range p.quotas {
		q := &p.quotas[i]
		if !q.names(id) {
			continue
		}
		l := limit{quota: q}
		switch {
		case q.Per == perAll:
			l.own = p.buckets.of(bucketKey{quota: q.bucket})
		case q.Per == perIdentity && !id.Anonymous():
			l.own = p.buckets.of(bucketKey{quota: q.bucket, principal: id.principal})
		}
		all = append(all, l)
	}
	return all
}

// Usage is what a request takes of the quotas.
type Usage struct {
	Requests, Records, Bytes int
}

func (u Usage) of(m meter) int {
	switch m {
	case requests:
		return u.Requests
	case records:
		return u.Records
	}
	return u.Bytes
}

// Left is the state of the quota that comes closest to its end, for the client.
type Left struct {
	// Name and What are the quota and what it counts; empty: there is none.
	Name, What string
	// Limit is a window's worth, Remaining what is left of it.
	Limit, Remaining int64
	// Reset is when the whole limit is available again; Wait, of a refusal, when one unit is.
	Reset, Wait time.Duration
	Window      time.Duration
}

// Take takes from the quotas of the identity on the path. ok is false where one is exhausted;
// left is that one then, else the one that is closest to it. Anonymous callers have quotas by
// their address.
func (id *Identity) Take(addr netip.Addr, path string, u Usage) (left Left, ok bool) {
	return id.take(addr, path, u, 0, meters)
}

// TakeRecords is [Identity.Take] for records of a request that was admitted before, and goes on.
func (id *Identity) TakeRecords(addr netip.Addr, path string, n int) (left Left, ok bool) {
	return id.take(addr, path, Usage{Records: n}, records, records+1)
}

// take takes from what the meters from first to end count.
func (id *Identity) take(addr netip.Addr, path string, u Usage, first, end meter) (left Left, ok bool) {
	if id == nil || len(id.limits) == 0 {
		return left, true
	}
	now, least := time.Now().UnixNano(), 2.0
	for i := range id.limits {
		l := &id.limits[i]
		if !l.paths.match(path) {
			continue
		}
		states := l.own
		for m := first; m < end; m++ {
			rate := l.rate(m)
			if rate == 0 {
				continue
			}
			if states == nil {
				states = id.policy.buckets.of(bucketKey{quota: l.bucket, addr: addr})
			}
			unit, window := max(costOf(1, rate), 1), int64(l.Burst*float64(time.Second))
			ahead, taken := states[m].take(now, costOf(int64(u.of(m)), rate), unit, window)
			share := 1 - float64(ahead)/float64(window)
			if taken && share >= least {
				continue
			}
			least = share
			left = Left{
				Name: l.Name, What: meterNames[m], Limit: unitsIn(window, rate), Remaining: unitsIn(max(window-ahead, 0), rate),
				Reset: time.Duration(ahead), Window: time.Duration(window),
			}
			if !taken {
				l.refused[m].Add(1)
				left.Wait = time.Duration(ahead + unit - window)
				return left, false
			}
		}
	}
	return left, true
}

// Charge takes from the quotas what was not known when the request was admitted. The caller may
// come to be ahead by it, and is refused until it is not.
func (id *Identity) Charge(addr netip.Addr, path string, u Usage) {
	if id == nil {
		return
	}
	now := time.Now().UnixNano()
	for i := range id.limits {
		l := &id.limits[i]
		if !l.paths.match(path) {
			continue
		}
		states := l.own
		if states == nil {
			states = id.policy.buckets.of(bucketKey{quota: l.bucket, addr: addr})
		}
		for m := range meters {
			if rate, n := l.rate(m), int64(u.of(m)); rate > 0 && n > 0 {
				states[m].take(now, costOf(n, rate), 0, 1<<62)
			}
		}
	}
}

// Counts reports whether there are quotas for the identity.
func (id *Identity) Counts() bool { return id != nil && len(id.limits) > 0 }

// MaxConsumers returns how many consumer instances the identity may have on this node; 0: no
// bound. name is that of the quota.
func (id *Identity) MaxConsumers() (most int, name string) {
	if id == nil {
		return 0, ""
	}
	for i := range id.limits {
		if n := id.limits[i].Consumers; n > 0 && (most == 0 || n < most) {
			most, name = n, id.limits[i].Name
		}
	}
	return most, name
}

// RefusedConsumer counts that the quota of [Identity.MaxConsumers] has refused an instance.
func (id *Identity) RefusedConsumer() {
	_, name := id.MaxConsumers()
	for i := range id.limits {
		if l := &id.limits[i]; l.Name == name && l.Consumers > 0 {
			l.refused[instances].Add(1)
			return
		}
	}
}
