package config

var ingestRows = []row{
	{
		name: "ingest.routes.default", def: "true", doc: "Make a route of each topic: events posted to `/ingest/TOPIC` go there.",
		store: into(boolean, func(d *draft) *bool { return &d.Ingest.DefaultRoutes }),
	},
}
