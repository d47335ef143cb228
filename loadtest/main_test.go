package loadtest

import (
	"testing"

	"go.uber.org/goleak"

	"millrace/internal/testkit"
)

func TestMain(m *testing.M) {
	// It ends by itself once the last connection is gone, after its sleep.
	testkit.Main(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"))
}
