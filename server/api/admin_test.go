package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
	"millrace/server/ops"
)

// settings is what an admin of a test shows and changes.
type settings struct {
	mu     sync.Mutex
	values map[string]string
}

func (s *settings) show() (all []ops.Setting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		all = append(all, ops.Setting{Name: name, Value: s.values[name], Origin: `"here"`, Runtime: name == "a"})
	}
	return all
}

func (s *settings) change(values map[string]string) error {
	if _, ok := values["fixed"]; ok {
		return apierr.Unprocessable.New("fixed cannot change")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.values, values)
	return nil
}

func TestAdminConfig(t *testing.T) {
	t.Parallel()
	held := &settings{values: map[string]string{"a": "1", "b": "two"}}
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
		o.adminOn = true
		o.server.AllowOrigin = "*"
		o.admin = ops.Config{Settings: held.show, Change: held.change}
	})
	const path = "/admin/config"
	first := `{"name":"a","value":"1","origin":"\"here\"","runtime":true},{"name":"b","value":"two","origin":"\"here\"","runtime":false}`
	if got := s.do(t, "GET", path, "").want(t, 200, `{"settings":[`+first+`]}`); got.header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type: %s", got.header.Get("Content-Type"))
	}
	s.do(t, "GET", path+"/", "").want(t, 200, first)
	// Strings, numbers and truth values, whatever Content-Type curl -d sends.
	s.do(t, "PUT", path, `{"a":3, "b":"x\ty", "c":true}`, "Content-Type: application/x-www-form-urlencoded").
		want(t, 200, `{"name":"a","value":"3",`)
	held.mu.Lock()
	if got := fmt.Sprint(held.values); got != "map[a:3 b:x\ty c:true]" {
		t.Errorf("changed to %s", got)
	}
	held.mu.Unlock()

	for body, want := range map[string]struct {
		status int
		text   string
	}{
		``:                     {422, "needs a body"},
		`[]`:                   {400, "must be a JSON object"},
		`{"a":1`:               {400, "not valid JSON"},
		`{"a":null}`:           {422, "a must have a value"},
		`{"a":[1]}`:            {422, "a must be a single value"},
		`{"a":1,"a":2}`:        {422, "a is given twice"},
		`{"a":9,"fixed":"no"}`: {422, "fixed cannot change"},
	} {
		s.do(t, "PUT", path, body).want(t, want.status, want.text)
	}
	s.do(t, "GET", path, "").want(t, 200, `{"name":"a","value":"3",`) // nothing of these was applied
	s.do(t, "POST", path, "{}").want(t, 405, "")

	// CORS lets pages of all origins use the API, but not this.
	s.do(t, "GET", "/topics", "", "Origin: http://elsewhere.example").want(t, 200, "[")
	s.do(t, "GET", path, "", "Origin: http://elsewhere.example").want(t, 403, "other origins")
	s.do(t, "PUT", path, `{"a":4}`, "Origin: http://elsewhere.example").want(t, 403, "other origins")
	s.do(t, "GET", path, "", "Origin: "+s.base).want(t, 200, `{"name":"a","value":"3",`)
}

func TestAdminIsOffByDefault(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	s.do(t, "GET", "/admin/config", "").want(t, 404, "There is nothing at")
	s.do(t, "PUT", "/admin/config", `{"log.level":"debug"}`).want(t, 404, "There is nothing at")
}

func TestRequestLogIsTurnedOnAndOff(t *testing.T) {
	t.Parallel()
	s := start(t, testkit.Fake(t).Broker)
	lines := func() int { return strings.Count(s.log.String(), "msg=request") }
	s.do(t, "GET", "/healthz", "")
	s.server.SetRequestLog(true)
	s.do(t, "GET", "/healthz", "")
	s.server.SetRequestLog(false)
	s.do(t, "GET", "/healthz", "")
	if n := lines(); n != 1 {
		t.Errorf("%d lines for the one request while it was on:\n%s", n, s.log)
	}
}
