package avro

import hamba "github.com/hamba/avro/v2"

// kind is an Avro type.
type kind uint8

const (
	kindNull kind = iota
	kindBoolean
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBytes
	kindString
	kindFixed
	kindEnum
	kindRecord
	kindArray
	kindMap
	kindUnion
)

var kinds = map[hamba.Type]kind{
	hamba.Null: kindNull, hamba.Boolean: kindBoolean, hamba.Int: kindInt, hamba.Long: kindLong,
	hamba.Float: kindFloat, hamba.Double: kindDouble, hamba.Bytes: kindBytes, hamba.String: kindString,
	hamba.Fixed: kindFixed, hamba.Enum: kindEnum, hamba.Record: kindRecord, hamba.Error: kindRecord,
	hamba.Array: kindArray, hamba.Map: kindMap, hamba.Union: kindUnion,
}

// node is one type of a compiled schema; which members it uses depends on its
// kind. Nodes never change once they are compiled. They may form cycles.
type node struct {
	kind    kind
	logical logical // its form in the plain dialect
	name    string  // full name, or the type's: what a union's tag says
	size    int     // fixed: bytes
	null    int     // union: the null branch, or -1
	prec    int     // decimal: most digits
	scale   int     // decimal: digits behind the point

	perSecond int64  // times: units that make a second
	layout    string // times: how they are written

	items    *node          // array and map
	fields   []field        // record
	branches []branch       // union
	looks    *[shapes][]int // union: its branches by shape
	symbols  []string       // enum
	fallback bool           // enum: has a default, for symbols that it does not know
	aliases  []string       // record, enum, fixed: full names of writers' types read as this one
	quoted   []string       // enum: symbols as JSON text

	// index finds a field by name or alias, a branch by its tag, a symbol.
	index map[string]int
}

// field is one field of a record.
type field struct {
	name       string
	aliases    []string // names of writers' fields that are read as this one
	key        string   // JSON text that stands before its value: "name":
	sep        string   // the same behind another field: ,"name":
	node       *node
	hasDefault bool
	def        []byte // Avro binary of the default
}

// branch is one branch of a union.
type branch struct {
	node *node
	tag  string // JSON text that stands before a tagged value: {"string":
	bare bool   // plain: written without its tag
}
