package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/testkit"
	v3api "millrace/server/v3"
)

// recorded is one answer of the Confluent proxy.
type recorded struct {
	name, method, path, body string
	status                   int
	location                 string
	answer                   string
}

// readRecorded parses a file of recorded answers.
func readRecorded(t *testing.T, file string, replace *strings.Replacer) (all []recorded) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		head, answer, _ := strings.Cut(section, "\n-> ")
		lines := strings.SplitN(replace.Replace(head), "\n", 3)
		r := recorded{name: lines[0]}
		r.method, r.path, _ = strings.Cut(lines[1], " ")
		if len(lines) > 2 {
			r.body = lines[2]
		}
		status, rest, _ := strings.Cut(answer, "\n")
		code, _, _ := strings.Cut(status, " ")
		if r.status, err = strconv.Atoi(code); err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		rest = replace.Replace(rest)
		if after, ok := strings.CutPrefix(rest, "Location: "); ok {
			r.location, rest, _ = strings.Cut(after, "\n")
		}
		r.answer = strings.TrimSpace(rest)
		all = append(all, r)
	}
	return all
}

// play sends a recorded request and compares the answers member by member: their objects, one a
// line where there are many. It returns the answer.
func (r *recorded) play(t *testing.T, base string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != r.status || resp.Header.Get("Location") != r.location {
		t.Errorf("%s: %s, Location %q, want %d, %q: %s", r.name, resp.Status, resp.Header.Get("Location"), r.status, r.location, got)
		return ""
	}
	if r.answer == "" {
		if len(got) > 0 {
			t.Errorf("%s: answered %s, want nothing", r.name, got)
		}
		return ""
	}
	if media := resp.Header.Get("Content-Type"); media != "application/json" {
		t.Errorf("%s: Content-Type %s", r.name, media)
	}
	for _, differs := range compareJSON("", decodeObjects(t, r.answer), decodeObjects(t, string(got)), false) {
		t.Errorf("%s: %s\n%s", r.name, differs, got)
	}
	return string(got)
}

// decodeObjects decodes JSON values that follow each other.
func decodeObjects(t *testing.T, text string) (all []any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		var v any
		switch err := d.Decode(&v); {
		case err == io.EOF:
			return all
		case err != nil:
			t.Fatalf("%v: %s", err, text)
		}
		all = append(all, v)
	}
}

// ofCluster are members whose values are those of the cluster, or of the time: only their kinds are
// compared.
var ofCluster = []string{
	"host", "port", "rack", "source", "synonyms", "message", "client_id", "max_lag_client_id",
	"partition_id", "offset", "timestamp", "schema_id",
}

// loose reports whether only the kind of a member is compared. That of a setting has no members.
func loose(name string, want any) bool {
	_, object := want.(map[string]any)
	return slices.Contains(ofCluster, name) || name == "value" && !object
}

// compareJSON lists where two values differ. Of two alike things of different names, kinds only
// compares the names and kinds of members. "…" in a list stands for further elements.
func compareJSON(at string, want, got any, kindsOnly bool) (differences []string) {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v, want an object", at, got)}
		}
		has, wants := slices.Sorted(maps.Keys(object)), slices.Sorted(maps.Keys(want))
		if !slices.Equal(has, wants) {
			return []string{fmt.Sprintf("%s has members %v, want %v", at, has, wants)}
		}
		for _, name := range wants {
			differences = append(differences, compareJSON(at+"/"+name, want[name], object[name], kindsOnly || loose(name, want[name]))...)
		}
		return differences
	case []any:
		list, ok := got.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v, want a list", at, got)}
		}
		if n := len(want) - 1; n >= 0 && want[n] == "…" {
			want, kindsOnly = want[:n], true
			list = list[:min(n, len(list))]
		}
		if len(list) != len(want) && !kindsOnly {
			return []string{fmt.Sprintf("%s has %d elements, want %d", at, len(list), len(want))}
		}
		for i := range min(len(want), len(list)) {
			differences = append(differences, compareJSON(fmt.Sprint(at, "/", i), want[i], list[i], kindsOnly)...)
		}
		return differences
	}
	if kindsOnly {
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) && want != nil && got != nil {
			return []string{fmt.Sprintf("%s is %v, want something like %v", at, got, want)}
		}
		return nil
	}
	if want != got {
		return []string{fmt.Sprintf("%s is %v, want %v", at, got, want)}
	}
	return nil
}

