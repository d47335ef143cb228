package testkit

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// echo answers what the tests below ask for: the request as text, or oddities.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Add("Twice", "a")
	w.Header().Add("Twice", "b")
	switch r.URL.Path {
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/lines":
		fmt.Fprint(w, "one\r\ntwo\n")
	case "/made":
		fmt.Fprintf(w, `{"id":"x-17","uri":"http://%s/made/x-17"}`, r.Host)
	default:
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %v", r.Method, r.RequestURI, body, r.Header["Odd"])
	}
}

func play(t *testing.T, text string) error {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(echo))
	defer srv.Close()
	return playExchanges("golden.txt", text, srv.URL, map[string]string{"topic": "t1"})
}

func TestExchangesThatAgree(t *testing.T) {
	err := play(t, `# Variables in target and body, a header twice in the request.
> POST /echo/${topic}
> Odd: 1
> Odd: ${topic}
>
> {"a":
>  "${topic}"}
< 200
< Content-Type: text/plain
< Twice: a
< Twice: b
< !Retry-After
<
< POST /echo/t1 {"a":
<  "t1"} [1 t1]

# A capture that is used again within its own answer, and then in the next request.
> GET /made
< 200
<
< {"id":"${id:*}","uri":"${base}/made/${id}"}

> DELETE /echo/${id}
< 200
<
< DELETE /echo/x-17  []

# HEAD has no body, 204 neither; a regexp; any body; a body that ends in a newline.
> HEAD /echo
< 200
> GET /none
< 204
> GET /echo?a=12
< 200
<
< GET /echo?a=${:\d+}  []
> GET /echo
< 200
<
< ...
> GET /lines
< 200
<
< one${cr}
< two
<

# Chunks, and a connection that the server closes.
> POST /echo
> Transfer-Encoding: chunked
> Connection: close
>
> one
> two
< 200
< Connection: close
<
< POST /echo one
< two
<  []
> GET /echo
< 200
< !Connection
<
< ...
`)
	if err != nil {
		t.Fatal(err)
	}
}

func TestExchangesThatDiffer(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"status":           {"> GET /none\n< 200\n", "golden.txt:2: GET /none: want status 200, have 204"},
		"body":             {"> GET /echo\n< 200\n<\n< GET /echa\n", "golden.txt:4: body differs from byte 8 on:"},
		"body missing":     {"> GET /echo\n< 200\n", "golden.txt:2: body differs from byte 0 on:"},
		"body too long":    {"> GET /echo\n< 200\n<\n< GET /echo\n", "golden.txt:4: body differs from byte 9 on:"},
		"after a wildcard": {"> GET /made\n< 200\n<\n< {\"id\":\"${id:*}\",\"url\"", "golden.txt:4: body differs from byte 16 on:"},
		"capture differs":  {"> GET /made\n< 200\n<\n< {\"id\":\"${id:..}${:*}\",\"uri\":\"${base}/made/${id}\"}", "golden.txt:4: body differs from byte"},
		"header value":     {"> GET /none\n< 204\n< Content-Type: text/html\n", "golden.txt:3: header Content-Type differs from byte 5 on:"},
		"header once":      {"> GET /none\n< 204\n< Twice: a\n", `golden.txt:3: want 1 of header Twice, have ["a" "b"]`},
		"header absent":    {"> GET /none\n< 204\n< !twice\n", `golden.txt:3: want no header Twice, have ["a" "b"]`},
		"no such variable": {"> GET /${nope}\n< 204\n", "golden.txt:1: ${nope} has no value here"},
		"no answer":        {"# x\n> GET /none\n", "golden.txt:2: the file ends without an answer"},
		"no request":       {"< 200\n", "golden.txt:1: an answer without a request"},
		"neither":          {"GET /none\n", "golden.txt:1: want a line that begins with"},
		"bad wildcard":     {"> GET /echo\n< 200\n<\n< ${a:(}\n", "golden.txt:4: body: bad wildcard"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := play(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("want an error with %q, have %v", c.want, err)
			}
		})
	}
}

func TestExchangesSeeBytesAfterTheAnswer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, out, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = out.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_ = out.Flush()
		_ = conn.Close()
	}))
	defer srv.Close()
	// A HEAD that is answered with a body leaves bytes behind.
	err := playExchanges("golden.txt", "> HEAD /\n< 200\n", srv.URL, nil)
	if err == nil || !strings.Contains(err.Error(), "2 bytes came after") {
		t.Fatalf("want an error about 2 bytes, have %v", err)
	}
}
