package apierr

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A response of Kafka that cannot be read is Kafka's error, not a defect of this program.
func TestUnreadableResponse(t *testing.T) {
	for _, err := range []error{kbin.ErrNotEnoughData, new(kmsg.ApiVersionsResponse).ReadFrom([]byte{0})} {
		if got := From(fmt.Errorf("cannot take part in the group: %w", err)); got.Kind != KafkaError {
			t.Error(got)
		}
	}
}

func TestKinds(t *testing.T) {
	names := map[string]bool{}
	for _, k := range Kinds() {
		if names[k.Name] {
			t.Errorf("two rows are called %q", k.Name)
		}
		names[k.Name] = true
		if k.Name == "" || strings.ToLower(k.Name) != k.Name || strings.ContainsAny(k.Name, " -") {
			t.Errorf("row %q has no plain name", k.Name)
		}
		if k.Status < 400 || http.StatusText(k.Status) == "" {
			t.Errorf("%s: %d is not the status of an error", k.Name, k.Status)
		}
		// The peer's own code for a consumer setting stands apart.
		if k.Code != k.Status && k.Code/100 != k.Status && k != SettingOutOfRange {
			t.Errorf("%s: error_code %d does not belong to status %d", k.Name, k.Code, k.Status)
		}
		if !strings.HasSuffix(k.Message, ".") {
			t.Errorf("%s: message %q is not a sentence", k.Name, k.Message)
		}
		if k.Retry != (k.RetryAfter != 0) || k.RetryAfter < 0 || k.RetryAfter%time.Second != 0 {
			t.Errorf("%s: Retry-After of %v, and a retry can help: %v", k.Name, k.RetryAfter, k.Retry)
		}
		if (k.Status == http.StatusServiceUnavailable || k.Status == http.StatusTooManyRequests) && k.RetryAfter == 0 {
			t.Errorf("%s: status %d without Retry-After", k.Name, k.Status)
		}
	}
}

// TestKindsIsComplete reads the source: a row that is declared and not listed
// would be missing from the documentation and from the tests above.
func TestKindsIsComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "table.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok {
			if typ, ok := lit.Type.(*ast.Ident); ok && typ.Name == "Kind" {
				rows++
			}
		}
		return true
	})
	if listed := len(Kinds()); rows != listed || rows == 0 {
		t.Errorf("table.go declares %d rows, Kinds lists %d", rows, listed)
	}
}

// notRepeatable are the codes that Kafka calls retriable and that we do not:
// its clients retry them against fresh metadata, and by the time one reaches
// us that has been tried.
var notRepeatable = []*kerr.Error{kerr.UnknownTopicOrPartition, kerr.UnknownTopicID}

// repeatable are the codes that Kafka calls fatal for the one request; the
// next one, which the client makes after the rebalance, or which another broker
// answers, succeeds.
var repeatable = []*kerr.Error{kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.UnknownServerError}

// TestKafkaCodes walks every code that the client library knows.
func TestKafkaCodes(t *testing.T) {
	kinds, known := Kinds(), 0
	for n := math.MinInt16; n <= math.MaxInt16; n++ {
		code := kerr.TypedErrorForCode(int16(n))
		if code == nil || int(code.Code) != n {
			continue // no error, or not a code of Kafka's
		}
		known++
		got := From(fmt.Errorf("wrapped: %w", code))
		if !slices.Contains(kinds, got.Kind) {
			t.Errorf("%s maps to %v, which is not in the table", code.Message, got.Kind)
			continue
		}
		if got.Kind == Internal {
			t.Errorf("%s maps to a defect of ours", code.Message)
		}
		want := code.Retriable
		if slices.Contains(notRepeatable, code) {
			want = false
		}
		if slices.Contains(repeatable, code) {
			want = true
		}
		if got.Kind.Retry != want {
			t.Errorf("%s maps to %s: repeat is %v, want %v", code.Message, got.Kind.Name, got.Kind.Retry, want)
		}
		if got.Detail == "" || !errors.Is(got, code) {
			t.Errorf("%s maps to %#v, without its text or its cause", code.Message, got)
		}
	}
	if known < 120 {
		t.Errorf("only %d codes were walked", known)
	}
}

