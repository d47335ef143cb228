package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
)

// OutcomeOf returns what an error means for the record that it was the answer to. code is
// the error_code of a slot or of a response, or the HTTP status where there is no other:
//
//   - 503 and 503xx: nothing was written, it may be sent again. So it is with each 4xx.
//   - 504, 504xx and 502: it may be written.
//   - 50002: the broker refused it for good. Other 500s promise nothing, 50003 (an error
//     that may pass) included.
//   - 1 and 2 are 50002 and 50003 as the v1 API has them.
func OutcomeOf(code int) Outcome {
	switch class := classOf(code); {
	case code == 1, code == 50002:
		return Failed
	case class == http.StatusServiceUnavailable, class >= 400 && class < 500:
		return Failed
	}
	return Unknown
}

// classOf is the HTTP status that an error_code belongs to.
func classOf(code int) int {
	if code >= 1000 {
		return code / 100
	}
	return code
}

// final reports whether a refusal is for good and for the record's own sake: it is not one
// that passes (429, 503), and none that every record of the request or the topic would get
// (no permission, no such topic, a request that came too slowly).
func final(code int) bool {
	switch classOf(code) {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout,
		http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return false
	}
	return OutcomeOf(code) == Failed
}

// settle notes in op what a response says of the request as a whole.
func (op *Op) settle(r response) {
	op.Status, op.Late = r.status, r.late
	switch {
	case r.err != nil:
		op.Outcome, op.Note = Unknown, r.err.Error()
		if !r.sent {
			op.Outcome = Failed
		}
	case r.status/100 == 2:
		op.Outcome = OK
	default:
		var e struct {
			Code int `json:"error_code"`
		}
		_ = json.Unmarshal(r.body, &e) // without a code, the status has to do
		op.Code = e.Code
		op.Outcome = OutcomeOf(cmp.Or(e.Code, r.status))
	}
}

// settleProduce notes in op what the response says of each record.
func (op *Op) settleProduce(r response) {
	op.settle(r)
	for i := range op.Records {
		op.Records[i].Outcome, op.Records[i].Code = op.Outcome, op.Code
	}
	if op.Outcome != OK {
		return
	}
	var answer struct {
		Offsets []struct {
			Partition *int32 `json:"partition"`
			Offset    *int64 `json:"offset"`
			ErrorCode *int   `json:"error_code"`
		} `json:"offsets"`
	}
	err := json.Unmarshal(r.body, &answer)
	if err == nil && len(answer.Offsets) != len(op.Records) {
		err = fmt.Errorf("%d slots for %d records", len(answer.Offsets), len(op.Records))
	}
	if err != nil {
		op.malformed(err)
		return
	}
	for i, slot := range answer.Offsets {
		rec := &op.Records[i]
		switch {
		case slot.ErrorCode != nil:
			rec.Code, rec.Outcome = *slot.ErrorCode, OutcomeOf(*slot.ErrorCode)
		case slot.Partition == nil || slot.Offset == nil:
			op.malformed(fmt.Errorf("slot %d has neither an offset nor an error", i))
			return
		default:
			rec.Partition, rec.Offset = *slot.Partition, *slot.Offset
		}
	}
}

// malformed notes that the response could not be understood: the outcome of all that it
// speaks of is unknown.
func (op *Op) malformed(err error) {
	op.Malformed, op.Outcome = err.Error(), Unknown
	for i := range op.Records {
		op.Records[i].Outcome = Unknown
	}
}
