// Package peer is what the nodes of one service say to each other over HTTP: requests
// about consumer instances, which are forwarded to the node that has the instance,
// notices of whether a page of records that went by another node has arrived, and
// claims of requests with an Idempotency-Key.
//
//   - forward.go: the [Forwarder], how a request is forwarded and received.
//   - passage.go: numbers of pages, notices, and their queues.
//   - keys.go: the node that carries out a request with an Idempotency-Key.
//   - relay.go: the body of a response from another node.
//   - ways.go: whether another node can be reached.
//
// It decides nothing about instances: package cluster says which node has which.
package peer
