package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

// gateway is one that is measured.
type gateway struct {
	name, contentType, path string

	// body returns a request of the events with these ids.
	body func(ids []string) []byte
	// command returns the gateway that listens on an address, and writes to a topic of the broker.
	// state is a folder of its own.
	command func(addr, broker, topic, state string) ([]string, error)
}

// event is one of 200 bytes.
func event(id string) []byte {
	return fmt.Appendf(nil, `{"id":"%s","type":"page_view","path":"/products/4711","referrer":"https://shop.example/","user":"u-99887766","session":"s-1234567890abcdef","width":1920,"height":1080,"lang":"en-GB","t":1767225600}`, id)
}

func (l *trial) gateways() (all []*gateway) {
	millrace := func(ack string, rest string) *gateway {
		return &gateway{
			name: "millrace, ack " + ack + rest, contentType: "application/x-ndjson", path: "/ingest/e", body: lines,
			command: func(addr, broker, topic, state string) ([]string, error) {
				routes := filepath.Join(state, "routes.yaml")
				route := fmt.Sprintf("routes:\n  e: {topic: %s, ack: %s}\n", topic, ack)
				if rest != "" {
					route = fmt.Sprintf("routes:\n  e: {topic: %s, ack: %s, fallback: disk}\n", topic, ack)
				}
				return []string{
					l.millrace, "serve", "--set=bootstrap.servers=" + broker, "--set=listeners=http://" + addr,
					"--set=ingest.routes.file=" + routes, "--set=ingest.spool.dir=" + filepath.Join(state, "spool"),
				}, os.WriteFile(routes, []byte(route), 0o600)
			},
		}
	}
	all = append(all, millrace("kafka", ""), millrace("kafka", " with fallback disk"), millrace("disk", ""))
	if l.otelcol != "" {
		all = append(all, collector(l.otelcol, "as it comes (a queue in memory)", ""), collector(l.otelcol, "without its queue", "    sending_queue: {enabled: false}\n"))
	}
	if l.telegraf != "" {
		all = append(all, telegraf(l.telegraf))
	}
	return all
}

func lines(ids []string) []byte {
	var b bytes.Buffer
	for _, id := range ids {
		b.Write(event(id))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// collector is the OpenTelemetry collector, whose Kafka exporter writes the body of each log record
// as it is (raw).
func collector(path, name, queue string) *gateway {
	return &gateway{
		name: "OpenTelemetry collector 0.165, " + name, contentType: "application/x-protobuf", path: "/v1/logs", body: otlpLogs,
		command: func(addr, broker, topic, state string) ([]string, error) {
			file := filepath.Join(state, "otelcol.yaml")
			text := fmt.Sprintf(`receivers:
  otlp: {protocols: {http: {endpoint: %s}}}
exporters:
  kafka:
    brokers: [%s]
    logs: {topic: %s, encoding: raw}
    producer: {required_acks: -1}
%sservice:
  telemetry: {metrics: {level: none}}
  pipelines:
    logs: {receivers: [otlp], exporters: [kafka]}
`, addr, broker, topic, queue)
			return []string{path, "--config=" + file}, os.WriteFile(file, []byte(text), 0o600)
		},
	}
}

// otlpLogs is an ExportLogsServiceRequest: resource_logs (1), scope_logs (2), log_records (2), each
// with a body (5) of a bytes_value (7): a string would be written in quotes.
func otlpLogs(ids []string) []byte {
	var scope []byte
	for _, id := range ids {
		scope = appendField(scope, 2, appendField(nil, 5, appendField(nil, 7, event(id))))
	}
	return appendField(nil, 1, appendField(nil, 2, scope))
}

// appendField appends a field of bytes of Protobuf.
func appendField(dst []byte, number byte, value []byte) []byte {
	dst = append(dst, number<<3|2)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// telegraf is Telegraf with its HTTP listener and its Kafka output, which writes a metric of the
// fields of each event.
func telegraf(path string) *gateway {
	return &gateway{
		name: "Telegraf 1.37", contentType: "application/json", path: "/telegraf", body: array,
		command: func(addr, broker, topic, state string) ([]string, error) {
			file := filepath.Join(state, "telegraf.conf")
			text := fmt.Sprintf(`[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_buffer_limit = 100000
  omit_hostname = true
[[inputs.http_listener_v2]]
  service_address = "tcp://%s"
  paths = ["/telegraf"]
  data_format = "json"
  json_string_fields = ["id", "type", "path", "referrer", "user", "session", "lang"]
[[outputs.kafka]]
  brokers = ["%s"]
  topic = "%s"
  required_acks = -1
  data_format = "json"
`, addr, broker, topic)
			return []string{path, "--config=" + file}, os.WriteFile(file, []byte(text), 0o600)
		},
	}
}

func array(ids []string) []byte {
	b := []byte("[")
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, event(id)...)
	}
	return append(b, ']')
}
