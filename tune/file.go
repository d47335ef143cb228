package tune

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec/json"
)

// maxLine bounds a line of a file.
const maxLine = 16 << 20

// ReadFile is [Read] of a file. The path "-" stands for standard input.
func ReadFile(path string, n int) (*Sample, error) {
	if path == "-" {
		return Read(os.Stdin, "standard input", n)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the events: %w", err)
	}
	defer f.Close()
	return Read(f, "file "+path, n)
}

// Read takes the first n records of a text with one JSON value a line (NDJSON), which may be
// compressed by gzip. Each becomes the value of a record without a key, without white space between
// its parts, as a node would store it. Read reads no more than the sample needs. path names the
// text in errors.
func Read(in io.Reader, path string, n int) (*Sample, error) {
	text, err := plain(in)
	if err != nil {
		return nil, fmt.Errorf("cannot read the events of %s: %w", path, err)
	}
	s := &Sample{Source: path}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxLine)
	bytesRead, number := 0, 0
	for len(s.Records) < n && lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		value, err := json.AppendCompact(nil, line)
		if err != nil {
			return nil, fmt.Errorf("cannot read the events: %s, line %d is not one JSON value: %w", path, number, err)
		}
		if bytesRead += len(value); bytesRead > maxSampleBytes && len(s.Records) > 0 {
			s.note("the sample is the first %d MB, %s records", maxSampleBytes>>20, count(len(s.Records)))
			return s, nil
		}
		s.Records = append(s.Records, &kgo.Record{Value: value})
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("cannot read the events: %s, line %d is longer than %d bytes", path, number+1, maxLine)
	} else if err != nil {
		return nil, fmt.Errorf("cannot read the events: %w", err)
	}
	if len(s.Records) == 0 {
		return nil, fmt.Errorf("cannot measure anything: %s holds no events", path)
	}
	if len(s.Records) < n {
		s.note("the file holds %s records, fewer than the sample of %s", count(len(s.Records)), count(n))
	}
	return s, nil
}

// plain undoes gzip, which the first two bytes tell (RFC 1952 §2.3.1).
func plain(in io.Reader) (io.Reader, error) {
	peeked := bufio.NewReader(in)
	if magic, _ := peeked.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) { // a read error comes again
		return peeked, nil
	}
	return gzip.NewReader(peeked)
}
