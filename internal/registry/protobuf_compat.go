package registry

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// canRead follows the rules of Confluent's registry, which are about the bytes: a field may be
// added, removed and renamed, but its number must keep its type; types that share a wire format
// may replace each other; a message must not be removed.
func (r protobufSchema) canRead(writer parsed) []string {
	c := protoComparison{seen: map[[2]protoreflect.FullName]bool{}}
	c.messages(r.Messages(), writer.(protobufSchema).Messages()) // by their names in the file: the package is not in the bytes
	return c.problems
}

// protoComparison collects the parts that a reader cannot read. Pairs of messages under
// comparison are not compared again: types may be recursive.
type protoComparison struct {
	seen     map[[2]protoreflect.FullName]bool
	problems []string
}

func (c *protoComparison) add(at protoreflect.Descriptor, format string, args ...any) {
	c.problems = append(c.problems, string(at.FullName())+": "+fmt.Sprintf(format, args...))
}

func (c *protoComparison) messages(reader, writer protoreflect.MessageDescriptors) {
	for i := range writer.Len() {
		w := writer.Get(i)
		if w.IsMapEntry() {
			continue
		}
		if r := reader.ByName(w.Name()); r != nil {
			c.message(r, w)
		} else {
			c.add(w, "the message is gone")
		}
	}
}

func (c *protoComparison) message(reader, writer protoreflect.MessageDescriptor) {
	pair := [2]protoreflect.FullName{reader.FullName(), writer.FullName()}
	if c.seen[pair] {
		return
	}
	c.seen[pair] = true
	c.messages(reader.Messages(), writer.Messages())
	for i := range writer.Fields().Len() {
		w := writer.Fields().Get(i)
		r := reader.Fields().ByNumber(w.Number())
		switch {
		case r != nil:
			c.field(r, w)
		case w.Cardinality() == protoreflect.Required:
			c.add(w, "the required field %d is gone", w.Number())
		case realOneof(w) != nil && reader.Oneofs().ByName(realOneof(w).Name()) != nil:
			c.add(w, "field %d is gone from the oneof", w.Number())
		}
	}
	for i := range reader.Fields().Len() {
		r := reader.Fields().Get(i)
		if w := writer.Fields().ByNumber(r.Number()); w == nil && r.Cardinality() == protoreflect.Required {
			c.add(r, "the required field %d is new", r.Number())
		}
	}
	c.oneofs(reader, writer)
}

// oneofs refuses a oneof that takes in several fields that could be set side by side before: a
// reader would keep one of them. Those of one oneof could not.
func (c *protoComparison) oneofs(reader, writer protoreflect.MessageDescriptor) {
	for i := range reader.Oneofs().Len() {
		o := reader.Oneofs().Get(i)
		from := map[protoreflect.FullName]bool{}
		for j := range o.Fields().Len() {
			w := writer.Fields().ByNumber(o.Fields().Get(j).Number())
			switch {
			case w == nil:
			case realOneof(w) != nil:
				from[realOneof(w).FullName()] = true
			default:
				from[w.FullName()] = true
			}
		}
		if len(from) > 1 {
			c.add(o, "fields that could be set side by side moved into the oneof")
		}
	}
}

// realOneof is the oneof of a field, but for those that stand for `optional`.
func realOneof(f protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o
	}
	return nil
}

func (c *protoComparison) field(reader, writer protoreflect.FieldDescriptor) {
	r, w := wireGroup(reader), wireGroup(writer)
	switch {
	case reader.IsMap() != writer.IsMap():
		c.add(reader, "field %d was %s and is %s", reader.Number(), kindName(writer), kindName(reader))
	case reader.IsMap():
		c.field(reader.MapKey(), writer.MapKey())
		c.field(reader.MapValue(), writer.MapValue())
	case r != w:
		c.add(reader, "field %d was %s and is %s", reader.Number(), kindName(writer), kindName(reader))
	case reader.IsList() != writer.IsList() && r != "bytes" && r != "message":
		// The last one of many is read; packed numbers do not even allow that.
		c.add(reader, "field %d was %s and is %s", reader.Number(), kindName(writer), kindName(reader))
	case r == "message" || r == "group":
		if reader.Message().Name() != writer.Message().Name() {
			c.add(reader, "field %d was %s and is %s", reader.Number(), kindName(writer), kindName(reader))
			return
		}
		c.message(reader.Message(), writer.Message())
	}
}

// wireGroup names the types whose bytes are read as each other's.
func wireGroup(f protoreflect.FieldDescriptor) string {
	switch k := f.Kind(); k {
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.BoolKind, protoreflect.EnumKind:
		return "varint"
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return "zigzag"
	case protoreflect.StringKind, protoreflect.BytesKind:
		return "bytes"
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return "fixed32"
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return "fixed64"
	default:
		return k.String()
	}
}

// kindName returns a field's type in the notation of .proto files.
func kindName(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	switch {
	case f.IsMap():
		return "map"
	case f.Message() != nil:
		name = string(f.Message().FullName())
	case f.Enum() != nil:
		name = string(f.Enum().FullName())
	}
	if f.IsList() {
		return "repeated " + name
	}
	return name
}
