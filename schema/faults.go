package schema

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/internal/apierr"
)

// fault makes of what a call ended with what the rest works with: a
// [*sr.ResponseError] where the registry answered the question, else an
// [*apierr.Error]. where is the URL, which is for the log alone: it is of a
// network that the client is not to know. So are the words of whatever is in no
// state to answer, which may name other hosts.
func fault(ctx context.Context, where string, err error) error {
	var answer *sr.ResponseError
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	var cut errCut
	at := fmt.Errorf("at %s: %w", where, err)
	switch {
	case errors.As(err, &answer):
		return answered(at, answer)
	case errors.Is(err, errResponseTooLarge):
		return apierr.RegistryFailed.Wrap(at, "The schema registry's response is too large.")
	case errors.As(err, &certificate):
		return apierr.RegistryFailed.Wrap(at, "The schema registry shows a certificate that this node does not trust.")
	case ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout():
		return apierr.RegistryTimedOut.Wrap(at, "The schema registry did not answer in time.")
	case errors.As(err, &timeout) || errors.As(err, &cut):
		return apierr.RegistryAway.Wrap(at, "The schema registry cannot be reached.")
	case strings.Contains(err.Error(), "unknown schema type"): // pkg/sr gives it no name; TestUnknownType holds it to the words
		return apierr.RegistryRefused.Wrap(at, "The schema registry has it with a type that this node does not know.")
	default:
		return apierr.RegistryFailed.Wrap(at, "The response at schema.registry.url is not that of a schema registry.")
	}
}

// answered keeps an answer that says no to the question. The others say that
// the registry is in no state to answer, or not to us; at is such an answer with
// the URL.
func answered(at error, e *sr.ResponseError) error {
	switch {
	case e.StatusCode >= http.StatusInternalServerError || e.StatusCode == http.StatusTooManyRequests:
		return apierr.RegistryAway.Wrap(at, "The schema registry failed with the HTTP status %d.", e.StatusCode)
	case e.StatusCode == http.StatusUnauthorized:
		return apierr.Unauthenticated.Wrap(at, "The schema registry refuses the credentials of this node.")
	case e.StatusCode == http.StatusForbidden:
		return apierr.Unauthorized.Wrap(at, "The schema registry refuses this node.")
	case e.StatusCode == http.StatusNotFound && !isMissing(e) || e.StatusCode == http.StatusMethodNotAllowed || e.StatusCode < http.StatusBadRequest:
		// 404 without a code of the registry's own is somebody else's page.
		return apierr.RegistryFailed.Wrap(at, "The response at schema.registry.url is not that of a schema registry.")
	default:
		return e
	}
}

// isMissing reports whether the registry does not have the requested thing.
func isMissing(err error) bool {
	var e *sr.ResponseError
	return errors.As(err, &e) && e.StatusCode == http.StatusNotFound && sr.IsNotFoundError(e.ErrorCode)
}

// isNoPath reports whether the registry answered that it does not have the path: one that knows no
// GUIDs, such as Apicurio, does.
func isNoPath(err error) bool {
	var e *sr.ResponseError
	return errors.As(err, &e) && e.StatusCode == http.StatusNotFound
}

// refused turns a refusal of the registry, if err is one, into the error for the client; the
// format describes the request.
func refused(err error, what string) error {
	var e *sr.ResponseError
	if !errors.As(err, &e) || errors.As(err, new(*apierr.Error)) {
		return err
	}
	kind := apierr.RegistryRefused
	if e.ErrorCode == sr.ErrInvalidSchema.Code {
		kind = apierr.InvalidSchema
	}
	return kind.Wrap(e, "The schema registry refused %s: %s", what, said(e))
}

// said returns the registry's own message.
func said(e *sr.ResponseError) string {
	if e.Message == "" {
		return "HTTP status " + http.StatusText(e.StatusCode) + "."
	}
	return sentence(e.Message)
}

// maxSaid bounds how much of the registry's message goes into ours: a registry quotes whole
// schemas.
const maxSaid = 400

// sentence makes one line of a message, not too long, with a full stop.
func sentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxSaid {
		cut := maxSaid
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		return s[:cut] + "…"
	}
	if s != "" && !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
