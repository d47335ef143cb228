package apierr

import "time"

// The table. A status or a code that a client can see stands here and nowhere
// else. The order is by status, then code.
var (
	// 400: the request can never succeed as it is.

	BadRequest   = &Kind{Name: "bad_request", Status: 400, Code: 400, Message: "The request is malformed."}
	KafkaInvalid = &Kind{Name: "kafka_invalid", Status: 400, Code: 40002, Message: "Kafka refused the operation as invalid."}

	// 401 and 403: who is asking.

	Unauthenticated = &Kind{Name: "unauthenticated", Status: 401, Code: 40101, Message: "Authentication failed."}
	Unauthorized    = &Kind{Name: "unauthorized", Status: 403, Code: 40301, Message: "Not authorized for this operation."}

	// 404: the thing is not there.

	NotFound          = &Kind{Name: "not_found", Status: 404, Code: 404, Message: "There is nothing at this path."}
	TopicNotFound     = &Kind{Name: "topic_not_found", Status: 404, Code: 40401, Message: "Topic not found."}
	PartitionNotFound = &Kind{Name: "partition_not_found", Status: 404, Code: 40402, Message: "Partition not found."}
	InstanceNotFound  = &Kind{Name: "instance_not_found", Status: 404, Code: 40403, Message: "Consumer instance not found."}
	OffsetNotFound    = &Kind{Name: "offset_not_found", Status: 404, Code: 40404, Message: "The offset is below the start of the partition."}
	// TopicNotFoundStrict is what [TopicNotFound] becomes on metadata paths
	// with api.compatibility.strict: the code that today's peer answers.
	TopicNotFoundStrict = &Kind{Name: "topic_not_found_strict", Status: 404, Code: 40403, Message: "This server does not host this topic-partition."}

	// 405 to 415: how the request was made.

	MethodNotAllowed = &Kind{Name: "method_not_allowed", Status: 405, Code: 405, Message: "This path does not support the method."}
	NotAcceptable    = &Kind{Name: "not_acceptable", Status: 406, Code: 406, Message: "None of the media types in Accept can be produced."}
	FormatMismatch   = &Kind{Name: "format_mismatch", Status: 406, Code: 40601, Message: "The format asked for is not the consumer's format."}
	SlowRequest      = &Kind{Name: "slow_request", Status: 408, Code: 408, Message: "The request did not arrive in time."}
	Undecodable      = &Kind{Name: "undecodable_record", Status: 408, Code: 40801, Message: "A record cannot be decoded in the consumer's format."}
	ClientGone       = &Kind{Name: "client_gone", Status: 408, Code: 40802, Message: "The client has closed the connection before it was answered."}
	OtherTopic       = &Kind{Name: "subscribed_to_other_topic", Status: 409, Code: 40901, Message: "The consumer instance is subscribed to another topic."}
	AlreadyExists    = &Kind{Name: "instance_exists", Status: 409, Code: 40902, Message: "A consumer instance with this name already exists in the group."}
	IllegalState     = &Kind{Name: "illegal_state", Status: 409, Code: 40903, Message: "The consumer instance is not in the state that this needs."}
	KeyBusy          = &Kind{Name: "idempotency_key_busy", Status: 409, Code: 40904, Message: "The request with this Idempotency-Key is being carried out. Send it again, to learn what became of it.", Retry: true, RetryAfter: time.Second}
	AnswerNotKept    = &Kind{Name: "idempotent_answer_not_kept", Status: 409, Code: 40905, Message: "The request was carried out before, and its answer is too large to be kept. Do not send it again."}
	BodyTooLarge     = &Kind{Name: "body_too_large", Status: 413, Code: 413, Message: "The request body is larger than this node accepts."}
	UnsupportedMedia = &Kind{Name: "unsupported_media_type", Status: 415, Code: 415, Message: "The media type of the request is not supported here."}
	HeadersTooLarge  = &Kind{Name: "headers_too_large", Status: 431, Code: 431, Message: "The request's header is larger than this node accepts."}

	// 422: well-formed, but not something that can be carried out.

	Unprocessable       = &Kind{Name: "unprocessable", Status: 422, Code: 422, Message: "The request is well-formed but cannot be carried out."}
	SettingOutOfRange   = &Kind{Name: "setting_out_of_range", Status: 422, Code: 40001, Message: "A consumer setting is out of its range."}
	KeySchemaMissing    = &Kind{Name: "key_schema_missing", Status: 422, Code: 42201, Message: "The keys need a schema and none came with the request."}
	ValueSchemaMissing  = &Kind{Name: "value_schema_missing", Status: 422, Code: 42202, Message: "The values need a schema and none came with the request."}
	InvalidConsumerConf = &Kind{Name: "invalid_consumer_config", Status: 422, Code: 42204, Message: "Invalid consumer configuration."}
	InvalidSchema       = &Kind{Name: "invalid_schema", Status: 422, Code: 42205, Message: "The schema is invalid."}
	PayloadError        = &Kind{Name: "payload_error", Status: 422, Code: 42206, Message: "Payload error."}
	RegistryRefused     = &Kind{Name: "schema_registry_refused", Status: 422, Code: 42207, Message: "The schema registry refused the schema, or does not have it under this subject."}

	BatchRefused = &Kind{Name: "batch_refused", Status: 422, Code: 42208, Message: "The batch has no entries, too many, or entries whose ids are not valid and distinct."}

	KeyReused = &Kind{Name: "idempotency_key_reused", Status: 422, Code: 42210, Message: "The Idempotency-Key was used for another request to this path. Each request needs a key of its own; a retry has the same body."}

	Misfit = &Kind{Name: "event_misfit", Status: 422, Code: 42209, Message: "The event does not fit the schema of its ingest route."}

	// 429: too much from one client.

	TooManyInstances   = &Kind{Name: "too_many_instances", Status: 429, Code: 42901, Message: "This node holds as many consumer instances as it is allowed to.", Retry: true, RetryAfter: 5 * time.Second}
	TooManyConnections = &Kind{Name: "too_many_connections_of_one", Status: 429, Code: 42902, Message: "This address has as many connections as one address is allowed to.", Retry: true, RetryAfter: time.Second}
	TooManyWaiters     = &Kind{Name: "too_many_waiters", Status: 429, Code: 42903, Message: "As many requests wait for changes of the cluster as are allowed to.", Retry: true, RetryAfter: time.Second}
	TooManyOfOneClient = &Kind{Name: "too_many_instances_of_one", Status: 429, Code: 42904, Message: "This address has as many consumer instances as one address is allowed to.", Retry: true, RetryAfter: 5 * time.Second}
	BodiesOfOneFull    = &Kind{Name: "request_memory_of_one", Status: 429, Code: 42905, Message: "The large request bodies of this caller hold as much memory as those of one caller are allowed to.", Retry: true, RetryAfter: time.Second}
	TooManyLogins      = &Kind{Name: "too_many_logins", Status: 429, Code: 42910, Message: "The node checks as many passwords as it can. Try again.", Retry: true, RetryAfter: time.Second}
	QuotaExceeded      = &Kind{Name: "quota_exceeded", Status: 429, Code: 42911, Message: "The caller has used up a quota.", Retry: true, RetryAfter: time.Second}
	TooManyPrincipals  = &Kind{Name: "too_many_principals", Status: 429, Code: 42912, Message: "As many callers use Kafka with rights of their own as are allowed to at a time.", Retry: true, RetryAfter: 5 * time.Second}

	// 500: Kafka said no, or we have a defect.

	Internal       = &Kind{Name: "internal", Status: 500, Code: 500, Message: "The node met an internal error."}
	KafkaError     = &Kind{Name: "kafka_error", Status: 500, Code: 50002, Message: "Kafka answered with an error."}
	KafkaRetriable = &Kind{Name: "kafka_retriable", Status: 500, Code: 50003, Message: "Kafka answered with an error that may pass.", Retry: true, RetryAfter: time.Second}
	// RegistryFailed is a fault of this node's configuration or of the registry.
	RegistryFailed = &Kind{Name: "schema_registry_failed", Status: 500, Code: 50004, Message: "The schema registry does not work with this node."}

	// 503 and 504: not now.

	Overloaded    = &Kind{Name: "overloaded", Status: 503, Code: 50301, Message: "The node holds as many bytes for Kafka as it is allowed to.", Retry: true, RetryAfter: time.Second}
	Draining      = &Kind{Name: "draining", Status: 503, Code: 50302, Message: "The node is shutting down.", Retry: true, RetryAfter: time.Second}
	BrokersAway   = &Kind{Name: "brokers_unreachable", Status: 503, Code: 50303, Message: "No Kafka broker can be reached.", Retry: true, RetryAfter: time.Second}
	TooBusy       = &Kind{Name: "too_many_connections", Status: 503, Code: 50304, Message: "The node has as many connections as it is allowed to.", Retry: true, RetryAfter: time.Second}
	RegistryAway  = &Kind{Name: "schema_registry_unreachable", Status: 503, Code: 50305, Message: "The schema registry cannot be reached.", Retry: true, RetryAfter: time.Second}
	StreamsFull   = &Kind{Name: "too_many_streams", Status: 503, Code: 50306, Message: "The node serves as many streams as it is allowed to.", Retry: true, RetryAfter: 5 * time.Second}
	InstanceMoved = &Kind{Name: "instance_moved", Status: 503, Code: 50307, Message: "Another node is taking over the consumer instance.", Retry: true, RetryAfter: time.Second}
	// ArrivalUnknown: to commit or not to commit, both could break a promise.
	ArrivalUnknown = &Kind{Name: "arrival_unknown", Status: 503, Code: 50308, Message: "It is not known whether the last records of the consumer instance arrived.", Retry: true, RetryAfter: time.Second}
	BodiesFull     = &Kind{Name: "request_memory_full", Status: 503, Code: 50309, Message: "The request bodies that are being received hold as much memory as they are allowed to.", Retry: true, RetryAfter: time.Second}
	BodyDisplaced  = &Kind{Name: "request_displaced", Status: 503, Code: 50310, Message: "The request arrived more slowly than others that needed its memory.", Retry: true, RetryAfter: time.Second}
	SpoolFull      = &Kind{Name: "spool_full", Status: 503, Code: 50321, Message: "The node holds as many events for Kafka on its disk as it can.", Retry: true, RetryAfter: 5 * time.Second}
	// KeyUnsettled is for a request with an Idempotency-Key that another node may have carried out,
	// which cannot be asked.
	KeyUnsettled = &Kind{Name: "idempotency_key_unsettled", Status: 503, Code: 50322, Message: "Another node may have carried out the request with this Idempotency-Key, and does not answer. Nothing was written by this one: send it again.", Retry: true, RetryAfter: time.Second}
	// NotWritten is for records that are certain not to be in Kafka, now or later.
	NotWritten = &Kind{Name: "not_written", Status: 503, Code: 50312, Message: "Kafka could not be reached in time. Nothing was written: send it again.", Retry: true, RetryAfter: time.Second}
	// NodeBusy is said before a request's body is read, so that it costs little.
	NodeBusy = &Kind{Name: "node_busy", Status: 503, Code: 50313, Message: "The node has more requests than its processors can serve in time. Nothing was written: send it again.", Retry: true, RetryAfter: time.Second}
	// WriteUnknown is for records that were on their way when the node gave up. A Retry-After would
	// ask the client to double them, so there is none: whether they may be lost or doubled is for
	// the client to weigh.
	WriteUnknown = &Kind{Name: "write_unknown", Status: 504, Code: 50401, Message: "It is not known whether Kafka has the records. Sending them again may double them."}
	// KafkaTimedOut is for what changes no record: to ask again does no harm.
	KafkaTimedOut = &Kind{Name: "kafka_timeout", Status: 504, Code: 50403, Message: "Kafka did not answer within the deadline.", Retry: true, RetryAfter: time.Second}
	// Interrupted is for what was given up before Kafka answered, although the
	// node goes on. While it shuts down it is [Draining].
	Interrupted = &Kind{Name: "interrupted", Status: 503, Code: 50311, Message: "The request was interrupted before it was complete. Send it again.", Retry: true, RetryAfter: time.Second}

	KeysAway         = &Kind{Name: "token_keys_unreachable", Status: 503, Code: 50320, Message: "The keys that sign tokens cannot be fetched.", Retry: true, RetryAfter: time.Second}
	RegistryTimedOut = &Kind{Name: "schema_registry_timeout", Status: 504, Code: 50402, Message: "The schema registry did not answer within the deadline.", Retry: true, RetryAfter: time.Second}
)

