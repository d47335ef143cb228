package kafka

import "slices"

// Reserved are the topics that no API reads, writes or describes: those in which the nodes of a
// service meet. Code that asks Kafka for a topic on behalf of a client looks here first.
type Reserved []string

// Has reports whether the topic is reserved. It does not allocate.
func (r Reserved) Has(topic string) bool { return slices.Contains(r, topic) }
