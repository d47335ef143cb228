package server

import (
	"net/netip"
	"net/url"
	"os"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// ownHosts are the names that this node goes by. A page whose own name is made
// to resolve to this node's address (DNS rebinding) is of the same origin as what
// the node serves, as far as a browser can tell. Only the Host header, which such
// a page cannot choose, tells it from the node's own pages.
type ownHosts struct {
	names map[string]struct{}
	only  bool // refuse all requests for other hosts, not only those of guarded routes
}

// newOwnHosts collects the configured names, that of the machine, and localhost.
func newOwnHosts(s Settings) ownHosts {
	o := ownHosts{names: map[string]struct{}{"localhost": {}}, only: s.OwnHostsOnly}
	names := append([]string{s.HostName}, s.OwnHosts...)
	if u, err := url.Parse(s.Advertised); err == nil {
		names = append(names, u.Hostname())
	}
	if machine, err := os.Hostname(); err == nil {
		names = append(names, machine)
	}
	for _, name := range names {
		if name = hostName(name); name != "" {
			o.names[name] = struct{}{}
		}
	}
	return o
}

// has reports whether host is this node. An IP address always is: no name was
// resolved to it. So is none, of HTTP/1.0, which no browser speaks.
func (o *ownHosts) has(host string) bool {
	if host == "" {
		return true
	}
	name := hostName(host)
	if _, ok := o.names[name]; ok {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// requireOwnHost refuses a request for a host that is not this node. A host that
// a trusted proxy forwards must be this node's too, beside the Host header and
// not in its place: a page that was rebound can send any X-Forwarded-Host.
func (s *Server) requireOwnHost(ctx *fasthttp.RequestCtx) error {
	for _, host := range []string{string(ctx.Host()), s.forwarded(ctx).host} {
		if !s.hosts.has(host) {
			return apierr.Unauthorized.New("%s is not a name of this node as far as it knows. If it is, add it to hosts.own; until then use the IP address.", sentText([]byte(host)))
		}
	}
	return nil
}

// requireOwnHostEverywhere is requireOwnHost where hosts.own.only asks for that.
func (s *Server) requireOwnHostEverywhere(ctx *fasthttp.RequestCtx) error {
	if !s.hosts.only {
		return nil
	}
	return s.requireOwnHost(ctx)
}
