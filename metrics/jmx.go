package metrics

import (
	"fmt"
	"io"
)

// peerMetric is a metric of the Confluent proxy and the query that replaces it here.
type peerMetric struct{ name, query string }

// peerBean is one MBean of the Confluent proxy.
type peerBean struct {
	bean    string
	metrics []peerMetric
}

const sumRequests = "sum(rate(millrace_http_requests_total[1m]))"

// peerBeans are the metrics that the Confluent proxy documents, with those of the Java clients in
// it that operators watch.
var peerBeans = []peerBean{
	{"kafka.rest:type=jetty-metrics", []peerMetric{
		{"connections-active", "millrace_http_connections"},
		{"connections-opened-rate, connections-accepted-rate, connections-closed-rate", ""},
	}},
	{"kafka.rest:type=jersey-metrics", []peerMetric{
		{"request-rate, response-rate", sumRequests},
		{"ENDPOINT.request-rate, ENDPOINT.response-rate", "rate(millrace_http_requests_total{route=\"…\"}[1m])"},
		{"request-error-rate", "sum(rate(millrace_http_errors_total[1m]))"},
		{"ENDPOINT.request-error-rate", "rate(millrace_http_requests_total{route=\"…\",status=~\"[45]..\"}[1m])"},
		{"request-latency-avg", "rate(millrace_http_request_duration_seconds_sum[1m]) / rate(millrace_http_request_duration_seconds_count[1m])"},
		{"request-latency-95", "histogram_quantile(0.95, sum by (le) (rate(millrace_http_request_duration_seconds_bucket[1m])))"},
		{"request-latency-99", "histogram_quantile(0.99, sum by (le) (rate(millrace_http_request_duration_seconds_bucket[1m])))"},
		// The end of the bucket that has the slowest request.
		{"request-latency-max", "histogram_quantile(1, sum by (le) (rate(millrace_http_request_duration_seconds_bucket[1m])))"},
		{"request-byte-rate", "rate(millrace_http_request_bytes_total[1m])"},
		{"request-size-avg", "sum(rate(millrace_http_request_bytes_total[1m])) / " + sumRequests},
		{"response-byte-rate", "rate(millrace_http_response_bytes_total[1m])"},
		{"response-size-avg", "sum(rate(millrace_http_response_bytes_total[1m])) / " + sumRequests},
		{"request-size-max, response-size-max", ""},
	}},
	{"kafka.producer:type=producer-metrics", []peerMetric{
		{"record-send-rate", "sum(rate(millrace_produce_records_total[1m]))"},
		{"record-error-rate", "sum(rate(millrace_produce_failed_records_total[1m]))"},
		{"records-per-request-avg", "rate(millrace_produce_batch_records_sum[1m]) / rate(millrace_produce_batch_records_count[1m])"},
		{"batch-size-avg", "rate(millrace_produce_batch_bytes_sum[1m]) / rate(millrace_produce_batch_bytes_count[1m])"},
		{"compression-rate-avg", "rate(millrace_compression_output_bytes_total[1m]) / rate(millrace_compression_input_bytes_total[1m])"},
		{"record-queue-time-avg", "rate(millrace_produce_wait_seconds_sum[1m]) / rate(millrace_produce_wait_seconds_count[1m])"},
		{"request-latency-avg", "sum(rate(millrace_kafka_request_duration_e2e_seconds_sum{client=\"producer\"}[1m])) / sum(rate(millrace_kafka_request_duration_e2e_seconds_count{client=\"producer\"}[1m]))"},
		{"buffer-available-bytes", "millrace_produce_held_limit_bytes - millrace_produce_held_bytes"},
		{"buffer-exhausted-rate", "rate(millrace_produce_refused_requests_total[1m])"},
		{"produce-throttle-time-avg", "millrace_kafka_request_throttled_seconds{client=\"producer\"}"},
		{"metadata-age", "millrace_metadata_age_seconds"},
		{"connection-count, connection-creation-rate", "millrace_kafka_connects_total, millrace_kafka_disconnects_total"},
	}},
	{"kafka.producer:type=producer-topic-metrics", []peerMetric{
		{"record-send-rate", "rate(millrace_topic_produced_records_total[1m])"},
		{"byte-rate", "rate(millrace_topic_produced_bytes_total[1m])"},
	}},
	{"kafka.consumer:type=consumer-fetch-manager-metrics", []peerMetric{
		{"records-consumed-rate", "sum(rate(millrace_consume_records_total[1m])), rate(millrace_topic_consumed_records_total[1m])"},
		{"bytes-consumed-rate", "sum(rate(millrace_consume_bytes_total[1m])), rate(millrace_topic_consumed_bytes_total[1m])"},
		{"records-lag, records-lag-max", "millrace_consumer_lag_records"},
	}},
	{"kafka.consumer:type=consumer-coordinator-metrics", []peerMetric{
		{"commit-rate", "rate(millrace_consumer_commits_total[1m])"},
		{"rebalance-total, rebalance-rate-per-hour", "millrace_consumer_rebalances_total"},
		{"assigned-partitions", "millrace_consumer_partitions"},
	}},
}

