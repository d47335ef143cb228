package config

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const oauthLogin = `client.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId="me" clientSecret="hunter2" scope="kafka" extension_logicalCluster="lkc-1";`

// OAUTHBEARER asks the token endpoint once for many connections, and tells no secret when that
// fails.
func TestTokensForKafka(t *testing.T) {
	var asked atomic.Int32
	var answer atomic.Pointer[string]
	good := `{"access_token":"tok-1","token_type":"Bearer","expires_in":3600}`
	answer.Store(&good)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		id, secret, _ := r.BasicAuth()
		form, _ := io.ReadAll(r.Body)
		if string(form) != "grant_type=client_credentials&scope=kafka" || id != "me" || secret != "hunter2" {
			w.WriteHeader(401)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		text := *answer.Load()
		if text != good {
			w.WriteHeader(400)
		}
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(endpoint.Close)
	set := []string{"client.security.protocol=SASL_PLAINTEXT", "client.sasl.mechanism=OAUTHBEARER", oauthLogin, "client.sasl.oauthbearer.token.endpoint.url=" + endpoint.URL}
	c := load(t, set...)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, first, err := c.KafkaProduce.SASL.Authenticate(context.Background(), "")
			if err != nil || string(first) != "n,,\x01auth=Bearer tok-1\x01logicalCluster=lkc-1\x01\x01" {
				t.Errorf("got %q, %v", first, err)
			}
		})
	}
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("20 connections asked for %d tokens", n)
	}
	bad := `{"error":"invalid_client","error_description":"not hunter2"}`
	answer.Store(&bad)
	_, _, err := load(t, set...).Kafka.SASL.Authenticate(context.Background(), "")
	if err == nil || !strings.Contains(err.Error(), "400 invalid_client") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a refusal: %v", err)
	}
}

// A token in a file is read for each connection.
func TestTokenOfAFile(t *testing.T) {
	file := writeFile(t, t.TempDir(), "token", "first\n")
	login := `client.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;`
	set := []string{"client.security.protocol=SASL_PLAINTEXT", "client.sasl.mechanism=OAUTHBEARER", login}
	c := load(t, append(set, "client.sasl.oauthbearer.token.endpoint.url=file://"+file)...)
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, first, err := c.Kafka.SASL.Authenticate(context.Background(), ""); err != nil || string(first) != "n,,\x01auth=Bearer "+want+"\x01\x01" {
			t.Errorf("got %q, %v", first, err)
		}
	}
	for _, f := range []struct{ url, want string }{
		{"", "token.endpoint.url: is missing"},
		{"client.sasl.oauthbearer.token.endpoint.url=https://u:hunter2@h/", "holds a user"},
		{"client.sasl.oauthbearer.token.endpoint.url=ftp://h/", "is not such a URL"},
		{"client.sasl.oauthbearer.token.endpoint.url=u:hunter2@h/", "is not such a URL"},
		{"client.sasl.oauthbearer.token.endpoint.url=https://h/", "has no clientId"},
	} {
		given := set
		if f.url != "" {
			given = append(given, f.url)
		}
		if got := loadFault(t, given...); !strings.Contains(got, f.want) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", f.url, got)
		}
	}
}

// A URL whose http:// was left out is one without a user, and has a password all the same.
func TestPasswordInATornURL(t *testing.T) {
	if got := loadFault(t, "tracing.otlp.endpoint=u:hunter2@h:4318"); !strings.Contains(got, "is not such a URL") || strings.Contains(got, "hunter2") {
		t.Error(got)
	}
}

// AWS_MSK_IAM signs with the keys of the environment, and sends none of them.
func TestIAMSettings(t *testing.T) {
	set := []string{"client.security.protocol=SASL_SSL", "client.sasl.mechanism=AWS_MSK_IAM", `client.sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required;`}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if got := loadFault(t, set...); !strings.Contains(got, "AWS_ACCESS_KEY_ID") {
		t.Error(got)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
	c := load(t, set...)
	_, first, err := c.Kafka.SASL.Authenticate(context.Background(), "b-1.kafka.eu-west-1.amazonaws.com:9098")
	if err != nil || !strings.Contains(string(first), "AKIDEXAMPLE/") || !strings.Contains(string(first), "eu-west-1/kafka-cluster") || strings.Contains(string(first), "hunter2") {
		t.Errorf("got %q, %v", first, err)
	}
	set[2] = `client.sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required awsProfileName="x";`
	if got := loadFault(t, set...); !strings.Contains(got, "awsProfileName") {
		t.Error(got)
	}
}
