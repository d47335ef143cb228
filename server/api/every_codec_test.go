//go:build !race

package api_test

import (
	"testing"

	"millrace/internal/kafka"
	"millrace/internal/testkit"
)

// TestRealRecordsInEveryCodec is TestRealRecordsArriveOnceAndInOrder, which runs with the race
// detector, for all codecs: the same goroutines with other compressors, whose loops the detector
// would make ten times as long.
func TestRealRecordsInEveryCodec(t *testing.T) {
	t.Parallel()
	testkit.Long(t)
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		for _, codec := range kafka.Codecs {
			t.Run(string(codec), func(t *testing.T) { realRecordsArrive(t, b, codec) })
		}
	})
}
