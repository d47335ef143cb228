package ingest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/server"
)

// Fault is one thing that is wrong with a file of routes.
type Fault struct {
	// Line is where, 0 for the file as a whole.
	Line int
	// Problem says what is wrong, and what is allowed.
	Problem string
}

const (
	// maxFile bounds a file of routes, and maxRoutes its routes.
	maxFile, maxRoutes = 1 << 20, 1000
	// maxTopics bounds the topics that a route may choose from.
	maxTopics = 1000
	// maxOrigins bounds the origins, and the headers, that the CORS of a route lists.
	maxOrigins = 1000
)

// ReadRoutes reads a file of routes. With a fault there are no routes: a file counts as a whole
// or not at all. The error is that the file cannot be read.
func ReadRoutes(path string) (*Table, []Fault, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the routes: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the routes: %w", err)
	}
	if len(text) > maxFile {
		return nil, []Fault{{Problem: fmt.Sprintf("the file has more than %d bytes", maxFile)}}, nil
	}
	t, faults := ParseRoutes(text)
	return t, faults, nil
}

// ParseRoutes is [ReadRoutes] for the text of a file.
func ParseRoutes(text []byte) (*Table, []Fault) {
	r := &reader{}
	var doc yaml.Node
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, []Fault{yamlFault(err)}
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, []Fault{{Problem: "the file has more than one document"}}
	}
	t := &Table{routes: map[string]*Route{}}
	if len(doc.Content) > 0 {
		for _, m := range r.members(doc.Content[0], "the file") {
			if m.name != "routes" {
				r.unknown(m, "routes")
				continue
			}
			r.routes(t, m.value)
		}
	}
	if len(r.faults) > 0 {
		slices.SortStableFunc(r.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
		return nil, r.faults
	}
	return t, nil
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// yamlFault is the fault of a text that is not YAML.
func yamlFault(err error) Fault {
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		return Fault{line, text[len(m[0]):]}
	}
	return Fault{Problem: strings.TrimPrefix(text, "yaml: ")}
}

// reader collects the faults of a file.
type reader struct{ faults []Fault }

func (r *reader) fault(at *yaml.Node, format string, args ...any) {
	r.faults = append(r.faults, Fault{at.Line, fmt.Sprintf(format, args...)})
}

// member is a member of a mapping. path is its name with those above it, for faults.
type member struct {
	name, path string
	key, value *yaml.Node
}

func (r *reader) unknown(m member, allowed string) {
	r.fault(m.key, "%s is not known here; allowed: %s", m.path, allowed)
}

// members returns the members of a mapping, without those that are there a second time.
func (r *reader) members(n *yaml.Node, path string) (all []member) {
	if n.Kind != yaml.MappingNode {
		r.fault(n, "%s must be a mapping", path)
		return nil
	}
	above := path + "."
	if path == "the file" {
		above = ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		m := member{name: n.Content[i].Value, key: n.Content[i], value: n.Content[i+1]}
		m.path = above + m.name
		switch {
		case slices.ContainsFunc(all, func(o member) bool { return o.name == m.name }):
			r.fault(m.key, "%s is there twice", m.path)
		case m.key.Kind != yaml.ScalarNode || m.value.Kind == yaml.AliasNode:
			r.fault(m.key, "%s must be a name with a value of its own: aliases and merges are not supported", m.path)
		default:
			all = append(all, m)
		}
	}
	return all
}

// routeName is what stands in a path without percent-encoding.
var routeName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)

func (r *reader) routes(t *Table, n *yaml.Node) {
	all := r.members(n, "routes")
	if len(all) > maxRoutes {
		r.fault(n, "there are %d routes; allowed: %d", len(all), maxRoutes)
		return
	}
	for _, m := range all {
		if !routeName.MatchString(m.name) {
			r.fault(m.key, "the name of the route %q is not allowed; allowed: letters, digits, . _ and -", m.name)
			continue
		}
		t.routes[m.name] = r.route(m)
	}
}

