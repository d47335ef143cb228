package config

import (
	"fmt"
	"sync"
)

// row is one setting: a line of the table.
type row struct {
	// name is the full name, alias another one that is accepted for it.
	name, alias string
	// def is the default as it would be written; empty means none.
	def string
	// doc says in a sentence or two what the setting does.
	doc string
	// base is the setting whose value holds while this one is not given.
	base string
	// runtime marks the settings that can change while the program runs.
	runtime bool
	// oneSide marks the rows that [forSides] makes beside the one for all sides,
	// and [forSchemas] beside the one that is documented.
	oneSide bool
	store
}

// store is the part of a row that knows the type of its value.
type store struct {
	allowed string
	secret  bool
	show    func(text string) string
	set     func(d *draft, text string) error
}

// into stores what k parses at each of the places.
func into[T any](k kind[T], places ...func(*draft) *T) store {
	return store{allowed: k.allowed, secret: k.secret, show: k.show, set: func(d *draft, text string) error {
		value, err := k.parse(text)
		if err != nil {
			return err
		}
		for _, place := range places {
			*place(d) = value
		}
		return nil
	}}
}

// forSides makes the rows of a setting that client.name gives for all of Kafka
// and admin.name, producer.name and consumer.name for one side.
func forSides[T any](r row, k kind[T], at func(*link) *T) []row {
	place := func(s side) func(*draft) *T {
		return func(d *draft) *T { return at(&d.links[s]) }
	}
	base := r
	if base.name != "bootstrap.servers" { // the one that has no prefix for all sides
		base.name = "client." + r.name
	}
	base.store = into(k, place(admin), place(produce), place(consume))
	made := []row{base}
	for s, prefix := range sidePrefixes {
		made = append(made, row{
			name:    prefix + r.name,
			doc:     fmt.Sprintf("Replaces %s for %s.", base.name, sideNames[s]),
			base:    base.name,
			oneSide: true,
			store:   into(k, place(side(s))),
		})
	}
	return made
}

// group is a chapter of the table.
type group struct {
	title, intro string
	rows         []row
}

// table returns all settings, in the order in which they are applied and documented.
var table = sync.OnceValue(func() []group {
	return []group{
		{"Server", "", serverRows},
		{"Who may do what", "docs/access.md says how these go together.", accessRows},
		{"Cross-origin requests", "Off unless an origin is allowed.", corsRows},
		{"Events without an envelope", "docs/ingest.md says what this is for.", ingestRows},
		{"HTTPS", "For the `https://` listeners. A store of type JKS or PKCS12 is told by its content, as in\nJava, whichever of the two is named.", httpsRows()},
		{"Limits of the HTTP edge", "", limitRows},
		{"Consumer instances", "", consumerRows},
		{"Several nodes", "docs/cluster.md says what this is for.", clusterRows},
		{"Metadata", "", metadataRows},
		{"Connection to Kafka", "`client.…` is for every connection; `admin.…`, `producer.…` and `consumer.…` in its place\nare for the connections of metadata, of producing or of consuming.", linkRows()},
		{"Schema registry", "For the formats avro, jsonschema and protobuf. Names of Confluent's serializers, which are\naccepted after `client.`, `producer.` and `consumer.` too, as the Confluent proxy does:\n`producer.auto.register.schemas` is `schema.registry.auto.register.schemas`, and outweighs it.", schemaRows()},
		{"Producing to Kafka", "Names and meanings of the Java producer.", producerRows},
		{"Fetching from Kafka", "Names and meanings of the Java consumer.", fetchRows},
		{"Tracing", "", tracingRows},
	}
})

// rows returns the table without its chapters.
var rows = sync.OnceValue(func() []*row {
	var all []*row
	for _, g := range table() {
		for i := range g.rows {
			all = append(all, &g.rows[i])
		}
	}
	return all
})

// rowIndex finds rows by name and alias.
var rowIndex = sync.OnceValue(func() map[string]*row {
	index := map[string]*row{}
	for _, r := range rows() {
		index[r.name] = r
		if r.alias != "" {
			index[r.alias] = r
		}
	}
	return index
})

// rowNamed returns the row of a name or alias, or nil.
func rowNamed(name string) *row { return rowIndex()[name] }
