package kafka

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A client has lost contact when attempts to connect fail and it hears nothing but handshakes:
// from the first failure if it never heard anything, else four seconds after the last answer.
func TestContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Contact
		want := func(what string, cause error) {
			t.Helper()
			if got := c.Lost(); !errors.Is(got, cause) || cause == nil && got != nil {
				t.Errorf("%s: %v, want %v", what, got, cause)
			}
		}
		want("at first", nil)
		c.OnBrokerConnect(brokerOne, 0, nil, context.Canceled)
		want("a client that was closed", nil)
		c.OnBrokerConnect(brokerOne, 0, nil, errRefused)
		c.OnBrokerRead(brokerOne, 18, 0, 0, 0, nil)
		want("nothing but a handshake", errRefused)
		c.OnBrokerRead(brokerOne, 1, 0, 0, 0, nil)
		want("an answer", nil)
		time.Sleep(time.Hour)
		want("an idle client", nil)
		c.OnBrokerRead(brokerOne, 1, 0, 0, 0, nil)
		c.OnBrokerConnect(brokerOne, 0, nil, errRefused)
		want("one of several brokers", nil)
		time.Sleep(lostContact)
		want("no answer since", errRefused)
		c.OnBrokerRead(brokerOne, 1, 0, 0, 0, errRefused)
		want("a read that failed", errRefused)
		c.OnBrokerRead(brokerOne, 1, 0, 0, 0, nil)
		want("an answer again", nil)
	})
}
