package api_test

import (
	"testing"

	"millrace/internal/testkit"
)

// The corners of the contract: every refusal and every liberty, besides the ordinary requests of
// the other files.
func TestContractExchanges(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := start(t, b)
		testkit.RunExchanges(t, "testdata/contract.txt", s.base, map[string]string{
			"topic": testkit.CreateTopic(t, b, 1), "group": testkit.Group(t), "other": testkit.Group(t),
		})
	})
}