// peerEndpoints are the endpoint names of jersey-metrics for the v2 API.
var peerEndpoints = []struct{ endpoint, method, route string }{
	{"topics.list+v2", "GET", "/topics"},
	{"topic.get+v2", "GET", "/topics/{topic}"},
	{"topic.produce-FORMAT+v2", "POST", "/topics/{topic}"},
	{"partitions.list+v2", "GET", "/topics/{topic}/partitions"},
	{"partition.get+v2", "GET", "/topics/{topic}/partitions/{partition}"},
	{"partition.produce-FORMAT+v2", "POST", "/topics/{topic}/partitions/{partition}"},
	{"brokers.list+v2", "GET", "/brokers"},
	{"consumer.create+v2", "POST", "/consumers/{group}"},
	{"consumer.delete+v2", "DELETE", "/consumers/{group}/instances/{instance}"},
	{"consumer.subscribe+v2", "POST", "/consumers/{group}/instances/{instance}/subscription"},
	{"consumer.subscription+v2", "GET", "/consumers/{group}/instances/{instance}/subscription"},
	{"consumer.unsubscribe+v2", "DELETE", "/consumers/{group}/instances/{instance}/subscription"},
	{"consumer.assign+v2", "POST", "/consumers/{group}/instances/{instance}/assignments"},
	{"consumer.assignment+v2", "GET", "/consumers/{group}/instances/{instance}/assignments"},
	{"consumer.seek-to-offset+v2", "POST", "/consumers/{group}/instances/{instance}/positions"},
	{"consumer.seek-to-beginning+v2", "POST", "/consumers/{group}/instances/{instance}/positions/beginning"},
	{"consumer.seek-to-end+v2", "POST", "/consumers/{group}/instances/{instance}/positions/end"},
	{"consumer.commit-offsets+v2", "POST", "/consumers/{group}/instances/{instance}/offsets"},
	{"consumer.committed-offsets+v2", "GET", "/consumers/{group}/instances/{instance}/offsets"},
	{"consumer.records.read-FORMAT+v2", "GET", "/consumers/{group}/instances/{instance}/records"},
}

const jmxHead = `
## Coming from the Confluent proxy

The names of its JMX metrics here. Rates and averages are not kept but asked for, over whatever time
one likes; where the right column is empty there is no such figure. ` + "`ENDPOINT`" + ` is the name of an
endpoint, see below.

`

func writeJMX(w io.Writer) {
	fmt.Fprint(w, jmxHead, "| MBean | metric | here |\n|---|---|---|\n")
	for _, b := range peerBeans {
		for _, m := range b.metrics {
			query := ""
			if m.query != "" {
				query = "`" + m.query + "`"
			}
			fmt.Fprintf(w, "| `%s` | %s | %s |\n", b.bean, m.name, query)
		}
	}
	fmt.Fprint(w, "\nThe endpoints. Formats are not told apart by route; records are, by the label `format`.\n\n| endpoint | labels here |\n|---|---|\n")
	for _, e := range peerEndpoints {
		fmt.Fprintf(w, "| `%s` | `method=\"%s\",route=\"%s\"` |\n", e.endpoint, e.method, e.route)
	}
}