// v1 tells of a record that failed only whether a retry can help.
const (
	V1RecordFailed    = 1
	V1RecordRetriable = 2
)

// Kinds returns every row of the table, in its order.
func Kinds() []*Kind {
	return []*Kind{
		BadRequest, KafkaInvalid,
		Unauthenticated, Unauthorized,
		NotFound, TopicNotFound, PartitionNotFound, InstanceNotFound, OffsetNotFound, TopicNotFoundStrict,
		MethodNotAllowed, NotAcceptable, FormatMismatch, SlowRequest, Undecodable, ClientGone,
		OtherTopic, AlreadyExists, IllegalState, KeyBusy, AnswerNotKept, BodyTooLarge, UnsupportedMedia, HeadersTooLarge,
		Unprocessable, SettingOutOfRange, KeySchemaMissing, ValueSchemaMissing, InvalidConsumerConf, InvalidSchema, PayloadError, RegistryRefused, BatchRefused, Misfit, KeyReused,
		TooManyInstances, TooManyConnections, TooManyWaiters, TooManyOfOneClient, BodiesOfOneFull, TooManyLogins, QuotaExceeded, TooManyPrincipals,
		Internal, KafkaError, KafkaRetriable, RegistryFailed,
		Overloaded, Draining, BrokersAway, TooBusy, RegistryAway, StreamsFull, InstanceMoved, ArrivalUnknown, BodiesFull, BodyDisplaced, SpoolFull, KeyUnsettled, Interrupted, KeysAway, NotWritten, NodeBusy, WriteUnknown, RegistryTimedOut, KafkaTimedOut,
	}
}
