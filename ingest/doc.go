// Package ingest is the front door for senders of events that know nothing of Kafka: a page, a
// phone, a shell. They post events as they are, without an envelope, and get a short answer.
//
// A request goes through [Ingest.post]: the Content-Type says how events stand in the body
// (form.go), one pass makes a record of each (events.go), package batch writes them, and the
// answer counts them and names those that failed (answer.go). Handler and parser stand beside
// each other; a protocol with a body of its own is a folder below this one.
//
// A record is a view of the body, which belongs to the request's [batch.Job] from then on. Its
// bytes are those that the client sent: they are validated and not rewritten. Nothing allocates
// per event.
//
// An event that is refused never fails its neighbours: it is left out of the job, and noted with
// its index in the body ([refusal]). A body of which it is not known where its next event begins is
// refused as a whole, before anything is written.
package ingest
