// Package ui is the dashboard: its page, the figures on the page, and the stream that carries
// them.
//
//   - ui.go: the [Dashboard] and its routes. files.go: the embedded files.
//   - sampler.go: reads figures once a second, for all viewers. point.go: a point of the charts.
//     snapshot.go and topics.go: everything else that the page shows.
//
// The page is in static/: its style, and a few small JavaScript modules, embedded as they are.
// Without a build step and without external files, the browser gets the files of static/ as they
// are.
//
// The page is only a view. All its live figures come by one stream of the node
// ([Dashboard.Routes]), a JSON object a second; the forms and the tail use the same public API as
// any client, with the user's own rights.
//
//   - static/index.html: the page, complete without its data. static/ui.css: its look, light and
//     dark.
//   - app.js begins, keeps the stream open and gives its events to the panels.
//   - panels.js fills figures and tables, topics.js the table of topics, and partitions.js the
//     details of a row; table.js keeps rows in place.
//   - chart.js draws lines, scale.js their axes, format.js writes numbers, dom.js makes elements.
//   - forms.js is the try-it forms, tail.js the tail of a topic, json.js shows JSON as it was
//     sent, api.js calls the API; theme.js is light and dark.
//
// Records and responses are never parsed for display: JavaScript's numbers are not Kafka's, and
// 12345678901234567890 would turn into another number.
//
// Names of topics and groups and messages of errors come from any client that can send a request.
// They become text nodes and attributes, never HTML: dom.js is the only way to make an element,
// and a test looks for other ways.
//
// The result of [Files] is made once, and must not be changed.
package ui
