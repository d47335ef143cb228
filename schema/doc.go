// Package schema is the client of the schema registry: it turns what a produce
// request says of its schemas, text or an id, into something that encodes, and
// the id in front of a stored value into something that decodes.
package schema
