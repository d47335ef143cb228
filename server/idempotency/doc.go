// Package idempotency remembers the answers of requests that carry an Idempotency-Key, so that a
// request which comes again is answered and not carried out again.
//
// A [Store] knows a request by its name, a hash of its caller, its path and its key, and by a hash
// of its content. A request that is new is carried out by the one that asked ([Store.Begin]), which
// then says what its answer is ([Store.End]); until then the name is busy. Invariant: between a
// Begin that says [Fresh] and the end of the window, no other Begin of that name says Fresh, unless
// End said that nothing was written. Otherwise a retry would write its records twice.
//
// Where several nodes are one service, the node that has begun a request asks all others before it
// carries the request out ([Store.Claim], claim.go), and tells them the answer ([Store.Settle]).
// Invariant: the node that carries a request out is the one that knows whether it does; the others
// remember its claim, so that they know whom to ask. Of two nodes that ask at once each hears of
// the other, and the one whose claim is First has the request: the other finds out in
// [Store.Confirm]. A claim whose node is dead stands for a request of which nobody knows what it
// wrote.
//
// A node that has joined takes over what the others remember ([Store.Memories], [Store.Remember],
// handover.go), so that nodes which restart one after the other forget nothing.
//
// The memory is bounded by bytes, and by it the number of names: beyond it the oldest answers are
// forgotten before their time, which is counted. A node that restarts has forgotten all.
//
// The package knows no HTTP; server/idempotent.go has that part. Many goroutines may use a Store.
package idempotency
