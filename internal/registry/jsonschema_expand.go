package registry

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// node is a place in a JSON Schema: true, false or an object of keywords.
type node struct {
	value any
	doc   *document
	at    string // its position, as a JSON pointer; with doc it is unique
}

// document is the text that a node is in, with all texts that it can refer to.
type document struct {
	name string
	root any
	all  map[string]*document
	// embeds tells that a part has an id of its own: the references within are not from the root.
	embeds bool
}

func newDocument(name string, root any, all map[string]*document) *document {
	d := &document{name: name, root: root, all: all}
	top, _ := root.(map[string]any)
	id := "$id"
	if draft, _ := top["$schema"].(string); strings.Contains(draft, "/draft-04/") {
		id = "id"
	}
	for keyword, v := range top {
		d.embeds = d.embeds || !slices.Contains(values, keyword) && hasID(v, id)
	}
	return d
}

// values are the keywords whose values are no schemas.
var values = []string{"default", "const", "enum", "examples"}

// hasID reports whether a schema, or a part of it, has an id that is more than a fragment.
func hasID(v any, id string) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return hasID(e, id) })
	case map[string]any:
		if own, ok := v[id].(string); ok && !strings.HasPrefix(own, "#") {
			return true
		}
		for keyword, member := range v {
			if !slices.Contains(values, keyword) && hasID(member, id) {
				return true
			}
		}
	}
	return false
}

func (n node) key() string { return n.doc.name + "#" + n.at }

func (n node) keywords() map[string]any {
	m, _ := n.value.(map[string]any)
	return m
}

// child is the node under a keyword, and under a name or index in it.
func (n node) child(keyword string, more ...string) (node, bool) {
	v, ok := n.keywords()[keyword]
	at := n.at + "/" + keyword
	for _, step := range more {
		if !ok {
			break
		}
		v, ok = stepInto(v, step)
		at += "/" + escape.Replace(step)
	}
	return node{v, n.doc, at}, ok
}

// escape writes a name as a step of a JSON pointer, and unescape reads it.
var escape, unescape = strings.NewReplacer("~", "~0", "/", "~1"), strings.NewReplacer("~1", "/", "~0", "~")

func stepInto(v any, step string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		next, ok := v[step]
		return next, ok
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
			return v[i], true
		}
	}
	return nil, false
}

// each lists the nodes of an array under a keyword.
func (n node) each(keyword string) []node {
	list, _ := n.keywords()[keyword].([]any)
	out := make([]node, len(list))
	for i := range list {
		out[i], _ = n.child(keyword, strconv.Itoa(i))
	}
	return out
}

// isReference reports whether a node is a $ref and nothing else: up to draft 7, which is that of a
// schema that names none, what is beside a $ref does not count.
func (n node) isReference() bool {
	_, refers := n.keywords()["$ref"]
	root, _ := n.doc.root.(map[string]any)
	draft, _ := root["$schema"].(string)
	return refers && !strings.Contains(draft, "/draft/20")
}

// target returns the node that the node's $ref refers to; ok is false when that is not a plain
// pointer into a text that we have.
func (n node) target() (node, bool) {
	ref, _ := n.keywords()["$ref"].(string)
	name, pointer, _ := strings.Cut(ref, "#")
	doc := n.doc
	if name != "" {
		doc = n.doc.all[strings.TrimPrefix(name, "/")]
	}
	if doc == nil || n.doc.embeds || pointer != "" && pointer[0] != '/' {
		return node{}, false
	}
	v, at := doc.root, ""
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" || pointer == "/" {
			break
		}
		step = unescape.Replace(step)
		if unescaped, err := url.PathUnescape(step); err == nil {
			step = unescaped
		}
		var ok bool
		if v, ok = stepInto(v, step); !ok {
			return node{}, false
		}
		at += "/" + escape.Replace(step)
	}
	return node{v, doc, at}, true
}

const (
	// maxWays bounds how many ways to write a value are compared.
	maxWays = 200
	// maxDepth and maxParts bound the parts that are looked at to find the ways of a value: how
	// deep in each other, and how many. Parts may refer to the same part any number of times.
	maxDepth, maxParts = 30, 2000
)

// search bounds the search for the ways of a value.
type search struct {
	depth int
	left  *int // parts
}

func newSearch() search {
	left := maxParts
	return search{left: &left}
}

// ways lists the ways in which a value fits a schema: each is a list of nodes that hold together.
// ok is false when there are too many, or when a $ref leads nowhere that we can follow.
func (n node) ways(s search) (out [][]node, ok bool) {
	if n.value == false {
		return nil, true
	}
	out, ok = [][]node{{n}}, true
	if *s.left--; *s.left < 0 || s.depth > maxDepth {
		return out, false
	}
	if _, refers := n.keywords()["$ref"]; refers {
		target, found := n.target()
		if !found {
			return out, false
		}
		if n.isReference() {
			out = [][]node{nil}
		}
		if out, ok = product(out, []node{target}, s); !ok || n.isReference() {
			return out, ok
		}
	}
	for _, part := range n.each("allOf") {
		if out, ok = product(out, []node{part}, s); !ok {
			return out, false
		}
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if branches := n.each(keyword); len(branches) > 0 {
			if out, ok = product(out, branches, s); !ok {
				return out, false
			}
		}
	}
	return out, true
}

// product joins each way with each way of the branches.
func product(ways [][]node, branches []node, s search) (out [][]node, ok bool) {
	s.depth++
	for _, b := range branches {
		more, ok := b.ways(s)
		if !ok {
			return out, false
		}
		for _, way := range ways {
			for _, m := range more {
				out = append(out, slices.Concat(way, m))
			}
		}
		if len(out) > maxWays {
			return out, false
		}
	}
	return out, true
}
