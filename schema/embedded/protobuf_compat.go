package embedded

func (r protobufSchema) canRead(parsed) []string { return nil }
