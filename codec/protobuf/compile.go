package protobuf

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// rootPath is the schema's own file. No import names it.
const rootPath = "the schema"

// known are the files that Confluent's registry knows without references,
// besides google/protobuf/*.proto, which the compiler has.
//
//go:embed known
var known embed.FS

// Compile compiles the text of a file, which may import references. Its errors
// are sentences for whoever wrote the schema.
func Compile(text string, references []Reference) (*Schema, error) {
	src, err := read(text, references)
	if err != nil {
		return nil, err
	}
	compiler := protocompile.Compiler{Resolver: src, MaxParallelism: 1}
	files, err := compiler.Compile(context.Background(), rootPath)
	if err != nil {
		return nil, src.complaint(err)
	}
	root := protoreflect.FileDescriptor(files[0])
	if root.Messages().Len() == 0 {
		return nil, errors.New("the Protobuf schema has no message")
	}
	all := map[string]protoreflect.FileDescriptor{}
	gather(root, all)
	registry := &protoregistry.Files{}
	s := &Schema{file: root, first: root.Messages().Get(0), types: dynamicpb.NewTypes(registry)}
	var list []protoreflect.FileDescriptor
	anys := false
	for path, f := range all {
		if err := registry.RegisterFile(f); err != nil {
			return nil, fmt.Errorf("the Protobuf schema cannot be compiled: %s", plain(err))
		}
		if err := reserved(f); err != nil && !standard(path) {
			return nil, err
		}
		list = append(list, f)
		s.required = s.required || requires(f.Messages())
		anys = anys || path == "google/protobuf/any.proto"
	}
	s.defaults, s.swell = defaultSizes(list)
	if anys {
		s.swell = maxJSON // always look
	}
	return s, nil
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

// source finds the files of one schema for the compiler.
type source map[string]string

var errNoReference = errors.New("no such reference")

func read(text string, references []Reference) (source, error) {
	src := source{rootPath: text}
	for _, r := range references {
		src[r.Name] = r.Text
	}
	src[rootPath] = text
	size, statements := 0, 0
	for path, text := range src {
		if size += len(text); size > maxText {
			return nil, fmt.Errorf("the Protobuf schema is too large: with its references it may have %d bytes", maxText)
		}
		n, err := count(text)
		if err != nil {
			return nil, fmt.Errorf("%s %w", title(path), err)
		}
		if statements += n; statements > maxStatements {
			return nil, fmt.Errorf("the Protobuf schema is too large: with its references it may have %d statements", maxStatements)
		}
	}
	return src, nil
}

func title(path string) string {
	if path == rootPath {
		return "the Protobuf schema"
	}
	return fmt.Sprintf("the reference %q", path)
}

// FindFileByPath implements the compiler's Resolver. The files that everybody
// knows come before references, some of which are copies of them.
func (s source) FindFileByPath(path string) (protocompile.SearchResult, error) {
	if standard(path) {
		return builtin.FindFileByPath(path)
	}
	if text, err := known.ReadFile("known/" + path); err == nil {
		return protocompile.SearchResult{Source: bytes.NewReader(text)}, nil
	}
	if text, ok := s[path]; ok {
		return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
	}
	return protocompile.SearchResult{}, errNoReference
}

var builtin = protocompile.WithStandardImports(protocompile.ResolverFunc(func(string) (protocompile.SearchResult, error) {
	return protocompile.SearchResult{}, errNoReference
}))

// complaint is why a schema does not compile, as a sentence.
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
		what = "an import is neither among the references nor known; nothing is fetched from elsewhere"
	}
	return fmt.Errorf("%s does not compile: line %d, column %d: %s", title(pos.Filename), pos.Line, pos.Col, what)
}
