package reader

import (
	"bytes"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/codec"
	"millrace/internal/apierr"
)

// Undecodables is the treatment of a record that is not in the format asked for.
type Undecodables uint8

// The treatments.
const (
	FailOn   Undecodables = iota // the client gets the error, and no further record
	Skip                         // the record is skipped
	AsBase64                     // its key and value are returned in the binary format
)

var undecodables = [...]string{FailOn: "fail", Skip: "skip", AsBase64: "base64"}

// ParseUndecodables reads fail, skip or base64.
func ParseUndecodables(name string) (Undecodables, error) {
	for u, known := range undecodables {
		if strings.EqualFold(name, known) {
			return Undecodables(u), nil
		}
	}
	return 0, apierr.BadRequest.New("A record that cannot be decoded can be handled by fail, skip or base64, not %q.", name)
}

// MarshalText implements [encoding.TextMarshaler], for definitions of instances.
func (u Undecodables) MarshalText() ([]byte, error) { return []byte(undecodables[u]), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *Undecodables) UnmarshalText(text []byte) (err error) {
	*u, err = ParseUndecodables(string(text))
	return err
}

// AppendShown is [codec.AppendRecord] with the treatment u of a record that cannot be decoded: a
// skipped one appends nothing.
func AppendShown(dst []byte, r *kgo.Record, f codec.Format, x codec.Extras, u Undecodables) ([]byte, error) {
	dst, err := codec.AppendRecord(dst, r, f, x)
	switch {
	case err == nil || u == FailOn || !apierr.Undecodable.Is(err):
		return dst, err
	case u == Skip:
		return dst, nil
	}
	if dst, err = codec.AppendRecord(dst, r, codec.Binary, x); err != nil {
		return dst, err
	}
	return append(dst[:len(dst)-1], `,"format":"binary"}`...), nil
}

// AppendStreamed is AppendShown on one line.
func AppendStreamed(dst []byte, r *kgo.Record, f codec.Format, x codec.Extras, u Undecodables) ([]byte, error) {
	start := len(dst)
	dst, err := AppendShown(dst, r, f, x, u)
	if err != nil {
		return dst, err
	}
	for _, end := range []byte("\r\n") { // insignificant white space in the JSON of a record
		for line := dst[start:]; ; {
			n := bytes.IndexByte(line, end)
			if n < 0 {
				break
			}
			line[n] = ' '
			line = line[n+1:]
		}
	}
	return dst, nil
}
