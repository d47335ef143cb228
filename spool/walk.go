package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Walk calls f for each entry in a folder, in order, done or not. It takes no lock and changes
// nothing, so the folder may be in use: Walk ends with what is whole by then. f borrows data. Walk
// ends with the first error of f.
func Walk(dir string, f func(at time.Time, data []byte) error) error {
	numbers, err := segmentsIn(dir)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := walkSegment(filepath.Join(dir, segmentName(n)), n, f); err != nil {
			return err
		}
	}
	return nil
}

func walkSegment(path string, n uint64, f func(at time.Time, data []byte) error) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) { // it was done, and deleted
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read a segment: %w", err)
	}
	entries, err := checkHeader(text, n, path)
	if err != nil || !entries {
		return err
	}
	for at := headerBytes; ; {
		data, came, need, err := entryAt(text[at:], n)
		if err != nil {
			return nil // the seal, or the end of what is whole
		}
		if err := f(came, data); err != nil {
			return err
		}
		at += need
	}
}
