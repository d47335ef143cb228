// Package server is the HTTP edge: listeners, limits, the route table, media
// types, compression, CORS, and the translation between requests and the
// packages that do the work (batch, consumer, metadata).
//
// It holds no Kafka logic. A handler reads what the request says, calls one of
// those packages, and appends the answer straight into the response's buffer.
// Handlers return an error instead of writing one; [Server.fail] renders it, so
// that every error looks alike.
//
// The way of a request: [Server.serve] (panics, drain, the body (body.go, and
// package intake for its memory), CORS, decompression, routing, compression,
// request log), then the route's entry in routes.go (media types), then the resource's file: produce.go, consumers.go,
// consumers_v1.go, direct.go, streams.go, metadata.go, health.go, admin.go,
// metrics.go. Answers without an end go by stream.go; sse.go writes events.
// hangup.go notices clients that are gone while their request waits.
// openapi.yaml describes every route, and is served by openapi.go.
// The dashboard is ui.go (its files, its stream) and ui_sampler.go (what the
// stream brings); the page itself is package web.
//
// One goroutine, the connection's, carries a request from end to end. A
// handler must not keep the RequestCtx, or a view of the request, after it
// returns; the one thing that outlives it is a produce request's body, whose
// ownership moves into its [batch.Job].
package server
