package jsonschema

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"millrace/codec"
	"millrace/codec/json"
)

// Reference is another schema that a schema refers to.
type Reference struct {
	// Name is the URI that a $ref has for it, absolute or relative.
	Name string
	// Text is the schema itself.
	Text string
}

// Schema is a compiled schema. It is immutable; any number of goroutines may
// use it.
type Schema struct {
	source source
	name   string
	size   int // of a checker, in bytes, about
	// first is the checker that is kept while no validation runs. Further checkers, made when
	// validations run side by side, are in spare, and only for as long as that lasts.
	first atomic.Pointer[checker]
	spare sync.Pool
	// slots bounds the checkers in use. A validation never waits for anything
	// but a processor, so a few more than those will do.
	slots chan struct{}
}

var _ codec.Schema = (*Schema)(nil)

// Compile compiles the text of a schema, which may refer to references. Its errors are sentences
// for the schema's author.
func Compile(text string, references []Reference) (*Schema, error) {
	src, err := read(text, references)
	if err != nil {
		return nil, err
	}
	c, err := src.compile()
	if err != nil {
		return nil, err
	}
	s := &Schema{source: src, name: title(src.docs[rootURL]), size: src.size(c), slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
	s.first.Store(c)
	return s, nil
}

// Size returns about how many bytes of memory the schema holds while it is not in use.
func (s *Schema) Size() int { return s.size }

// Name returns the schema's title, by which subjects are named when they are named by records; it
// is empty when the schema has no title.
func (s *Schema) Name() string { return s.name }

func title(doc any) string {
	object, _ := doc.(map[string]any)
	name, _ := object["title"].(string)
	return name
}

// AppendEncoded appends text as it is, once it is found valid. It borrows both.
func (s *Schema) AppendEncoded(dst, text []byte, _ codec.Dialect, _ *codec.Budget) ([]byte, error) {
	c, err := s.take()
	if err != nil {
		return dst, err
	}
	defer s.give(c) // it is as good as new even after a panic
	if err := c.check(text); err != nil {
		return dst, err
	}
	return append(dst, text...), nil
}

// take returns a checker, which goes back with give. It compiles one when none is free, and waits
// while too many are in use.
func (s *Schema) take() (*checker, error) {
	s.slots <- struct{}{}
	if c := s.first.Swap(nil); c != nil {
		return c, nil
	}
	if c, ok := s.spare.Get().(*checker); ok {
		return c, nil
	}
	c, err := s.source.compile()
	if err != nil {
		<-s.slots
	}
	return c, err
}

func (s *Schema) give(c *checker) {
	if !s.first.CompareAndSwap(nil, c) {
		s.spare.Put(c)
	}
	<-s.slots
}

var errNotJSON = errors.New("its payload is not JSON")

// AppendDecoded appends payload without insignificant white space; it must be
// JSON, but need not fit the schema. It borrows both and allocates nothing.
func (s *Schema) AppendDecoded(dst, payload []byte, _ codec.Dialect) ([]byte, error) {
	dst, err := json.AppendCompact(dst, payload)
	if err != nil {
		return dst, errNotJSON
	}
	return dst, nil
}
