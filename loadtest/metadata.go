package loadtest

import (
	"net/http"
	"sync/atomic"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// poller makes the requests of a metadata flow: its paths in turn.
type poller struct {
	to    *endpoint
	paths []string
	next  atomic.Uint64
	// tags are the ETags of the last answers by URL, nil unless polls are
	// conditional. The keys are there from the beginning.
	tags map[string]*atomic.Pointer[string]
}

func newPoller(to *endpoint, f *Flow) *poller {
	p := &poller{to: to, paths: f.Paths}
	if f.Conditional {
		p.tags = map[string]*atomic.Pointer[string]{}
		for _, path := range f.Paths {
			p.tags[to.base+path] = new(atomic.Pointer[string])
		}
	}
	return p
}

// target implements source.
func (p *poller) target(t *vegeta.Target) error {
	t.Method = http.MethodGet
	t.URL = p.to.base + p.paths[(p.next.Add(1)-1)%uint64(len(p.paths))]
	tag := ""
	if last := p.tags[t.URL]; last != nil {
		if seen := last.Load(); seen != nil {
			tag = *seen
		}
	}
	t.Header = p.to.header("Accept", mediaV2, "If-None-Match", tag)
	return nil
}

// taken implements source.
func (p *poller) taken(res *vegeta.Result) outcome {
	if res.Code == http.StatusNotModified {
		return outcome{ok: true, unchanged: true}
	}
	if res.Code/100 != 2 {
		return p.to.refused(res)
	}
	if last := p.tags[res.URL]; last != nil {
		if tag := res.Headers.Get("ETag"); tag != "" {
			last.Store(&tag)
		}
	}
	return outcome{ok: true}
}

// sent implements source.
func (p *poller) sent(uint64) {}
