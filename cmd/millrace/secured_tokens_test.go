package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/testkit"
)

// startTokens starts a real Kafka that takes the tokens of an issuer (OAUTHBEARER), whose clients
// have the names and secrets of passwords. Nodes log in to it by the client credentials.
func startTokens(t *testing.T) (*two, *testkit.Secured, *testkit.Issuer) {
	t.Helper()
	issuer := testkit.StartIssuer(t, passwords)
	k, s := startTwo(t, testkit.SecuredOptions{Issuer: issuer})
	k.properties = func(user string) []string {
		return []string{
			"bootstrap.servers=SASL_SSL://" + s.ClientAddr,
			"client.sasl.mechanism=OAUTHBEARER",
			"client.sasl.oauthbearer.token.endpoint.url=" + issuer.TokenURL(),
			fmt.Sprintf("client.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=%q clientSecret=%q scope=\"kafka\";", user, passwords[user]),
			"client.ssl.truststore.type=PEM",
			"client.ssl.truststore.location=" + s.File,
		}
	}
	return k, s, issuer
}

// bearer returns an asker that shows a token of the issuer.
func bearer(t *testing.T, url string, i *testkit.Issuer, subject string, life time.Duration) asker {
	t.Helper()
	token, err := i.Token(subject, life, map[string]any{"scope": "kafka"})
	if err != nil {
		t.Fatal(err)
	}
	return asker{t: t, url: url, headers: []string{"Authorization: Bearer " + token}}
}

// A node gets tokens by its client credentials, and a new one before the last ends; Kafka's access
// control lists hold for the subject of the tokens. A secret that the issuer does not take is named
// by /readyz.
func TestSecuredNodeLogsInByTokens(t *testing.T) {
	needSecured(t)
	k, _, issuer := startTokens(t)
	const life = 6 * time.Second // Kafka ends the connection with its token
	issuer.SetLife(life)
	for user, other := range map[string]string{"alice": "bob", "bob": "alice"} {
		p, url := k.start(t, user)
		a := asker{t: t, url: url}
		k.canOnly(a, user, other)
		granted, end := issuer.Granted(), time.Now().Add(2*life)
		testkit.Eventually(t, time.Minute, "several tokens", func() bool {
			a.want("POST", "/topics/"+k.topics[user], `{"records":[{"value":"on"}]}`, 200, `"offset"`)
			return time.Now().After(end) && issuer.Granted() > granted+1
		})
		if strings.Contains(p.Output(), passwords[user]) {
			t.Errorf("the log shows the secret of %s", user)
		}
	}
	line := strings.ReplaceAll(strings.Join(k.properties("alice"), "\n"), passwords["alice"], "wrong")
	wrong := *k
	wrong.properties = func(string) []string { return strings.Split(line, "\n") }
	p, url := wrong.start(t, "alice")
	a := asker{t: t, url: url}
	testkit.Eventually(t, time.Minute, "the reason", func() bool {
		status, text := a.ask("GET", "/readyz", "")
		return status == 503 && strings.Contains(text, "token endpoint of Kafka refuses the credentials")
	})
	a.want("POST", "/topics/"+k.topics["alice"], `{"records":[{"value":1}]}`, 401, "refuses the credentials")
	if !strings.Contains(p.Output(), "401 invalid_client") {
		t.Error("the log does not have the endpoint's answer")
	}
}

