package config

import (
	"math"
	"time"

	"millrace/ingest"
)

var ingestRows = []row{
	{
		name: "ingest.routes.default", def: "true", doc: "Make a route of each topic that has none in the file: events posted to `/ingest/TOPIC` go there.",
		store: into(boolean, func(d *draft) *bool { return &d.Ingest.DefaultRoutes }),
	},
	{
		name: "ingest.routes.file", doc: "YAML file with routes of `/ingest`: where key, partition, headers, timestamp and topic of an event come from, and what a request may have. It is checked as a whole, and read again on SIGHUP; a file with a fault changes nothing.",
		store: into(text, func(d *draft) *string { return &d.Ingest.File }),
	},
	{
		name: "ingest.otlp.traces.topic", doc: "Topic of the traces that OpenTelemetry SDKs and collectors post to `/v1/traces`, each request one record. Without it they are refused.",
		store: into(text, func(d *draft) *string { return &d.Ingest.OTLP.Traces }),
	},
	{
		name: "ingest.otlp.logs.topic", doc: "Topic of the logs that OpenTelemetry SDKs and collectors post to `/v1/logs`, each request one record. Without it they are refused.",
		store: into(text, func(d *draft) *string { return &d.Ingest.OTLP.Logs }),
	},
	{
		name: "ingest.otlp.metrics.topic", doc: "Topic of the metrics that OpenTelemetry SDKs and collectors post to `/v1/metrics`, each request one record. Without it they are refused.",
		store: into(text, func(d *draft) *string { return &d.Ingest.OTLP.Metrics }),
	},
	{
		name: "ingest.spool.dir", doc: "Folder of the spool, where events of routes with `ack: disk` or `fallback: disk` wait for Kafka. It is this node's alone. Without it there is no spool.",
		store: into(text, func(d *draft) *string { return &d.Ingest.SpoolDir }),
	},
	{
		name: "ingest.spool.max.bytes", def: "1073741824", doc: "Bound of the spool on the disk; events beyond it are refused with 503.",
		store: into(size(1<<20, int64(math.MaxInt64)), func(d *draft) *int64 { return &d.Ingest.SpoolLimits.MaxBytes }),
	},
	{
		name: "ingest.spool.max.age.ms", def: "86400000", doc: "How old the oldest event of the spool may be before it takes no more; 0 is any age. What it holds is never dropped.",
		store: into(millis(0, largest), func(d *draft) *time.Duration { return &d.Ingest.SpoolLimits.MaxAge }),
	},
}

// readRoutes reads the routes of /ingest, and reports each fault with its line.
func (d *draft) readRoutes() {
	const file = "ingest.routes.file"
	if d.Ingest.File == "" || d.isFaulty(file) {
		return
	}
	routes, faults, err := ingest.ReadRoutes(d.Ingest.File)
	if err != nil {
		d.fault(file, "%v; allowed: the path of a file that can be read", err)
	}
	for _, f := range faults {
		if f.Line == 0 {
			d.fault(file, "%s: %s", d.Ingest.File, f.Problem)
			continue
		}
		d.faults = append(d.faults, Fault{Problem: f.Problem, at: origin{level: fromFile, file: d.Ingest.File, line: f.Line}})
	}
	if route := routes.NeedsSpool(); route != "" && d.Ingest.SpoolDir == "" {
		d.fault(file, "the route %s keeps events on the disk, and there is no ingest.spool.dir; allowed: a folder there, or routes with ack: kafka or memory", route)
	}
	if route := routes.NeedsSchemas(); route != "" && len(d.Schema.URLs) == 0 {
		d.fault(file, "the route %s has a schema, and there is no schema.registry.url; allowed: a registry there, or routes without a schema", route)
	}
	d.Ingest.Routes = routes
}
