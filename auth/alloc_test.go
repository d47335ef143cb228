//go:build !race

package auth

import "testing"

// The decision about a request with a key, a rule and a quota allocates nothing.
func TestDecisionAllocatesNothing(t *testing.T) {
	a, c := measured(t)
	if n := testing.AllocsPerRun(1000, func() { decide(t, a, c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	login := Credentials{Authorization: []byte("Basic YWxpY2U6d29uZGVy")}
	decide(t, a, login)
	if n := testing.AllocsPerRun(1000, func() { decide(t, a, login) }); n > 0 {
		t.Errorf("%v allocations with a password that was checked before", n)
	}
}
