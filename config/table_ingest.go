package config

import "millrace/ingest"

var ingestRows = []row{
	{
		name: "ingest.routes.default", def: "true", doc: "Make a route of each topic that has none in the file: events posted to `/ingest/TOPIC` go there.",
		store: into(boolean, func(d *draft) *bool { return &d.Ingest.DefaultRoutes }),
	},
	{
		name: "ingest.routes.file", doc: "YAML file with routes of `/ingest`: where key, partition, headers, timestamp and topic of an event come from, and what a request may have. It is checked as a whole, and read again on SIGHUP; a file with a fault changes nothing.",
		store: into(text, func(d *draft) *string { return &d.Ingest.File }),
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
	d.Ingest.Routes = routes
}
