package testkit_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"millrace/internal/testkit"
)

func TestRealRecordsAreWhole(t *testing.T) {
	for name, c := range map[string]struct {
		read   func(testing.TB) [][]byte
		n      int
		member string
	}{
		"citations": {testkit.ParkingCitations, 1000, "Ticket"},
		"events":    {testkit.GithubEvents, 30, "actor"},
		"tweets":    {testkit.Tweets, 100, "id_str"},
		"all":       {testkit.RealRecords, 1130, ""},
	} {
		records := c.read(t)
		if len(records) != c.n {
			t.Errorf("%s: %d records, want %d", name, len(records), c.n)
		}
		for i, r := range records {
			var members map[string]any
			if err := json.Unmarshal(r, &members); err != nil {
				t.Fatalf("%s: record %d: %v", name, i, err)
			}
			if _, ok := members[c.member]; !ok && c.member != "" {
				t.Fatalf("%s: record %d has no %s: %s", name, i, c.member, r)
			}
		}
	}
}

func TestJSONTestSuiteHasTheRightVerdicts(t *testing.T) {
	count := map[testkit.Verdict]int{}
	for _, c := range testkit.JSONTestSuite(t) {
		count[c.Want]++
		// encoding/json lets bytes pass that are not UTF-8.
		if valid := json.Valid(c.Text) && utf8.Valid(c.Text); c.Want != testkit.Either && valid != (c.Want == testkit.Accept) {
			t.Errorf("%s: encoding/json says %v of %q", c.Name, valid, c.Text)
		}
	}
	if count[testkit.Accept] != 103 || count[testkit.Refuse] != 201 || count[testkit.Either] != 14 || len(count) != 3 {
		t.Errorf("verdicts %v, want y 103, n 201, i 14", count)
	}
}
