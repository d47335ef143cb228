//go:build !unix

package server

// openFilesLimit returns how many files the process may have open.
func openFilesLimit() (limit uint64, known bool) { return 0, false }
