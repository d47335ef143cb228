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
