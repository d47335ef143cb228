// Package embedded is the schema registry inside `millrace dev`, for
// development and tests: one process, no access control, no contexts.
package embedded
