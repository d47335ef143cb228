// Package server is the HTTP edge: listeners, limits, routing, media ranges, compression, CORS,
// errors, streams, parameters, bodies, ETags, base URLs, and the metrics and spans of requests.
//
// It knows no resource. A resource is a struct in another package that holds the parts it uses
// and returns its routes; [Server.Handle] registers them. A [Route] is data and holds every
// property of its requests: whether they wait, whether they name a consumer instance, which
// action they do to which resource. Package api puts edge and resources together.
//
// The bytes of a connection pass framing.go before fasthttp parses them: nothing reaches its parser
// of which another HTTP parser could read another number of requests.
//
// A request goes through [Server.serve] (panics, strict.go, the body by body.go and package
// intake, other nodes, hosts.go, crossorigin.go and cors.go, decompression, routing,
// compression, request log) and its route's Admit and Handle. A handler returns an error
// instead of writing one; [Server.fail] renders it, so that every error looks alike. Responses
// without an end go by stream.go, which also writes events; requests whose body is read while they
// are answered, by exchange.go. hangup.go notices clients that are gone while their request waits.
//
// One goroutine, the connection's, carries a request from end to end. A handler must not keep the
// RequestCtx, or a view of the request, after it returns.
package server
