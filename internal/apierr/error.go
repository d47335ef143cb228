package apierr

import (
	"errors"
	"time"
)

// Kind is one row of the table: what a class of errors looks like to a client.
// Kinds are compared by address; they are never changed after start-up.
type Kind struct {
	// Name is the stable name of the row, for logs, metrics and documentation.
	Name string
	// Status is the HTTP status of a request that fails with this kind.
	Status int
	// Code is the error_code member of the answer.
	Code int
	// Message is what a client reads when the error brings no detail of its own.
	Message string
	// Retry says whether the same request may succeed later without a change.
	Retry bool
	// RetryAfter is sent as the Retry-After header, in whole seconds. Every kind
	// with Retry has one, so that clients do not come back all at once.
	RetryAfter time.Duration
}

// Error is an error on its way to a client: a row of the table, the sentence
// to show, and the cause for the log. It is immutable once built.
type Error struct {
	Kind *Kind
	// Detail replaces the kind's message when not empty.
	Detail string
	// Cause is what [errors.Unwrap] gives; it is logged but never shown.
	Cause error
	// After replaces the kind's RetryAfter when not zero.
	After time.Duration
}

// New returns an error of this kind whose message is the formatted detail.
func (k *Kind) New(format string, args ...any) *Error {
	return &Error{Kind: k, Detail: detail(format, args)}
}

// Err returns an error of this kind with the kind's own message.
func (k *Kind) Err() *Error { return &Error{Kind: k} }

// Wrap returns an error of this kind that was caused by cause, whose text goes
// into the log only. The formatted detail is what the client reads.
func (k *Kind) Wrap(cause error, format string, args ...any) *Error {
	return &Error{Kind: k, Detail: detail(format, args), Cause: cause}
}

// Message is the sentence that a client reads.
func (e *Error) Message() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Kind.Message
}

// RetryAfter is when the request may succeed, 0 where that is not known.
func (e *Error) RetryAfter() time.Duration {
	if e.After > 0 {
		return e.After
	}
	return e.Kind.RetryAfter
}

// Error implements error. The text is for logs: it names the kind and the cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Kind.Name + ": " + e.Message() + ": " + cut(e.Cause.Error(), maxLogged)
	}
	return e.Kind.Name + ": " + e.Message()
}

// Unwrap gives the cause, if there is one.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether err, or an error that it wraps, is an [Error] of kind k.
func (k *Kind) Is(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}

// Reserved returns the error for a request about a topic that no API reads, writes
// or describes (kafka.Reserved).
func Reserved(topic string) *Error {
	return Unauthorized.New("The topic %s is reserved for the nodes of this service (cluster.topic): no request reads, writes or describes it. Use another topic.", topic)
}
