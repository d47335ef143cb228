package apierr

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// From turns any error into an [Error]. An Error (wrapped or not) is returned
// as it is; Kafka's codes, the client library's sentinels, deadlines and
// network errors get their rows; everything else is [Internal]. nil gives nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var code *kerr.Error
	if errors.As(err, &code) {
		return fromCode(code, err)
	}
	switch {
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries):
		return &Error{Kind: WriteUnknown, Cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return KafkaTimedOut.Wrap(err, "Kafka did not answer within the deadline.")
	case errors.Is(err, kgo.ErrMaxBuffered):
		return &Error{Kind: Overloaded, Cause: err}
	case errors.Is(err, kgo.ErrClientClosed), errors.Is(err, context.Canceled):
		return &Error{Kind: Interrupted, Cause: err}
	}
	if refused := fromHandshake(err); refused != nil {
		return refused
	}
	if isNetwork(err) {
		return Unreachable(err)
	}
	if isGarbled(err) {
		return KafkaError.Wrap(err, "A response of Kafka cannot be read.")
	}
	return &Error{Kind: Internal, Cause: err}
}

// FromKafka is [From] for an error that the broker has explained: its own words say more than the
// description of the code. Without an error it returns nil.
func FromKafka(err error, explained string) error {
	if err == nil {
		return nil
	}
	e := From(err)
	if explained == "" {
		return e
	}
	return e.Kind.Wrap(err, "%s", explained)
}

// isGarbled reports whether a response ended before what it should hold. kmsg reads responses, with
// a copy of kbin of its own, and so by another variable with the same words.
func isGarbled(err error) bool {
	return err != nil && strings.Contains(err.Error(), kbin.ErrNotEnoughData.Error())
}

// isNetwork reports whether err says that a broker could not be talked to.
func isNetwork(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || kgo.IsRetryableBrokerErr(err)
}

// fromCode maps one of Kafka's error codes (the protocol guide's table of
// error codes). Codes with no row of their own divide by whether Kafka calls
// them retriable.
func fromCode(code *kerr.Error, cause error) *Error {
	kind := kindOf(code)
	return &Error{Kind: kind, Detail: code.Description, Cause: cause}
}

func kindOf(code *kerr.Error) *Kind {
	switch code {
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID:
		return TopicNotFound
	case kerr.InvalidTopicException, kerr.TopicAlreadyExists, kerr.InvalidPartitions,
		kerr.InvalidReplicationFactor, kerr.InvalidReplicaAssignment, kerr.InvalidConfig,
		kerr.InvalidRequest, kerr.PolicyViolation, kerr.InvalidGroupID, kerr.InvalidTimestamp,
		kerr.InvalidSessionTimeout, kerr.InvalidRegularExpression, kerr.OffsetMetadataTooLarge,
		kerr.SecurityDisabled, kerr.TopicDeletionDisabled, kerr.NonEmptyGroup, kerr.GroupSubscribedToTopic,
		kerr.DuplicateResource, kerr.InvalidPrincipalType, kerr.FeatureUpdateFailed, kerr.InvalidUpdateVersion:
		return KafkaInvalid
	case kerr.GroupIDNotFound, kerr.NoReassignmentInProgress, kerr.ResourceNotFound,
		kerr.TransactionalIDNotFound:
		return NotFound
	case kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState,
		kerr.UnacceptableCredential:
		return Unauthenticated
	case kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed, kerr.DelegationTokenAuthorizationFailed:
		return Unauthorized
	case kerr.MessageTooLarge, kerr.RecordListTooLarge:
		return BodyTooLarge
	case kerr.RequestTimedOut:
		return KafkaTimedOut
	case kerr.UnknownServerError:
		// A broker met an error that it has no code for. Kafka does not call it retriable, because a
		// write may have been carried out, see [FromWrite]; to ask again does no harm.
		return KafkaRetriable
	case kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID:
		// Kafka calls these fatal for the one request; for our client the
		// next call, after the rebalance, succeeds.
		return KafkaRetriable
	}
	if code.Retriable {
		return KafkaRetriable
	}
	return KafkaError
}
