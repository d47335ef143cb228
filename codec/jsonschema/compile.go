package jsonschema

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"millrace/codec"
	"millrace/codec/json"
)

// These are the URLs of a schema's documents for the library; nothing is loaded from there.
// Confluent's serializers have the same base, to which a relative $ref and the names of
// references resolve.
const (
	baseURL  = "mem://input/"
	rootURL  = baseURL + "schema"
	guardURL = "mem://guard/schema"
)

// source is the input from which a schema is compiled. It is not changed after read.
type source struct {
	docs    documents
	text    int // bytes of all texts
	objects int // in them, which may be schemas
}

// documents are the parsed texts by URL. They are the library's only loader.
type documents map[string]any

var errNoReference = errors.New("no such reference")

// Load implements the library's URLLoader.
func (d documents) Load(u string) (any, error) {
	if doc, ok := d[u]; ok {
		return doc, nil
	}
	return nil, errNoReference
}

// read parses the texts. Each reference gets the URLs that a $ref may resolve
// to: its name against the base, against the schema's own id, and its own id.
func read(text string, references []Reference) (source, error) {
	size := len(text)
	for _, r := range references {
		size += len(r.Text) + len(r.Name)
	}
	if size > maxText {
		return source{}, fmt.Errorf("the JSON schema is too large: with its references it has %d bytes, and %d are allowed", size, maxText)
	}
	objects := 0
	root, err := parse("the JSON schema", text, &objects)
	if err != nil {
		return source{}, err
	}
	odd := map[string]struct{}{}
	pointers(root, odd)
	docs := documents{}
	for _, r := range references {
		doc, err := parse(fmt.Sprintf("the reference %q", r.Name), r.Text, &objects)
		if err != nil {
			return source{}, err
		}
		pointers(doc, odd)
		for _, base := range []string{baseURL, id(root)} {
			if u, ok := resolve(base, r.Name); ok {
				docs[u] = doc
			}
		}
		if u, ok := resolve(baseURL, id(doc)); ok && id(doc) != "" {
			docs[u] = doc
		}
	}
	if len(odd) > maxPointers {
		return source{}, fmt.Errorf("the JSON schema refers to more than %d places that are no definitions", maxPointers)
	}
	docs[rootURL] = root
	if u, ok := resolve(baseURL, id(root)); ok && id(root) != "" {
		docs[u] = root // a reference may refer back
	}
	docs[guardURL] = map[string]any{"not": map[string]any{"$ref": rootURL}} // whoever else has its URL
	return source{docs: docs, text: size, objects: objects}, nil
}

// parse reads one text as a schema; objects counts those of all texts.
func parse(what, text string, objects *int) (any, error) {
	b := []byte(text)
	start := json.SkipSpace(b, 0)
	end, _, err := json.Scan(b, start)
	if err != nil {
		return nil, fmt.Errorf("%s is not valid JSON: %w", what, err)
	}
	if json.SkipSpace(b, end) != len(b) {
		return nil, fmt.Errorf("%s is not valid JSON: it goes on at byte %d", what, end)
	}
	t, fault := grow(b[start:end])
	if fault != "" {
		return nil, fmt.Errorf("%s cannot be used: %s", what, fault)
	}
	if t.depth > maxNesting {
		return nil, fmt.Errorf("%s is nested deeper than %d levels", what, maxNesting)
	}
	if t.paths > maxPaths {
		return nil, fmt.Errorf("%s has names that are too long and too nested", what)
	}
	if *objects += t.objects; *objects > maxObjects {
		return nil, fmt.Errorf("the JSON schema is too large: with its references it has more than %d objects, true and false", maxObjects)
	}
	switch doc := t.value.(type) {
	case bool:
	case map[string]any:
		if _, ok := doc["$schema"].(string); ok && draft(doc) == nil {
			delete(doc, "$schema")
		}
	default:
		return nil, fmt.Errorf("%s must be a JSON object, true or false", what)
	}
	return t.value, nil
}

// drafts maps the part of "$schema" behind the host to a draft; "#" may follow.
var drafts = map[string]*jsonschema.Draft{
	"draft-04/schema":      jsonschema.Draft4,
	"draft-06/schema":      jsonschema.Draft6,
	"draft-07/schema":      jsonschema.Draft7,
	"draft/2019-09/schema": jsonschema.Draft2019,
	"draft/2020-12/schema": jsonschema.Draft2020,
}

