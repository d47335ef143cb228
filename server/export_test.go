package server

// Field and Fields are the bounds of bodies, for tests that attack each of them.
type (
	Field  = field
	Fields = fields
)

// What tests read of a [Field].
func (f Field) Name() string    { return f.name }
func (f Field) Max() int        { return f.max }
func (f Field) Each() int       { return f.each }
func (f Field) Members() Fields { return f.of }

// The bounds of the bodies that are not records, by route.
var BodyFields = map[string]Fields{
	"POST /consumers/{group}":                       instanceFields,
	"POST " + instancePath + "/subscription":        subscriptionFields,
	"POST " + instancePath + "/assignments":         partitionsFields,
	"POST " + instancePath + "/positions":           positionsFields,
	"POST " + instancePath + "/positions/beginning": partitionsFields,
	"POST " + instancePath + "/positions/end":       partitionsFields,
	"POST " + instancePath + "/offsets":             offsetsFields,
	"GET " + instancePath + "/offsets":              partitionsFields,
	"PUT /admin/config":                             settingsFields,
}

// The bounds that paths and queries have.
const (
	MaxName, MaxWord, MaxPartitions, MaxKey, MaxKeys = maxName, maxWord, maxPartitions, maxKey, maxKeys
)
