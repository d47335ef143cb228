package avro

import (
	hamba "github.com/hamba/avro/v2"
)

type logical uint8

const logicalDecimal logical = 1

func (n *node) setLogical(l hamba.LogicalSchema, p hamba.PropertySchema) {}
