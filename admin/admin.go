package admin

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// Settings of [Admin].
type Settings struct {
	// Timeout bounds one request of a client, with all requests to the brokers that it takes.
	Timeout time.Duration
	// Reserved are topics that nobody may describe or change.
	Reserved kafka.Reserved
}

// DefaultTimeout is for a zero Settings.Timeout. Kafka itself may take 15 s for some changes, but
// the controller answers within milliseconds unless it is in trouble.
const DefaultTimeout = 15 * time.Second

// Deps are the parts that [Admin] uses. It borrows them.
type Deps struct {
	// Changed is called after each change of topics, partitions or replicas; nil: never.
	Changed func()
}

// Admin describes and changes the Kafka cluster. Make one with [New].
type Admin struct {
	kadm     *kadm.Client
	brokers  kafka.Prompt // for requests that kadm has not
	settings Settings
	changed  func()
}

// New returns an Admin that uses client, which it borrows.
func New(client *kgo.Client, s Settings, d Deps) *Admin {
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	a := &Admin{kadm: kadm.NewClient(client), brokers: kafka.Prompt{Client: client}, settings: s, changed: d.Changed}
	a.kadm.SetTimeoutMillis(a.timeoutMillis())
	if a.changed == nil {
		a.changed = func() {}
	}
	return a
}

// Timeout returns the bound of one request of a client.
func (a *Admin) Timeout() time.Duration { return a.settings.Timeout }

// timeoutMillis is how long a broker may work on a change before it answers that time is up.
func (a *Admin) timeoutMillis() int32 { return int32(a.settings.Timeout / time.Millisecond) }

// within returns what call returns, or ctx's error as soon as ctx ends: the library may wait
// longer, for a response to an earlier request on the same connection.
func within[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// refused returns the error of a code in a response, in the broker's words if there are any; nil
// for no error.
func refused(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err == nil {
		return nil
	}
	if message == nil {
		return apierr.From(err)
	}
	return apierr.FromKafka(err, *message)
}

// failed returns err for a client. Kadm wraps what happened at several brokers into one error.
func failed(err error) error {
	if err == nil {
		return nil
	}
	var shards *kadm.ShardErrors
	if errors.As(err, &shards) && len(shards.Errs) > 0 {
		err = shards.Errs[0].Err
	}
	return apierr.From(err)
}

// open returns an error if the topic is reserved.
func (a *Admin) open(topic string) error {
	if a.settings.Reserved.Has(topic) {
		return apierr.Reserved(topic)
	}
	return nil
}

// Pauses between looks whether a change can be seen: the controller answers before the other
// brokers have the change.
const (
	firstPause, maxPause = 5 * time.Millisecond, 100 * time.Millisecond
	// settleTime bounds that wait. The change itself is safe by then.
	settleTime = 2 * time.Second
)

// settle waits until a broker shows the change, for settleTime at most: a client that asks next
// should see what it has done. It returns no error, because the change was made.
func (a *Admin) settle(ctx context.Context, seen func(ctx context.Context) bool) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for pause := firstPause; !seen(ctx); pause = min(2*pause, maxPause) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}
