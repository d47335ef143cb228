package api_test

import (
	"slices"
	"testing"

	"millrace/internal/testkit"
)

func TestIngestExchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		topic, made := testkit.CreateTopic(t, b, 1), testkit.Topic(t)
		testkit.RunExchanges(t, "testdata/ingest.txt", s.base, map[string]string{"topic": topic, "new": made})
		wantValues(t, b, made, `{"event":"click"}`)
		wantValues(t, b, topic, `{"n": 1}`, `{"n":2}`, `3`, `"four"`,
			`{"n":5}`, `{"n":6}`, `{"n":7}`, `{"n":8}`, `{"n":9}`, `{"n":10}`, `[11,11]`, `{"n":12}`, `{"n":15}`,
			`{"n":16}`, `{"n":17}`, `{"n":18}`, `{"n":19}`, `{"n":20} any bytes`, `no type`, `{"n":21}`)
	})
}

// wantValues checks that a topic of one partition has just these records, without keys.
func wantValues(t *testing.T, b testkit.Broker, topic string, want ...string) {
	t.Helper()
	var got []string
	for _, r := range testkit.ReadTopic(t, b, topic, len(want)) {
		got = append(got, string(r.Value))
		if r.Key != nil {
			t.Errorf("%s has the key %q", r.Value, r.Key)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the topic %s has\n%q\nwant\n%q", topic, got, want)
	}
}
