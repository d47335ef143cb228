package api_test

import (
	"net/http"
	"testing"

	"millrace/internal/testkit"
	"millrace/server"
	"millrace/server/ops"
)

// A listener serves the parts that it is for, and knows no other path; probes are everywhere.
func TestListenersServeTheirParts(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
		o.server.Listeners = []server.Listener{
			{Addr: "127.0.0.1:0", Serves: server.DataPart},
			{Addr: "127.0.0.1:0", Serves: server.AdminPart | server.DashboardPart},
			{Addr: "127.0.0.1:0", Serves: server.MetricsPart},
		}
		o.adminOn, o.ui = true, true
		o.admin = ops.Config{Settings: (&settings{}).show, Change: (&settings{}).change}
	})
	for path, on := range map[string][3]int{
		"/topics":       {200, 404, 404},
		"/admin/config": {404, 200, 404},
		"/ui":           {404, 200, 404},
		"/metrics":      {404, 404, 200},
		"/healthz":      {200, 200, 200},
	} {
		for i, want := range on {
			resp, err := http.Get("http://" + s.addrs[i].String() + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s on listener %d: %d, want %d", path, i, resp.StatusCode, want)
			}
		}
	}
}
