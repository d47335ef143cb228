package registry

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/twmb/franz-go/pkg/sr"
)

// errForeignPage is Confluent's code for what the caller may not do.
var errForeignPage = &sr.Error{Code: 40301}

// ownPages keeps web pages of other sites away from next. The registry asks
// nobody who they are and listens on this machine, where any page that is open
// in a browser reaches it. A page of another origin changes nothing, and one
// whose name was made to resolve to this machine (DNS rebinding) reads nothing
// either: its Host is a name that is not localhost.
func (r *Registry) ownPages(next http.Handler) http.Handler {
	others := http.NewCrossOriginProtection()
	others.SetDenyHandler(r.serve(func(*http.Request) (any, error) {
		return nil, fail(errForeignPage, "Pages of other origins may not do this.")
	}))
	rebound := r.serve(func(*http.Request) (any, error) {
		return nil, fail(errForeignPage, "This schema registry goes by localhost and its IP address only.")
	})
	next = others.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !isLocal(q.Host) {
			rebound.ServeHTTP(w, q)
			return
		}
		next.ServeHTTP(w, q)
	})
}

// isLocal reports whether a Host header is localhost or an IP address.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 2 && host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	_, err := netip.ParseAddr(host)
	return host == "localhost" || host == "" || err == nil
}