// draft returns the draft that a schema names, nil for none.
func draft(doc any) *jsonschema.Draft {
	object, _ := doc.(map[string]any)
	dialect, _ := object["$schema"].(string)
	_, path, _ := strings.Cut(strings.TrimSuffix(dialect, "#"), "://json-schema.org/")
	return drafts[path]
}

// id returns the URI that a schema gives itself, "" for none.
func id(doc any) string {
	object, _ := doc.(map[string]any)
	for _, member := range []string{"$id", "id"} {
		if s, ok := object[member].(string); ok {
			return s
		}
	}
	return ""
}

// resolve is the absolute URL of ref as seen from base, without fragment.
func resolve(base, ref string) (string, bool) {
	b, err := url.Parse(base)
	if err != nil {
		return "", false
	}
	r, err := url.Parse(ref)
	if err != nil {
		return "", false
	}
	u := b.ResolveReference(r)
	u.Fragment, u.RawFragment = "", ""
	return u.String(), u.IsAbs()
}

// checker is one compiled schema; it serves one validation at a time.
type checker struct {
	schema *jsonschema.Schema
	guard  *jsonschema.Schema // {"not": schema}
	parts  int
	effort effort

	instructions int // of all patterns
}

// size returns about how many bytes s and a checker of it take.
func (s *source) size(c *checker) int { return 1000*s.objects + 60*c.instructions + 16*s.text }

// compile compiles a checker. The first one shows whether the schema is valid.
func (s source) compile() (*checker, error) {
	c := &checker{}
	var parts []*jsonschema.Schema
	all := jsonschema.Vocabulary{URL: "mem://guard/parts", Compile: func(ctx *jsonschema.CompilerContext, _ map[string]any) (jsonschema.SchemaExt, error) {
		parts = append(parts, ctx.Enqueue(nil))
		return nil, nil
	}}
	regexps := patterns{effort: &c.effort, known: map[string]jsonschema.Regexp{}}
	lib := jsonschema.NewCompiler()
	lib.DefaultDraft(cmp.Or(draft(s.docs[rootURL]), jsonschema.Draft7))
	lib.UseLoader(s.docs)
	lib.UseRegexpEngine(regexps.compile)
	lib.RegisterVocabulary(&all)
	lib.AssertVocabs()
	var err error
	if c.guard, err = lib.Compile(guardURL); err != nil {
		return nil, s.complaint(err)
	}
	if c.schema, err = lib.Compile(rootURL); err != nil {
		return nil, s.complaint(err)
	}
	depth := above(parts)
	for _, part := range parts {
		c.effort.count(part, depth[part]/scopesPerStep)
	}
	c.parts, c.instructions = len(parts), regexps.instructions
	return c, nil
}

// check validates a text. The first pass only finds whether the value is valid, which is fast and
// takes no memory whatever the value is; the second pass, over an invalid value, finds where and
// why.
func (c *checker) check(text []byte) error {
	t, fault := grow(text)
	if fault != "" {
		return &codec.Mismatch{Problem: fault}
	}
	if (t.depth+1)*c.parts > maxStack {
		return &codec.Mismatch{Problem: "it is nested too deeply to be checked against this schema"}
	}
	invalid, done := c.run(c.guard, t.value, maxSteps)
	if !done {
		return &codec.Mismatch{Problem: "it takes too long to check against this schema"}
	}
	if invalid != nil { // the value does not fit the schema
		return nil
	}
	why, done := c.run(c.schema, t.value, maxDetail/(t.depth+10))
	var report *jsonschema.ValidationError
	if !done || !errors.As(why, &report) {
		return &codec.Mismatch{Problem: "it is not what the schema wants, and too large to say where"}
	}
	return explain(report, t.value)
}

// run validates v in at most limit steps, and gives up after them.
func (c *checker) run(s *jsonschema.Schema, v any, limit int) (err error, done bool) { //nolint:revive // the error is the result
	c.effort.steps, c.effort.limit = 0, limit
	defer func() {
		if r := recover(); r != nil {
			if r != errEffort {
				panic(r)
			}
			done = false
		}
	}()
	return s.Validate(v), true
}