// The token of a caller reaches Kafka, whose access control lists hold for its subject: to
// produce, to consume, to administer and in what is listed. The rights of the node, which has all,
// never take their place.
func TestSecuredCallersTokens(t *testing.T) {
	needSecured(t)
	k, s, issuer := startTokens(t)
	stranger := testkit.StartIssuer(t, nil)
	stranger.URL = issuer.URL // whose key it does not have
	p, url := k.start(t, "node", "authentication.kafka.tokens=true", "authentication.jwt.keys="+issuer.KeysURL(),
		"authentication.jwt.issuer="+issuer.URL, "authentication.jwt.audience="+issuer.Audience, "authentication.jwt.skew.ms=0")
	record := `{"records":[{"value":1}]}`
	asker{t: t, url: url}.want("GET", "/topics", "", 401, "40101")
	bearer(t, url, stranger, "alice", time.Hour).want("POST", "/topics/"+k.topics["alice"], record, 401, "40101")
	bearer(t, url, issuer, "alice", -time.Second).want("POST", "/topics/"+k.topics["alice"], record, 401, "40101")
	nobody := bearer(t, url, issuer, "nobody", time.Hour)
	nobody.want("POST", "/topics/"+k.topics["alice"], record, 403, "40301")
	if list := nobody.want("GET", "/topics", "", 200, ""); strings.Contains(list, k.topics["alice"]) {
		t.Errorf("a caller without any right sees %s", list)
	}
	callers := map[string]asker{}
	for user, other := range map[string]string{"alice": "bob", "bob": "alice"} {
		callers[user] = bearer(t, url, issuer, user, time.Hour)
		k.canOnly(callers[user], user, other)
	}
	k.sharesNoBatch(t, s, callers)
	k.endsWithItsToken(t, callers["bob"], issuer)
	log := p.Output()
	for _, a := range callers {
		if token := strings.TrimPrefix(a.headers[0], "Authorization: Bearer "); strings.Contains(log, token) || strings.Contains(log, token[strings.LastIndexByte(token, '.'):]) {
			t.Error("the log shows a token")
		}
	}
}

// sharesNoBatch has callers write to one topic at the same time, and fails if one producer has
// written for two of them.
func (k *two) sharesNoBatch(t *testing.T, s *testkit.Secured, callers map[string]asker) {
	t.Helper()
	topic := s.Topic(t)
	var writers sync.WaitGroup
	const each = 20
	for user, a := range callers {
		s.Allow(t, user, []string{topic}, kadm.OpWrite, kadm.OpDescribe)
		for range each {
			writers.Go(func() {
				testkit.Eventually(t, time.Minute, "the right of "+user, func() bool {
					status, _ := a.ask("POST", "/topics/"+topic, `{"records":[{"value":"`+user+`"}]}`)
					return status == 200
				})
			})
		}
	}
	writers.Wait()
	writer := map[int64]string{} // by the id of the producer
	for _, r := range testkit.ReadTopic(t, s.Broker, topic, each*len(callers)) {
		if was := writer[r.ProducerID]; was != "" && was != string(r.Value) {
			t.Errorf("the producer %d has written for %s and for %s", r.ProducerID, was, r.Value)
		}
		writer[r.ProducerID] = string(r.Value)
	}
	if len(writer) != len(callers) {
		t.Errorf("%d producers have written, want %d: %v", len(writer), len(callers), writer)
	}
}

// endsWithItsToken fails unless all that a caller has ends with its token: its stream, its
// connections to Kafka, and its requests. The other caller counts the logins.
func (k *two) endsWithItsToken(t *testing.T, other asker, issuer *testkit.Issuer) {
	t.Helper()
	a := bearer(t, other.url, issuer, "alice", 8*time.Second)
	before := other.logins()
	topic := "/topics/" + k.topics["alice"]
	a.want("POST", topic, `{"records":[{"value":"before its end"}]}`, 200, `"offset"`)
	if got := other.logins(); got != before+1 {
		t.Errorf("%d logins with the new token, want %d", got, before+1)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", a.url+topic+"/partitions/0/stream?from=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", strings.TrimPrefix(a.headers[0], "Authorization: "))
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	defer resp.Body.Close()
	ended := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(resp.Body)
		ended <- string(text)
	}()
	select {
	case text := <-ended:
		if !strings.Contains(text, "before its end") {
			t.Errorf("the stream brought %q", text)
		}
	case <-time.After(30 * time.Second):
		t.Error("the stream goes on after the end of its token")
	}
	a.want("POST", topic, `{"records":[{"value":"after its end"}]}`, 401, "40101")
	testkit.Eventually(t, 20*time.Second, "the connections of the token to be closed", func() bool { return other.logins() == before })
}

// logins returns how many callers have connections to Kafka.
func (a asker) logins() (n int) {
	a.t.Helper()
	_, text := a.ask("GET", "/metrics", "")
	_, rest, ok := strings.Cut(text, "\nmillrace_kafka_logins ")
	if _, err := fmt.Sscan(rest, &n); !ok || err != nil {
		a.t.Fatalf("no millrace_kafka_logins in %.200s", text)
	}
	return n
}
