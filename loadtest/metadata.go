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
}

// target implements source.
func (p *poller) target(t *vegeta.Target) error {
	t.Method = http.MethodGet
	t.URL = p.to.base + p.paths[(p.next.Add(1)-1)%uint64(len(p.paths))]
	t.Header = p.to.header("Accept", mediaV2)
	return nil
}

// taken implements source.
func (p *poller) taken(res *vegeta.Result) outcome {
	if res.Code/100 != 2 && res.Code != http.StatusNotModified {
		return p.to.refused(res)
	}
	return outcome{ok: true}
}

// sent implements source.
func (p *poller) sent(uint64) {}
