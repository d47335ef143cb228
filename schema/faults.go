package schema

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/sr"

	"millrace/internal/apierr"
)

// fault classifies the error of a request: a [*sr.ResponseError] where the registry answered the
// question, else an [*apierr.Error]. where is the URL.
func fault(ctx context.Context, where string, err error) error {
	var answer *sr.ResponseError
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	var cut errCut
	switch {
	case errors.As(err, &answer):
		return answered(where, answer)
	case errors.Is(err, errResponseTooLarge):
		return apierr.RegistryFailed.Wrap(err, "The schema registry's response is too large.")
	case errors.As(err, &certificate):
		return apierr.RegistryFailed.Wrap(err, "The schema registry at %s shows a certificate that this node does not trust.", where)
	case ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout():
		return apierr.RegistryTimedOut.Wrap(err, "The schema registry at %s did not answer in time.", where)
	case errors.As(err, &timeout) || errors.As(err, &cut):
		return apierr.RegistryAway.Wrap(err, "The schema registry at %s cannot be reached.", where)
	case strings.Contains(err.Error(), "unknown schema type"): // pkg/sr has no type for it; TestUnknownType holds the words
		return apierr.RegistryRefused.Wrap(err, "The schema registry has it with a type that this node does not know.")
	default:
		return apierr.RegistryFailed.Wrap(err, "The response from %s is not that of a schema registry.", where)
	}
}

// answered keeps a response that answers the question in the negative. The other responses mean
// that the registry cannot answer now, or refuses this node.
func answered(where string, e *sr.ResponseError) error {
	switch {
	case e.StatusCode >= http.StatusInternalServerError || e.StatusCode == http.StatusTooManyRequests:
		return apierr.RegistryAway.Wrap(e, "The schema registry at %s failed: %s", where, said(e))
	case e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden:
		return apierr.RegistryFailed.Wrap(e, "The schema registry at %s refuses this node: %s", where, said(e))
	case e.StatusCode == http.StatusNotFound && !isMissing(e) || e.StatusCode == http.StatusMethodNotAllowed || e.StatusCode < http.StatusBadRequest:
		// 404 without an error code is not a registry's response.
		return apierr.RegistryFailed.Wrap(e, "The response from %s is not that of a schema registry: %s", where, said(e))
	default:
		return e
	}
}

// isMissing reports whether the registry does not have the requested thing.
func isMissing(err error) bool {
	var e *sr.ResponseError
	return errors.As(err, &e) && e.StatusCode == http.StatusNotFound && sr.IsNotFoundError(e.ErrorCode)
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
