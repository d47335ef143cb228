package ingest

import (
	"testing"

	"millrace/internal/apierr"
	"millrace/spool"
)

// Of a request that the spool can never take its sender is told so.
func TestTooMuchForTheSpool(t *testing.T) {
	in := lanes(t, t.TempDir()).in
	if err := in.toSpool("topic", make([]byte, spool.MaxEntry+1)); !apierr.BodyTooLarge.Is(err) {
		t.Error(err)
	}
}

// Where no event is written, and one of them may be later, the request is to be sent again.
func TestNothingIsWrittenYet(t *testing.T) {
	never, later := apierr.BadRequest.New("no JSON"), apierr.NotWritten.New("busy")
	for _, refused := range [][]refusal{
		{{index: 0, err: never}, {index: 1, err: later}},
		{{index: 0, err: never, kept: true}, {index: 1}, {index: 2, err: later}},
		{{index: 0, err: later}, {index: 1, err: never}},
	} {
		d := newDelivery()
		d.refused = refused
		for _, r := range refused {
			if d.events++; r.err == nil {
				d.left++
			}
		}
		if err := new(Ingest).nothingToWrite(nil, d); !apierr.NotWritten.Is(err) {
			t.Error(err)
		}
	}
}