// route reads one route.
func (r *reader) route(of member) *Route {
	route := &Route{name: of.name, topic: source{of: "topic", fixed: []byte(of.name)}}
	for _, m := range r.members(of.value, of.path) {
		switch m.name {
		case "topic":
			r.topic(route, m)
		case "key":
			route.key = r.source(m)
		case "partition":
			route.partition = r.source(m)
		case "timestamp":
			route.timestamp = r.source(m)
		case "headers":
			for _, h := range r.members(m.value, m.path) {
				if len(h.name) > codec.MaxHeaderKey {
					r.fault(h.key, "the name of a header may have %d bytes", codec.MaxHeaderKey)
				}
				if s := r.source(h); s != nil {
					s.of = "header " + h.name
					route.headers = append(route.headers, headerRule{h.name, *s})
				}
			}
		case "limits":
			r.limits(route, m)
		case "ack":
			route.ack = r.ack(m)
		case "fallback":
			if route.fallback = r.text(m) == "disk"; !route.fallback {
				r.fault(m.value, "%s is %q; allowed: disk", m.path, m.value.Value)
			}
		case "cors":
			route.cors = r.cors(m)
		case "pixel":
			route.pixel = r.boolean(m)
		case "schema":
			route.schema = r.schema(m)
		case "dead_letter":
			if route.deadLetter = r.text(m); !routeName.MatchString(route.deadLetter) {
				r.fault(m.value, "%s is not the name of a topic", m.path)
			}
		case "enrich":
			route.enrich = r.enrich(m)
		case "drop":
			route.drop = r.drop(m)
		case "sample":
			route.sample = r.sample(m)
		case "dedupe":
			route.dedupe = r.dedupe(m)
		case "overflow":
			route.overflow = r.overflow(m)
		default:
			r.unknown(m, "topic, key, partition, timestamp, headers, limits, ack, fallback, cors, pixel, schema, dead_letter, enrich, drop, sample, dedupe, overflow")
		}
	}
	if route.fallback && route.ack != ackKafka {
		r.fault(of.key, "%s.fallback is for ack: kafka only", of.path)
	}
	route.index()
	return route
}

// index notes what the rules read, and whether there are any that an event is looked at for. Pages
// may send the headers among what is read.
func (r *Route) index() {
	note := func(s *source) {
		if s.from == query && !slices.Contains(r.params, s.name) {
			r.params = append(r.params, s.name)
		}
		if s.from == header && !slices.Contains(r.reads, s.name) {
			r.reads = append(r.reads, s.name)
			if r.cors != nil {
				r.cors = r.cors.WithHeaders(s.name)
			}
		}
		r.perEvent = r.perEvent || s.from == pointer
	}
	r.plain = r.partition == nil && r.timestamp == nil && len(r.headers) == 0 && (r.key == nil || r.key.from != pointer) &&
		r.enrich == nil && len(r.drop) == 0 && r.sample == nil && r.dedupe == nil
	note(&r.topic)
	for s := range r.sources {
		note(s)
	}
	for i := range r.drop {
		note(&r.drop[i].from)
	}
	if r.sample != nil && r.sample.by != nil {
		note(r.sample.by)
	}
	if r.dedupe != nil {
		note(r.dedupe.id)
	}
	if e := r.enrich; e != nil && e.sentAt != nil {
		note(e.sentAt)
	}
	if e := r.enrich; e != nil && e.traceparent {
		note(&source{from: header, name: headerTrace})
	}
}

// topic reads the rule of the topic. One that a request chooses must be among those that the
// route lists: senders are not trusted with the others.
func (r *reader) topic(route *Route, m member) {
	s, among := r.sourceAmong(m)
	if s == nil {
		return
	}
	route.topic, route.topics = *s, among
	switch {
	case s.from == pointer:
		r.fault(m.key, "%s is the same for all events of a request; allowed: a name, query or header", m.path)
	case s.from != fixed && len(among) == 0:
		r.fault(m.key, "%s comes from the request, and lists no topics; allowed: among: [NAME, …] beside it", m.path)
	case s.from == fixed && len(among) > 0:
		r.fault(m.key, "%s is fixed, and among has no meaning", m.path)
	case s.from == fixed && !routeName.Match(s.fixed):
		r.fault(m.value, "%s is not the name of a topic", m.path)
	}
}

// source reads a rule for a value: a text, or a mapping with one place to take it from.
func (r *reader) source(m member) *source {
	s, among := r.sourceAmong(m)
	if among != nil {
		r.fault(m.key, "%s.among is for topics only", m.path)
	}
	return s
}

func (r *reader) sourceAmong(m member) (s *source, among []string) {
	if m.value.Kind == yaml.ScalarNode {
		return &source{of: m.name, fixed: []byte(r.text(m))}, nil
	}
	s = &source{of: m.name}
	places := 0
	for _, o := range r.members(m.value, m.path) {
		switch o.name {
		case "pointer", "query", "header", "fixed":
			r.place(s, o)
			places++
		case "required":
			s.required = r.boolean(o)
		case "among":
			among = r.texts(o, maxTopics)
		default:
			r.unknown(o, "pointer, query, header, fixed, required, among")
		}
	}
	if places != 1 {
		r.fault(m.key, "%s must have one of pointer, query, header and fixed", m.path)
		return nil, nil
	}
	return s, among
}

