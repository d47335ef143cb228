package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// ID names a record of a run: which client made it, and which of that client's it is.
type ID struct {
	Client int `json:"c"`
	Seq    int `json:"n"`
}

// String returns CLIENT.SEQ.
func (id ID) String() string { return fmt.Sprintf("%d.%d", id.Client, id.Seq) }

const (
	valueHead = `{"check":"`
	valuePad  = `","pad":"`
	valueTail = `"}`
	// maxPad bounds the padding, which differs from record to record so that no two
	// records of a batch have one length.
	maxPad = 200
	// previewBytes of a foreign value are kept.
	previewBytes = 60
)

// AppendValue appends the value of a record. It is a function of run and id, so that one
// that was changed on its way is found out.
func AppendValue(dst []byte, run string, id ID) []byte {
	dst = append(dst, valueHead...)
	dst = fmt.Appendf(dst, "%s.%d.%d", run, id.Client, id.Seq)
	dst = append(dst, valuePad...)
	mix := uint64(id.Client+1)*0x9e3779b97f4a7c15 + uint64(id.Seq+1)*0xbf58476d1ce4e5b9
	for range mix % maxPad {
		mix ^= mix << 13
		mix ^= mix >> 7
		mix ^= mix << 17
		dst = append(dst, 'a'+byte(mix%26))
	}
	return append(dst, valueTail...)
}

// ParseValue returns the id of a value of this run. It fails for a value that this run did
// not make, to the byte; only white space may differ, for the value is JSON.
func ParseValue(run string, value []byte) (ID, bool) {
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		return ID{}, false
	}
	value = compact.Bytes()
	rest, ok := bytes.CutPrefix(value, []byte(valueHead+run+"."))
	if !ok {
		return ID{}, false
	}
	name, _, ok := bytes.Cut(rest, []byte(valuePad))
	client, seq, dot := strings.Cut(string(name), ".")
	if !ok || !dot {
		return ID{}, false
	}
	c, err1 := strconv.Atoi(client)
	s, err2 := strconv.Atoi(seq)
	id := ID{Client: c, Seq: s}
	if err1 != nil || err2 != nil || !bytes.Equal(value, AppendValue(nil, run, id)) {
		return ID{}, false
	}
	return id, true
}

// preview returns the beginning of a foreign value, for a report.
func preview(value []byte) string {
	if len(value) > previewBytes {
		return fmt.Sprintf("%q…", value[:previewBytes])
	}
	return fmt.Sprintf("%q", value)
}
