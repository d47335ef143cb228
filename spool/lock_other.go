//go:build !unix

package spool

import (
	"errors"
	"os"
)

// lock fails: a folder that two processes write to would lose entries.
func lock(string) (*os.File, error) {
	return nil, errors.New("folders cannot be locked on this system")
}
