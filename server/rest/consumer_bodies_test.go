package rest

import (
	"testing"
	"time"

	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/server"
)

func TestParseISO8601(t *testing.T) {
	f := func(text string, want time.Time) {
		t.Helper()
		got, ok := server.ParseISO8601(text)
		if ok == want.IsZero() || !got.Equal(want) {
			t.Errorf("%q is %v, %t, want %v", text, got, ok, want)
		}
	}
	f("2026-01-31T12:30:05Z", time.Date(2026, 1, 31, 12, 30, 5, 0, time.UTC))
	f("2026-01-31T12:30:05.25+02:00", time.Date(2026, 1, 31, 10, 30, 5, 250e6, time.UTC))
	f("2026-01-31T12:30:05+0200", time.Date(2026, 1, 31, 10, 30, 5, 0, time.UTC))
	f("2026-01-31T12:30:05.5", time.Date(2026, 1, 31, 12, 30, 5, 500e6, time.UTC))
	f("2026-01-31T12:30Z", time.Date(2026, 1, 31, 12, 30, 0, 0, time.UTC))
	f("2026-01-31", time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC))
	f("2026-02-31T00:00:00Z", time.Time{})
	f("1700000000000", time.Time{})
	f("", time.Time{})
}

// FuzzConsumerBodies: for every body, each reader ends, and an error of it is the client's.
func FuzzConsumerBodies(f *testing.F) {
	for _, seed := range []string{
		`{"name":"i","format":"json","auto.offset.reset":"earliest","auto.commit.enable":"true","fetch.min.bytes":"1","consumer.request.timeout.ms":1}`,
		`{"topics":["t",null]}`, `{"topic_pattern":"t.*"}`, "\xef\xbb\xbf{}", `[`, `null`,
		`{"partitions":[{"topic":"t","partition":"0"}]}`,
		`{"offsets":[{"topic":"t","partition":0,"offset":1,"metadata":null}],"timestamps":[{"topic":"t","partition":0,"timestamp":"2026-01-31"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read := map[string]func([]byte) error{
			"options":      func(b []byte) error { return readInstanceOptions(b, new(consumer.InstanceOptions)) },
			"subscription": func(b []byte) error { _, _, err := readSubscription(b); return err },
			"partitions":   func(b []byte) error { _, err := readPartitions(b); return err },
			"offsets":      func(b []byte) error { _, err := readOffsets(b); return err },
			"positions":    func(b []byte) error { _, _, err := readPositions(b); return err },
		}
		for name, f := range read {
			if err := f(append([]byte(nil), text...)); err != nil { // they may change their text
				if kind := apierr.From(err).Kind; kind.Status < 400 || kind.Status >= 500 {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}
