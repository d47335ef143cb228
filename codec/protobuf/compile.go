package protobuf

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// rootPath is the schema's own file. No import names it.
const rootPath = "the schema"

// known are files that Confluent's registry knows without references, besides
// google/protobuf/*.proto, which the compiler has.
//
//go:embed known
var known embed.FS

// Compile compiles the text of a file, which may import references. Its errors are sentences for
// the schema's author.
func Compile(text string, references []Reference) (*Schema, error) {
	l, err := link(text, references)
	if err != nil {
		return nil, err
	}
	if l.root.Messages().Len() == 0 {
		return nil, errors.New("the Protobuf schema has no message")
	}
	s := &Schema{file: l.root, spelled: l.spelled, first: l.root.Messages().Get(0), types: dynamicpb.NewTypes(l.registry)}
	for _, f := range l.all {
		s.required = s.required || requires(f.Messages())
	}
	s.defaults, s.swell = defaultSizes(l.all)
	if _, ok := l.all["google/protobuf/any.proto"]; ok {
		s.swell = maxJSON // always look
	}
	return s, nil
}

// Link is Compile for callers that read a file's declarations. The file may have no message, like
// a file that exists to be imported.
func Link(text string, references []Reference) (protoreflect.FileDescriptor, error) {
	l, err := link(text, references)
	return l.root, err
}

// linked is a file with all that it imports.
type linked struct {
	root     protoreflect.FileDescriptor
	spelled  bool
	all      map[string]protoreflect.FileDescriptor
	registry *protoregistry.Files
}

func link(text string, references []Reference) (linked, error) {
	src, err := read(text, references)
	if err != nil {
		return linked{}, err
	}
	compiler := protocompile.Compiler{Resolver: src, MaxParallelism: 1}
	files, err := compiler.Compile(context.Background(), rootPath)
	if err != nil {
		return linked{}, src.complaint(err)
	}
	l := linked{root: files[0], spelled: src[rootPath].spelled(), all: map[string]protoreflect.FileDescriptor{}, registry: &protoregistry.Files{}}
	gather(l.root, l.all)
	for _, f := range l.all {
		if err := l.registry.RegisterFile(f); err != nil {
			return linked{}, fmt.Errorf("the Protobuf schema cannot be compiled: %s", plain(err))
		}
	}
	return l, src.inspect(l.all, l.registry)
}

// inspect checks what the compiler does not: names that the schema must not declare, and files
// that the compiler did not parse and therefore trusts.
func (s source) inspect(all map[string]protoreflect.FileDescriptor, registry *protoregistry.Files) error {
	for path, f := range all {
		if err := reserved(f); err != nil && !standard(path) {
			return err
		}
		if !s[path].spelled() {
			continue
		}
		linked, ok := f.(linker.Result)
		if !ok {
			return fmt.Errorf("%s cannot be used", title(path))
		}
		if _, err := protodesc.NewFile(linked.FileDescriptorProto(), registry); err != nil {
			return fmt.Errorf("%s cannot be used: %s", title(path), plain(err))
		}
	}
	return nil
}

// gather collects a file and all that it imports.
func gather(f protoreflect.FileDescriptor, into map[string]protoreflect.FileDescriptor) {
	if _, ok := into[f.Path()]; ok {
		return
	}
	into[f.Path()] = f
	imports := f.Imports()
	for i := range imports.Len() {
		gather(imports.Get(i).FileDescriptor, into)
	}
}

// requires reports whether there is a required field in messages.
func requires(messages protoreflect.MessageDescriptors) bool {
	for i := range messages.Len() {
		if m := messages.Get(i); m.RequiredNumbers().Len() > 0 || requires(m.Messages()) {
			return true
		}
	}
	return false
}

func standard(path string) bool { return strings.HasPrefix(path, "google/protobuf/") }

// reserved refuses files that declare something in google.protobuf: the library
// knows these messages by name and relies on their fields.
func reserved(f protoreflect.FileDescriptor) error {
	const space = "google.protobuf"
	if within(string(f.Package()), space) {
		return fmt.Errorf("the package %s is reserved", space)
	}
	for i := range f.Messages().Len() {
		if within(string(f.Messages().Get(i).FullName()), space) {
			return fmt.Errorf("the name %s is reserved", space)
		}
	}
	return nil
}

func within(name, space string) bool { return name == space || strings.HasPrefix(name, space+".") }

// source finds the files of one schema for the compiler. It is not changed
// after read.
type source map[string]file

// file is one text, or its descriptor where it is not plain Protobuf.
type file struct {
	text       string
	descriptor *descriptorpb.FileDescriptorProto
}

// spelled reports whether the file has the entries of its maps written out as
// messages, as descriptors have them.
func (f file) spelled() bool { return f.descriptor != nil }

var errNoReference = errors.New("no such reference")

func read(text string, references []Reference) (source, error) {
	src := source{}
	for _, r := range references {
		src[r.Name] = file{text: r.Text}
	}
	src[rootPath] = file{text: text}
	size, statements := 0, 0
	for path, f := range src {
		if size += len(f.text); size > maxText {
			return nil, fmt.Errorf("the Protobuf schema is too large: with its references it may have %d bytes", maxText)
		}
		n, err := f.open(path)
		if err != nil {
			return nil, fmt.Errorf("%s %w", title(path), err)
		}
		if statements += n; statements > maxStatements {
			return nil, fmt.Errorf("the Protobuf schema is too large: with its references it may have %d statements", maxStatements)
		}
		src[path] = f
	}
	return src, nil
}

func title(path string) string {
	if path == rootPath {
		return "the Protobuf schema"
	}
	return fmt.Sprintf("the reference %q", path)
}

// FindFileByPath implements the compiler's Resolver. Files that the library relies on come before
// references, files that are known for convenience after them.
func (s source) FindFileByPath(path string) (protocompile.SearchResult, error) {
	if standard(path) {
		return builtin.FindFileByPath(path)
	}
	if f, ok := s[path]; ok {
		if !f.spelled() {
			return protocompile.SearchResult{Source: strings.NewReader(f.text)}, nil
		}
		return protocompile.SearchResult{Proto: f.descriptor}, nil
	}
	if text, err := known.ReadFile("known/" + path); err == nil {
		return protocompile.SearchResult{Source: bytes.NewReader(text)}, nil
	}
	return protocompile.SearchResult{}, errNoReference
}

var builtin = protocompile.WithStandardImports(protocompile.ResolverFunc(func(string) (protocompile.SearchResult, error) {
	return protocompile.SearchResult{}, errNoReference
}))

// complaint explains as a sentence why a schema does not compile.
func (s source) complaint(err error) error {
	var panicked protocompile.PanicError
	if errors.As(err, &panicked) {
		return errors.New("the Protobuf schema cannot be compiled")
	}
	var at reporter.ErrorWithPos
	if !errors.As(err, &at) {
		return fmt.Errorf("the Protobuf schema cannot be compiled: %s", plain(err))
	}
	pos := at.GetPosition()
	what := strings.ReplaceAll(plain(at.Unwrap()), rootPath, "the schema itself")
	if errors.Is(err, errNoReference) {
		_, what, _ = strings.Cut(what, "could not resolve path ")
		path, _ := strconv.QuotedPrefix(what)
		what = "the import " + path + " is neither among the references nor known; nothing is fetched from elsewhere"
	}
	if pos.Line == 0 { // of a descriptor
		return fmt.Errorf("%s does not compile: %s", title(pos.Filename), what)
	}
	return fmt.Errorf("%s does not compile: line %d, column %d: %s", title(pos.Filename), pos.Line, pos.Col, what)
}