// schema reads which schema events must fit.
func (r *reader) schema(m member) *schemaRule {
	s := &schemaRule{any: true}
	for _, o := range r.members(m.value, m.path) {
		switch o.name {
		case "format":
			var ok bool
			if s.format, ok = codec.ParseFormat(r.text(o)); !ok || !s.format.NeedsSchema() {
				r.fault(o.value, "%s is %q; allowed: avro, jsonschema, protobuf", o.path, o.value.Value)
			}
			s.any = false
		case "subject":
			s.subject = []byte(r.text(o))
		case "id":
			s.id = int32(r.positive(o))
		case "version":
			if o.value.Value != "latest" {
				s.version = int32(r.positive(o))
			}
		default:
			r.unknown(o, "format, subject, id, version")
		}
	}
	if s.id != 0 && s.version != 0 {
		r.fault(m.key, "%s has an id and a version; allowed: one of the two", m.path)
	}
	return s
}

// place reads where a value comes from.
func (r *reader) place(s *source, m member) {
	switch text := r.text(m); m.name {
	case "pointer":
		p, err := json.ParsePointer(text)
		if err != nil {
			r.fault(m.value, "%s: %v", m.path, err)
		}
		s.from, s.pointer = pointer, p
	case "query":
		s.from, s.name = query, text
	case "header":
		s.from, s.name = header, text
	case "fixed":
		s.from, s.fixed = fixed, []byte(text)
	}
}

func (r *reader) ack(m member) ack {
	switch r.text(m) {
	case "kafka":
	case "disk":
		return ackDisk
	case "memory":
		return ackMemory
	default:
		r.fault(m.value, "%s is %q; allowed: kafka, disk, memory", m.path, m.value.Value)
	}
	return ackKafka
}

// originForm is an origin, or one with * for the first labels of its host.
var originForm = regexp.MustCompile(`^(\*|https?://(\*\.)?[A-Za-z0-9.-]+(:\d+)?)$`)

// cors reads who may post to a route from pages of other origins.
func (r *reader) cors(m member) *server.CORS {
	var s server.CORSSettings
	for _, o := range r.members(m.value, m.path) {
		switch o.name {
		case "origins":
			s.Origins = r.texts(o, maxOrigins)
			for i, origin := range s.Origins {
				if !originForm.MatchString(origin) {
					r.fault(o.value.Content[i], "%q is not an origin; allowed: https://HOST, https://HOST:PORT, https://*.DOMAIN, *", origin)
				}
			}
		case "headers":
			s.Headers = strings.Join(r.texts(o, maxOrigins), ", ")
		case "credentials":
			s.Credentials = r.boolean(o)
		default:
			r.unknown(o, "origins, headers, credentials")
		}
	}
	if len(s.Origins) == 0 {
		r.fault(m.key, "%s lists no origins", m.path)
	}
	if s.Credentials && slices.Contains(s.Origins, "*") {
		r.fault(m.key, "%s.credentials lets every page on the web act with what browsers have stored for this node, since origins has *; allowed: origins by name, or no credentials", m.path)
	}
	return server.NewCORS(s)
}

func (r *reader) limits(route *Route, m member) {
	for _, l := range r.members(m.value, m.path) {
		switch l.name {
		case "bytes":
			route.maxBytes = r.positive(l)
		case "events":
			route.maxEvents = r.positive(l)
		case "event_bytes":
			route.maxEventBytes = r.positive(l)
		default:
			r.unknown(l, "bytes, events, event_bytes")
		}
	}
}

// text returns the text of a scalar, which must not be empty.
func (r *reader) text(m member) string {
	if m.value.Kind != yaml.ScalarNode || m.value.Value == "" || m.value.Tag == "!!null" {
		r.fault(m.value, "%s must be a text", m.path)
	}
	return m.value.Value
}

func (r *reader) texts(m member, most int) (all []string) {
	if m.value.Kind != yaml.SequenceNode || len(m.value.Content) == 0 || len(m.value.Content) > most {
		r.fault(m.value, "%s must be a list of 1 to %d texts", m.path, most)
		return []string{}
	}
	for _, n := range m.value.Content {
		all = append(all, r.text(member{m.name, m.path, m.key, n}))
	}
	return all
}

func (r *reader) boolean(m member) bool {
	if m.value.Tag != "!!bool" || m.value.Value != "true" && m.value.Value != "false" {
		r.fault(m.value, "%s must be true or false", m.path)
	}
	return m.value.Value == "true"
}

func (r *reader) positive(m member) int {
	n, err := strconv.ParseInt(m.value.Value, 10, 32)
	if m.value.Kind != yaml.ScalarNode || err != nil || n < 1 {
		r.fault(m.value, "%s must be a whole number, 1 or more", m.path)
	}
	return int(n)
}
