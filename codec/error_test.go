package codec

import (
	"testing"

	"millrace/internal/apierr"
)

func TestAppendError(t *testing.T) {
	if got := string(AppendError([]byte("x"), apierr.TopicNotFound.New("No \"t\"."))); got != `x{"error_code":40401,"message":"No \"t\"."}` {
		t.Errorf("answer %s", got)
	}
}
