package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"millrace/auth"
)

// loginAttacks are those that a caller makes who has no right to anything.
var loginAttacks = []attack{
	{name: "none, callers have keys", asked: true, run: func(_ *attacked, done <-chan struct{}) { <-done }},
	{name: "2,000 connections send a header, a byte a second", asked: true, run: slowHeaders},
	{name: "64 connections log in with wrong passwords", asked: true, run: wrongPasswords},
}

// askCallers makes the files of a program that asks callers who they are: a password, by bcrypt,
// and a key that may produce.
func askCallers(t *testing.T) (key string, settings []string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	key, entry, err := auth.NewKey("honest", nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, file := range map[string]struct{ setting, text string }{
		"passwords": {"authentication.passwords.file", "admin: " + string(hash) + "\n"},
		"keys":      {"authentication.keys.file", entry},
		"rules":     {"authorization.rules.file", "rules:\n  - {who: [key:honest, user:admin], allow: [produce], topics: [honest]}\n"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(file.text), 0o600); err != nil {
			t.Fatal(err)
		}
		settings = append(settings, "--set="+file.setting+"="+path)
	}
	return key, settings
}

func slowHeaders(a *attacked, done <-chan struct{}) {
	a.each(2000, done, func(c net.Conn) error {
		if _, err := io.WriteString(c, "POST /topics/honest HTTP/1.1\r\nHost: h\r\nX-Slow: "); err != nil {
			return err
		}
		for every := time.NewTicker(time.Second); ; {
			select {
			case <-every.C:
				if _, err := c.Write([]byte{'x'}); err != nil {
					return err
				}
			case <-done:
				return nil
			}
		}
	})
}

// wrongPasswords tries a password of its own in each request, as fast as answers come.
func wrongPasswords(a *attacked, done <-chan struct{}) {
	a.each(64, done, func(c net.Conn) error {
		in := bufio.NewReader(c)
		for {
			req, err := http.NewRequest("POST", "http://h/topics/honest", nil)
			if err != nil {
				return err
			}
			req.SetBasicAuth("admin", fmt.Sprint("wrong", rand.Int64()))
			if err := req.Write(c); err != nil {
				return err
			}
			resp, err := http.ReadResponse(in, req)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err != nil {
				return err
			}
			a.refusals.Add(1)
		}
	})
}
