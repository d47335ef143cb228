// Package intake accounts for the memory of request bodies: one [Budget] for
// all connections of the process, which a body is charged to as its bytes
// arrive, not as they are announced.
//
// The invariant: every byte of a buffer that holds a request body, or what a
// compressed one was unpacked into, is charged to the budget from before the
// buffer is made until the request is answered, or until somebody else accounts
// for it (a produce request's body moves into its job, which the producer's
// buffer is charged for first). Otherwise a few kilobytes of headers that
// announce bodies would reserve any amount of memory.
//
// Bodies up to [Small] bytes may use the whole budget. Larger ones leave them a
// reserve, so that large uploads, slow or fast, cannot starve the short
// requests of telemetry. A caller has a fair share of the budget (package fair):
// the last of the room is for those that hold less than theirs.
//
// Bodies that are still arriving are watched ([Budget.Run]). One that makes less
// progress than a least rate is cut. When a large body finds no room, the
// slowest of the others is cut for it, if that is slower than itself; else it
// is refused.
//
// A [Shedder] bounds the work of a node in time as the Budget bounds it in memory.
//
// The package knows no HTTP. Package server reads the bodies (body.go there) and
// decides what a refusal looks like from outside; the errors are those of
// apierr. A [Body] belongs to one goroutine; a Budget may be used by all.
package intake
