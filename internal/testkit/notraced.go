//go:build !race

package testkit

// raced tells that the race detector is in this process.
const raced = false