func TestFrom(t *testing.T) {
	own := PartitionNotFound.New("no %d", 7)
	f := func(err error, want *Kind) {
		t.Helper()
		got := From(err)
		if got.Kind != want {
			t.Errorf("%v maps to %s, want %s", err, got.Kind.Name, want.Name)
		}
		if !errors.Is(got, err) && !errors.Is(err, got) {
			t.Errorf("%v is lost as the cause", err)
		}
	}
	f(own, PartitionNotFound)
	f(fmt.Errorf("cannot do it: %w", own), PartitionNotFound)
	f(kerr.UnknownTopicOrPartition, TopicNotFound)
	f(kerr.TopicAuthorizationFailed, Unauthorized)
	f(kerr.SaslAuthenticationFailed, Unauthenticated)
	f(kerr.MessageTooLarge, BodyTooLarge)
	f(kerr.CorruptMessage, KafkaRetriable)
	f(kerr.InvalidRecord, KafkaError)
	f(kerr.NotLeaderForPartition, KafkaRetriable)
	f(kerr.InvalidTopicException, KafkaInvalid)
	f(kgo.ErrRecordTimeout, WriteUnknown)
	f(fmt.Errorf("%w, last err: %w", kgo.ErrRecordTimeout, errors.New("x")), WriteUnknown)
	f(kgo.ErrRecordRetries, WriteUnknown)
	f(kgo.ErrMaxBuffered, Overloaded)
	f(kgo.ErrClientClosed, Interrupted)
	f(context.Canceled, Interrupted)
	f(context.DeadlineExceeded, KafkaTimedOut)
	f(&net.OpError{Op: "dial", Err: errors.New("refused")}, BrokersAway)
	f(errors.New("something"), Internal)
	if From(nil) != nil {
		t.Error("no error maps to one")
	}
	if From(errors.New("secret")).Message() != Internal.Message {
		t.Error("the text of an unknown error is shown to the client")
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("broker said no")
	e := KafkaError.Wrap(cause, "Record %d failed.", 3)
	if e.Message() != "Record 3 failed." || e.Error() != "kafka_error: Record 3 failed.: broker said no" {
		t.Errorf("message %q, error %q", e.Message(), e.Error())
	}
	if e := Draining.Err(); e.Message() != Draining.Message || e.Error() != "draining: "+Draining.Message || e.Unwrap() != nil {
		t.Errorf("message %q, error %q", e.Message(), e.Error())
	}
	if !KafkaError.Is(fmt.Errorf("x: %w", e)) || Draining.Is(e) || Draining.Is(nil) {
		t.Error("Is does not tell kinds apart")
	}
}

// FuzzDetail checks that a message has a client's text up to maxQuoted bytes, and the kind's own
// where there is none.
func FuzzDetail(f *testing.F) {
	for _, s := range []string{"", "plain", "é – 世界 🚀", "\xff\xfe half \xe4\xb8", strings.Repeat("é", maxQuoted)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := cut(s, maxQuoted)
		if s == "" {
			want = BadRequest.Message
		}
		if got := BadRequest.New("%s", s).Message(); got != want {
			t.Fatalf("%q is shown as %q, want %q", s, got, want)
		}
	})
}

// Every error on the dashboard comes with advice.
func TestEveryKindHasAdvice(t *testing.T) {
	for _, k := range Kinds() {
		if k.Advice() == "" {
			t.Errorf("%s has no advice", k.Name)
		}
	}
	if len(advice) != len(Kinds()) {
		t.Errorf("%d rows of advice for %d kinds", len(advice), len(Kinds()))
	}
}
