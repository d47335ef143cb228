package protobuf

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// firstMessage stands for the indexes [0]; Confluent's serializers write their
// count, 0, in place of 1 and 0.
const firstMessage = 0

var errIndexes = errors.New("its payload does not begin with the indexes of a message")

// cut splits a payload into the type of its message and the message. The type is a path of
// indexes: that of a message in the file, that of a message declared within the former, and so
// on. Count and indexes are zigzag varints.
func (s *Schema) cut(payload []byte) (protoreflect.MessageDescriptor, []byte, error) {
	count, n := binary.Varint(payload)
	if n <= 0 || count < 0 || count > maxNesting {
		return nil, nil, errIndexes
	}
	payload = payload[n:]
	if count == 0 {
		return s.first, payload, nil
	}
	var kind protoreflect.MessageDescriptor
	messages := s.file.Messages()
	for range count {
		index, n := binary.Varint(payload)
		if n <= 0 {
			return nil, nil, errIndexes
		}
		payload = payload[n:]
		if kind = s.declared(messages, index); kind == nil {
			return nil, nil, fmt.Errorf("its payload is of a message that the schema %s does not have", s.file.Package())
		}
		messages = kind.Messages()
	}
	return kind, payload, nil
}

// declared returns the message of that index among those with a declaration of their own: the
// entries of map fields, which are messages to the library, count only where the schema has them
// written out.
func (s *Schema) declared(messages protoreflect.MessageDescriptors, index int64) protoreflect.MessageDescriptor {
	for i := range messages.Len() {
		m := messages.Get(i)
		if m.IsMapEntry() && !s.spelled {
			continue
		}
		if index == 0 {
			return m
		}
		index--
	}
	return nil
}
