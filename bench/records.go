package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	// Only its testdata is read, but an import is what keeps a module in go.mod.
	_ "github.com/minio/simdjson-go"
)

// distinctValues is how many different values a run sends, so that neither a
// cache nor a codec sees the same bytes again and again.
const distinctValues = 1000

// realValues returns n values of exactly size bytes each. A value is a compact
// JSON object with members of real records (parking tickets of Los Angeles) in
// their order; the last member is cut to fit, or stretched by a few zeros.
func realValues(n, size int) ([][]byte, error) {
	members, err := allMembers()
	if err != nil {
		return nil, err
	}
	values := make([][]byte, n)
	for i := range values {
		start := i * len(members) / n
		if values[i], err = buildValue(members[start:], members, size); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// member is one "name":"text" of a record. Neither half needs escapes.
type member struct{ name, text string }

// allMembers are those of all records, read at the first call.
var allMembers = sync.OnceValues(func() (all []member, err error) {
	lines, err := parkingCitations()
	if err != nil {
		return nil, err
	}
	for i, line := range lines {
		more, err := readMembers(line, i)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
})

// readMembers reads a flat object of strings. From the second record on the
// names get a suffix where they would meet those of the record before.
func readMembers(line []byte, record int) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("cannot read a record: %w", err)
	}
	var out []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("cannot read a record: %w", err)
		}
		value, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("cannot read a record: %w", err)
		}
		text := strings.Map(plain, fmt.Sprint(value))
		out = append(out, member{strings.Map(plain, fmt.Sprint(name)) + strconv.Itoa(record%10), text})
	}
	return out, nil
}

// plain replaces what JSON would escape, so that text may be cut anywhere.
func plain(r rune) rune {
	if r < ' ' || r > '~' || r == '"' || r == '\\' {
		return '_'
	}
	return r
}

// buildValue makes a value out of members, going on with rest at their end.
func buildValue(members, rest []member, size int) ([]byte, error) {
	const least = 64 // the longest name and its punctuation fit
	if size < least {
		return nil, fmt.Errorf("cannot make a value of %d bytes: the least is %d", size, least)
	}
	out := append(make([]byte, 0, size), '{')
	for room := size - 2; room > 0; room = size - 1 - len(out) {
		if len(members) == 0 {
			members = rest
		}
		m := members[0]
		members = members[1:]
		empty := len(`"":"",`) + len(m.name) // the comma too
		if room < empty && len(out) > 1 {
			// Stretch the last text, inside of its closing quote.
			out = append(out[:len(out)-1], bytes.Repeat([]byte{'0'}, room)...)
			out = append(out, '"')
			break
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		text := m.text[:min(len(m.text), room-empty)]
		out = append(out, `"`+m.name+`":"`+text+`"`...)
	}
	out = append(out, '}')
	if len(out) != size || !json.Valid(out) {
		return nil, fmt.Errorf("cannot make a value of %d bytes: it came out as %s", size, out)
	}
	return out, nil
}

// parkingCitations are the 1,000 records, read out of the module cache at the first
// call. Callers share them and change none.
var parkingCitations = sync.OnceValues(readCitations)

func readCitations() ([][]byte, error) {
	const module = "github.com/minio/simdjson-go"
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot find module %s: %w", module, err)
	}
	dir := strings.TrimSpace(string(out))
	if dir == "" {
		return nil, fmt.Errorf("cannot find module %s: it is not in the module cache; go mod download %s gets it", module, module)
	}
	f, err := os.Open(filepath.Join(dir, "testdata", "parking-citations.json.zst"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the records: %w", err)
	}
	defer func() { _ = f.Close() }()
	zr, err := zstd.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("cannot unpack the records: %w", err)
	}
	defer zr.Close()
	text, err := io.ReadAll(zr)
	if err != nil {
		return nil, fmt.Errorf("cannot unpack the records: %w", err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if len(lines) < 100 {
		return nil, errors.New("cannot use the records: there are too few of them")
	}
	return lines, nil
}

// requestBodies returns v2 produce requests of n records each that together
// hold all values; the last ones begin again at the first value. members stand
// before the records, each with a comma behind it.
func requestBodies(values [][]byte, n int, format, members string) [][]byte {
	var bodies [][]byte
	for next := 0; next < len(values); {
		body := []byte(`{` + members + `"records":[`)
		for i := range n {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, `{"value":`...)
			body = appendDatum(body, values[next%len(values)], format)
			body = append(body, '}')
			next++
		}
		bodies = append(bodies, append(body, "]}"...))
	}
	return bodies
}

// appendDatum appends a value as it stands in a request of that format.
func appendDatum(dst, value []byte, format string) []byte {
	if format == "binary" {
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, value)
		return append(dst, '"')
	}
	return append(dst, value...)
}

// constantAnswer is what a proxy answers to a request of n records. The offset
// has seven digits, as it has through most of a run.
func constantAnswer(n int) []byte {
	one := `{"partition":0,"offset":1000000,"error_code":null,"error":null}`
	return []byte(`{"offsets":[` + strings.Repeat(one+",", n-1) + one + `],"key_schema_id":null,"value_schema_id":null}`)
}
