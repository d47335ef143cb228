package embedded

import (
	"errors"

	"google.golang.org/protobuf/types/descriptorpb"
)

func printProto(*descriptorpb.FileDescriptorProto) (string, error) {
	return "", errors.New("not yet")
}
