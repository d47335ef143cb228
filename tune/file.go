package tune

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec/json"
)

// maxLine bounds a line of a file.
const maxLine = 16 << 20

// ReadFile takes the first n records of a file with one JSON value a line (NDJSON). Each becomes
// the value of a record without a key, without white space between its parts, as a node would
// store it.
func ReadFile(path string, n int) (*Sample, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the events: %w", err)
	}
	defer f.Close()
	s := &Sample{Source: "file " + path}
	lines := bufio.NewScanner(f)
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
