// Package otlp takes traces, logs and metrics by OTLP over HTTP, as every OpenTelemetry SDK and
// collector sends them. The body of a request becomes one record of the topic of its signal, as it
// came and as the collector's Kafka receiver reads it (otlp_proto or otlp_json).
//
// Answers are those of the OTLP specification: an empty response in the request's encoding, and a
// google.rpc.Status for an error, on whatever way it arose. A client retries 429, 502, 503 and 504
// alone.
package otlp