// ofBroker finds the id of the recorded broker.
var ofBroker = regexp.MustCompile(`(brokers/|broker=|replicas/|replica=|"broker_id": )1\b`)

// Answers have the members, kinds and links of recorded ones.
func TestV3AnswersAsRecorded(t *testing.T) {
	t.Parallel()
	testkit.OnBoth(t, func(t *testing.T, b testkit.Broker) {
		s := startV3(t, b, func(o *stackOptions) { o.rest.Strict = true })
		topics := testkit.Topic(t)
		for topic, partitions := range map[string]int{"tv3": 3, "nt2": 1, "tjson": 1} {
			s.call(t, "POST", "/topics", fmt.Sprintf(`{"topic_name":"%s%s","partitions_count":%d}`, topics, topic, partitions)).want(t, 201, "")
		}
		s.call(t, "PUT", "/broker-configs/min.insync.replicas", `{"value":1}`).want(t, 204, "")
		group := testkit.Group(t)
		member := s.caughtUp(t, group, topics+"tjson", 14)
		own := strings.NewReplacer("http://HOST", s.base, "CLUSTER", s.id, "consumer-gv3-22-e074ed1c-0a0b-4d49-834c-28ce86965221", member,
			"tv3", topics+"tv3", "nt1", topics+"nt1", "nt2", topics+"nt2", "nt5", topics+"nt5", "tjson", topics+"tjson", "gv3", group,
			"/reassignments", "/reassignment") // the recorded link leads nowhere
		for _, r := range readRecorded(t, "testdata/v3-recorded.txt", own) {
			if b.Name == "kfake" && slices.Contains(notOfKfake, r.name) {
				continue
			}
			r.path = ofBroker.ReplaceAllString(r.path, fmt.Sprint("${1}", s.broker))
			r.answer = ofBroker.ReplaceAllString(r.answer, fmt.Sprint("${1}", s.broker))
			r.play(t, s.base)
		}
	})
}

// Results of records have the members of recorded ones, in streams and in batches.
func TestV3RecordsAsRecorded(t *testing.T) {
	t.Parallel()
	onBothRegistries(t, func(t *testing.T, b testkit.Broker, url string) {
		s := startV3(t, b, withRegistry(t, url), func(o *stackOptions) { o.produce = v3api.ProduceSettings{MaxEntries: 10} })
		prefix := testkit.Topic(t)
		replace := []string{"CLUSTER", s.id, "User", "User" + strings.ReplaceAll(prefix, "-", "")}
		for topic, partitions := range map[string]int32{"tv3": 3, "autov3": 1, "tav3": 1, "tjs3": 1, "tpb3": 1} {
			if _, err := s.admin.CreateTopic(t.Context(), partitions, 1, nil, prefix+topic); err != nil {
				t.Fatal(err)
			}
			replace = append(replace, topic, prefix+topic)
		}
		id := ""
		for _, r := range readRecorded(t, "testdata/v3-recorded-records.txt", strings.NewReplacer(replace...)) {
			r.body = strings.Replace(r.body, `"schema_id":1`, `"schema_id":`+id, 1)
			got := r.play(t, s.base)
			if of := ofSchema.FindStringSubmatch(got); of != nil && id == "" {
				id = of[1]
			}
		}
	})
}

// ofSchema finds the id of a schema.
var ofSchema = regexp.MustCompile(`"schema_id":([0-9]+)`)

// notOfKfake are answers that kfake gives otherwise: it has an authorizer, takes any value of a
// setting, and has other settings.
var notOfKfake = []string{"acls", "topic config put bad value", "broker configs one", "cluster configs"}

// caughtUp has a consumer of a group read n records that are written to the topic, and commit. It
// returns the id of the member, which stays in the group until t ends.
func (s *v3) caughtUp(t *testing.T, group, topic string, n int) string {
	t.Helper()
	consumer := testkit.Client(t, s.stack.broker, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for range n {
		if err := consumer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("1")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for read := 0; read < n; {
		fetches := consumer.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		read += fetches.NumRecords()
	}
	if err := consumer.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	member, _ := consumer.GroupMetadata()
	return member
}
