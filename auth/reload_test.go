package auth

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A file that is looked at while it is being written has its beginning only, which allows what the
// rest denies. It does not hold.
func TestHalfAFileDoesNotHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := accessOf(t, "rules: [{who: [user:alice], allow: [describe]}]", "", "")
		may := func(topic string) bool { return a.Named("user:alice", nil).May(Produce, Topic, topic) }
		write := func(text string) {
			if err := os.WriteFile(a.settings.Rules, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		const first, rest = "rules:\n- {who: [user:alice], allow: [produce]}\n", "- {who: ['*'], deny: [all], topics: [payroll]}\n"
		write(first)
		done := make(chan error)
		go func() {
			_, err := a.Reload()
			done <- err
		}()
		synctest.Wait()
		if may("payroll") {
			t.Error("half of the rules hold")
		}
		write(first + rest)
		if err := <-done; err != nil || may("payroll") || !may("a") {
			t.Errorf("all of the rules: %v", err)
		}
		writing, stop := make(chan struct{}), make(chan struct{})
		go func() { // and goes on
			defer close(writing)
			time.Sleep(settled / 4) // in between the looks
			for n := 0; ; n++ {
				select {
				case <-time.After(settled / 2):
					write(fmt.Sprintf("%s# %d\n", first, n))
				case <-stop:
					return
				}
			}
		}()
		time.Sleep(settled)
		if changed, err := a.Reload(); changed || err == nil || may("payroll") {
			t.Errorf("rules that go on to change: %v, %v", changed, err)
		}
		close(stop)
		<-writing
	})
}

// Keys and logins of a second document would be left out without a word.
func TestFilesAreOfOneDocument(t *testing.T) {
	t.Parallel()
	_, one := keyOf(t, "one")
	_, two := keyOf(t, "two")
	if _, err := parseKeys([]byte("---\n" + one + two + "...\n")); err != nil {
		t.Errorf("keys: %v", err)
	}
	if _, err := parseKeys([]byte(one + "---\n" + two)); err == nil || !strings.Contains(err.Error(), "more than one document") {
		t.Errorf("keys of two documents: %v", err)
	}
	const login = "logins: [{who: [user:a], mechanism: SCRAM-SHA-512, username: u, password: p}]\n"
	if _, err := parseLogins([]byte(login), true); err != nil {
		t.Errorf("logins: %v", err)
	}
	if _, err := parseLogins([]byte(login+"---\n"+login), true); err == nil || !strings.Contains(err.Error(), "more than one document") {
		t.Errorf("logins of two documents: %v", err)
	}
}
