package loadtest

import (
	"bytes"
	"fmt"
	"strconv"

	"millrace/codec/json"
)

// failure is one kind of error: HTTP status (0 when there was no answer) and
// the proxy's error_code (0 when there was none).
type failure struct {
	Status, Code int
	// Record is set for a record that failed in an answer of 200.
	Record bool
	// Kind says what happened when there was no answer.
	Kind string
}

// offsetsAnswer is the v2 answer to a produce request.
type offsetsAnswer struct {
	Offsets []struct {
		Partition *int32  `json:"partition"`
		Offset    *int64  `json:"offset"`
		ErrorCode *int    `json:"error_code"`
		Error     *string `json:"error"`
	} `json:"offsets"`
}

// recordFailure is a record that the proxy did not write.
type recordFailure struct {
	code    int
	message string
}

// parseOffsets reads the answer to a produce request of n records. An answer
// that does not speak for each record is an error.
func parseOffsets(body []byte, n int) ([]slot, []recordFailure, error) {
	if slots, ok := scanOffsets(body, n); ok {
		return slots, nil, nil
	}
	var a offsetsAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	if len(a.Offsets) != n {
		return nil, nil, fmt.Errorf("the answer has %d offsets for %d records", len(a.Offsets), n)
	}
	slots := make([]slot, n)
	var failed []recordFailure
	for i, o := range a.Offsets {
		if o.Partition == nil || o.Offset == nil || o.ErrorCode != nil {
			slots[i] = slot{partition: -1}
			f := recordFailure{}
			if o.ErrorCode != nil {
				f.code = *o.ErrorCode
			}
			if o.Error != nil {
				f.message = *o.Error
			}
			failed = append(failed, f)
			continue
		}
		slots[i] = slot{*o.Offset, *o.Partition}
	}
	return slots, failed, nil
}

// scanOffsets reads the usual answer, where nothing failed and the members are
// in the documented order, at a fraction of encoding/json's cost: on one
// machine the generator's CPU is taken from the proxy's. ok is false for all
// that looks different.
func scanOffsets(body []byte, n int) (slots []slot, ok bool) {
	rest, ok := bytes.CutPrefix(body, []byte(`{"offsets":[`))
	if !ok {
		return nil, false
	}
	slots = make([]slot, 0, n)
	for {
		var p, o int64
		if p, rest, ok = number(rest, `{"partition":`); !ok {
			return nil, false
		}
		if o, rest, ok = number(rest, `,"offset":`); !ok {
			return nil, false
		}
		if rest, ok = bytes.CutPrefix(rest, []byte(`,"error_code":null,"error":null}`)); !ok || len(rest) == 0 {
			return nil, false
		}
		slots = append(slots, slot{o, int32(p)})
		if rest[0] == ']' {
			return slots, len(slots) == n
		}
		if rest, ok = bytes.CutPrefix(rest, []byte(",")); !ok {
			return nil, false
		}
	}
}

// number takes name and the digits behind it off text.
func number(text []byte, name string) (v int64, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(text, []byte(name))
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	if !ok || end == 0 || end > 18 {
		return 0, nil, false
	}
	v, err := strconv.ParseInt(string(rest[:end]), 10, 64)
	return v, rest[end:], err == nil
}

// parseError reads the proxy's error_code and message; code is 0 if the body
// is none of its errors.
func parseError(body []byte) (code int, message string) {
	var e struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &e) != nil {
		return 0, ""
	}
	return e.Code, e.Message
}
