package apierr

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Unreachable returns the error of a request for which no connection to Kafka can be had. cause is
// why: an error of a dial, of a handshake of TLS or SASL, or of a broker that does not answer; nil
// if that is not known. The message names the reason, because the client's text is what the
// operator is shown first, and [BrokersAway] alone would send the operator to look for dead
// brokers when a password was wrong.
func Unreachable(cause error) *Error {
	var own *Error
	if errors.As(cause, &own) {
		return own
	}
	if refused := fromHandshake(cause); refused != nil {
		return refused
	}
	var token tokenless
	var dns *net.DNSError
	var closed *kgo.ErrFirstReadEOF
	reason := ""
	switch {
	case errors.As(cause, &token):
		reason = "this node " + token.Lack()
	case isForeign(cause):
		reason = "what listens at the address of bootstrap.servers does not speak Kafka's protocol"
	case isPlaintextToTLS(cause):
		reason = "the brokers speak TLS, and this node does not (client.security.protocol)"
	case errors.As(cause, &closed), errors.Is(cause, io.EOF):
		reason = "connections are closed at once, as by a broker that wants TLS or a login, or by what is no broker"
	case errors.Is(cause, syscall.ECONNREFUSED):
		reason = "connections are refused"
	case errors.As(cause, &dns):
		reason = "a host name cannot be resolved"
	case errors.Is(cause, context.DeadlineExceeded), errors.Is(cause, os.ErrDeadlineExceeded):
		reason = "it does not answer in time"
	case isTimeout(cause):
		reason = "connections time out"
	}
	if reason == "" {
		return &Error{Kind: BrokersAway, Cause: cause}
	}
	return BrokersAway.Wrap(cause, "No Kafka broker can be reached: %s.", reason)
}

// fromHandshake returns the error of a handshake of SASL or TLS that failed, nil for others.
func fromHandshake(cause error) *Error {
	var code *kerr.Error
	if errors.As(cause, &code) {
		switch kindOf(code) {
		case Unauthenticated:
			return Unauthenticated.Wrap(cause, "Kafka refuses the credentials that it is shown: %s", code.Description)
		case Unauthorized:
			return Unauthorized.Wrap(cause, "%s", code.Description)
		}
		return nil
	}
	var token tokenless
	if errors.As(cause, &token) {
		if by, refused := token.TokenRefused(); refused {
			return Unauthenticated.Wrap(cause, "%s refuses the credentials of this node.", by)
		}
	}
	switch alert, refused := refusedBy(cause); {
	case refused && isAboutCertificates(alert):
		return Unauthenticated.Wrap(cause, "Kafka refuses the certificate of this node, or asks for one and gets none.")
	case refused, isTLS(cause):
		return BrokersAway.Wrap(cause, "No Kafka broker can be reached: the TLS handshake fails.")
	case isUntrusted(cause):
		return BrokersAway.Wrap(cause, "No Kafka broker can be reached: this node does not trust the certificate of the broker.")
	}
	return nil
}

// tokenless is the error of a connection for which the node has no token to show (OAUTHBEARER), or
// no ticket (GSSAPI).
type tokenless interface {
	error
	// TokenRefused reports whether the side that gives them does not accept the node's credentials,
	// and names it.
	TokenRefused() (by string, refused bool)
	// Lack says what there is none of, and by which setting.
	Lack() string
}

// refusedBy returns the TLS alert with which a broker ended a connection. crypto/tls returns it
// as a number whose type is not exported.
func refusedBy(err error) (alert uint64, refused bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return v.Uint(), true
	}
	return 0, true
}

// isAboutCertificates reports whether an alert is about the certificate of the side that receives
// it: bad_certificate 42 to certificate_unknown 46, unknown_ca, access_denied,
// certificate_required (RFC 8446 §6.2).
func isAboutCertificates(alert uint64) bool {
	return alert >= 42 && alert <= 46 || alert == 48 || alert == 49 || alert == 116
}

// isTLS reports whether a handshake failed for what it was sent.
func isTLS(err error) bool {
	var header tls.RecordHeaderError
	var local *net.OpError
	return errors.As(err, &header) || errors.As(err, &local) && local.Op == "local error"
}

// isUntrusted reports whether a certificate of the broker was refused.
func isUntrusted(err error) bool {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// isForeign reports whether the response was none of Kafka's: another server's. The library has no
// error of its own for what it read; TestUnreachableSaysWhatListens holds it to these words.
func isForeign(err error) bool {
	return err != nil && !isPlaintextToTLS(err) &&
		(strings.Contains(err.Error(), "invalid large response size") || isGarbled(err))
}

// isPlaintextToTLS reports whether the response was a TLS alert.
func isPlaintextToTLS(err error) bool {
	return err != nil && strings.Contains(err.Error(), "appear to be a tls alert record")
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// FromWrite is [From] for the error of a record that was given to Kafka. It tells what was
// refused, and is not in Kafka, from what is not known: a request that got no answer, an answer
// that says that replicas lag, and a sequence that the broker lost track of, which may mean that
// an earlier attempt had succeeded.
func FromWrite(err error) *Error {
	if err == nil {
		return nil
	}
	var own *Error
	var code *kerr.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &code):
		switch code {
		case kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NetworkException, kerr.UnknownServerError,
			kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch:
			return WriteUnknown.Wrap(err, "%s It is not known whether Kafka has the record; sending it again may double it.", code.Description)
		}
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries),
		errors.Is(err, kgo.ErrClientClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), isNetwork(err):
		return &Error{Kind: WriteUnknown, Cause: err}
	}
	return From(err)
}
