//go:build !race

package api_test

import (
	"strings"
	"testing"

	"millrace/codec"
	"millrace/internal/testkit"
	"millrace/server"
	"millrace/server/intake"
	"millrace/server/ops"
)

// TestLargeBodiesOfEveryMember sends each member of each body that is not records
// once as long as it may be and once longer, and each name as long as a body.
func TestLargeBodiesOfEveryMember(t *testing.T) {
	s := start(t, testkit.Fake(t).Broker, func(o *stackOptions) {
		o.adminOn, o.admin = true, ops.Config{
			Settings: func() []ops.Setting { return nil },
			Change:   func(map[string]string) error { return nil },
		}
	})
	s.do(t, "POST", "/consumers/g", `{"name":"i"}`, plainV2).want(t, 200, "")
	for r := range everything().Routes() {
		if r.Body == nil {
			continue
		}
		route, method, path := r.Method+" "+r.Path, r.Method, r.Path
		path = strings.NewReplacer("{group}", "g", "{instance}", "i", "{cluster_id}", "kfake", "{topic}", "t", "{partition}", "0", "{broker_id}", "0").Replace(path)
		media, v3 := plainV2, strings.HasPrefix(path, "/v3/")
		if v3 {
			media = jsonBody
		}
		for _, m := range r.Body {
			t.Run(route+" "+m.Name, func(t *testing.T) {
				for _, within := range atBound(m) {
					if r := s.do(t, method, path, within.body, media); strings.Contains(r.body, "too long") {
						t.Errorf("%s is refused at its bound: %s", within.name, r.body)
					}
				}
				for _, beyond := range beyondBound(m) {
					r := s.do(t, method, path, beyond.body, media)
					if v3 && r.status >= 400 && r.status < 500 && len(r.body) <= 1<<10 {
						continue // a number, a body or a name of another kind: refused in other words
					}
					r.want(t, 422, "too long")
					if !strings.Contains(r.body, beyond.name) || len(r.body) > 1<<10 {
						t.Errorf("%s too long: the refusal does not name it shortly: %.2000s", beyond.name, r.body)
					}
				}
			})
		}
		t.Run(route+" any", func(t *testing.T) {
			r := s.do(t, method, path, `{"`+strings.Repeat("x", 15<<20)+`":1}`, media)
			if v3 {
				if r.status < 400 || r.status >= 500 || len(r.body) > 1<<10 {
					t.Errorf("%d %.2000s", r.status, r.body)
				}
				return
			}
			r.want(t, 422, "too long")
		})
	}
	for line := range strings.SplitSeq(s.log.String(), "\n") {
		if len(line) > 4<<10 {
			t.Errorf("a log line has %d bytes: %.200s", len(line), line)
		}
	}
}

// atBound are bodies with the member as large as it may be.
func atBound(m server.Field) []oversized { return sized(m, 0) }

// beyondBound are bodies with the member larger than it may be: by one, and by
// very much.
func beyondBound(m server.Field) []oversized { return append(sized(m, 1), sized(m, 256<<10)...) }

// TestLargeBodiesOfRecords has records with more headers, and longer keys of them, than
// they may have.
func TestLargeBodiesOfRecords(t *testing.T) {
	s := start(t, testkit.Fake(t).Broker)
	headers := func(n, key int) string {
		header := `{"key":"` + strings.Repeat("h", key) + `","value":"aGk="}`
		return `{"records":[{"value":1,"headers":[` + strings.Repeat(header+",", n-1) + header + `]}]}`
	}
	for _, path := range []string{"/topics/t", "/topics/t/partitions/0"} {
		s.do(t, "POST", path, headers(codec.MaxHeaders, 1), jsonV2).want(t, 200, "")
		s.do(t, "POST", path, headers(codec.MaxHeaders+1, 1), jsonV2).want(t, 422, "1000 headers")
		s.do(t, "POST", path, headers(1_000_000, 1), jsonV2).want(t, 422, "1000 headers")
		s.do(t, "POST", path, headers(1, codec.MaxHeaderKey), jsonV2).want(t, 200, "")
		s.do(t, "POST", path, headers(1, codec.MaxHeaderKey+1), jsonV2).want(t, 422, "4096 bytes")
		long := strings.Repeat("x", 4<<20)
		for _, body := range []string{`{"` + long + `":1}`, `{"records":[{"` + long + `":1}]}`, `{"records":[{"value":1,"headers":[{"` + long + `":1}]}]}`} {
			if r := s.do(t, "POST", path, body, jsonV2).want(t, 422, ""); len(r.body) > 1<<10 {
				t.Errorf("the refusal has %d bytes", len(r.body))
			}
		}
	}
}

// The decompressed bodies of all requests together are bounded by the default, too.
func TestLargeBodiesCompressedAtOnce(t *testing.T) { manyCompressedBodies(t, intake.DefaultMemory) }
