package consumer

import (
	"context"
	"slices"
	"testing"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/testkit"
)

// sharing is a group of one instance with auto-commit that has read and confirmed the 10 records
// of each of two partitions, and whose next commit waits until the function is called.
func sharing(t *testing.T) (m *Manager, b testkit.Broker, one *Instance, topic string, proceed func()) {
	t.Helper()
	b = testkit.Fake(t).Broker
	topic = testkit.CreateTopic(t, b, 2)
	produce(t, b, numbers(topic, 0, 0, 10)...)
	produce(t, b, numbers(topic, 1, 0, 10)...)
	m = newManager(t, b, nil) // auto-commit looks once an hour
	o := jsonOptions(m)
	o.AutoCommit = true
	one = create(t, m, testkit.Group(t), o)
	ok(t, one.Subscribe(t.Context(), []string{topic}))
	readN(t, one, 20)
	nothing(t, one) // confirms
	one.commits <- struct{}{}
	return m, b, one, topic, func() { <-one.commits }
}

// deleting begins to delete the instance and waits until its session has ended.
func deleting(t *testing.T, m *Manager, i *Instance) (done chan error) {
	t.Helper()
	over := i.session.over
	done = make(chan error, 1)
	go func() { done <- m.Delete(t.Context(), i.Group(), i.Name()) }()
	<-over
	return done
}

// Confirmed offsets of a partition are committed though the session ends while its revocation
// waits for another commit.
func TestEndDuringARevocation(t *testing.T) {
	t.Parallel()
	m, b, one, topic, proceed := sharing(t)
	two := create(t, m, one.Group(), jsonOptions(m))
	ok(t, two.Subscribe(t.Context(), []string{topic}))
	testkit.Eventually(t, patience, "a partition is revoked", func() bool { return len(assigned(t, one)) == 1 })
	done := deleting(t, m, one)
	proceed()
	ok(t, <-done)
	for _, tp := range partitions(topic, 2) {
		if at := committedRaw(t, b, one.Group(), tp); at != 10 {
			t.Errorf("the group has %d of partition %d, want 10", at, tp.Partition)
		}
	}
}

// A partition goes to another member only after the last commit of a session that ends has it,
// or that commit would undo those of the other member.
func TestRevocationDuringAnEnd(t *testing.T) {
	t.Parallel()
	m, b, one, topic, proceed := sharing(t)
	s := one.session
	done := deleting(t, m, one)
	gone := make(chan struct{})
	go func() {
		s.onRevoked(t.Context(), s.client, map[string][]int32{topic: {0}})
		close(gone)
	}()
	select {
	case <-gone:
		t.Error("the partition is gone before the last commit")
	case <-time.After(100 * time.Millisecond):
	}
	proceed()
	<-gone
	if at := committedRaw(t, b, one.Group(), TopicPartition{Topic: topic, Partition: 0}); at != 10 {
		t.Errorf("the group has %d when the partition is gone, want 10", at)
	}
	ok(t, <-done)
}

// lastDirectory hands on what another node would go on with.
type lastDirectory struct {
	slowDirectory
	last chan []byte
}

func (d lastDirectory) Release(_ context.Context, _, _ string, definition []byte) error {
	d.last <- slices.Clone(definition)
	return nil
}

// A shutdown that cuts a change of the subscription short leaves the one before it to another
// node.
func TestShutdownDuringAChange(t *testing.T) {
	t.Parallel()
	b := testkit.Fake(t).Broker
	d := lastDirectory{last: make(chan []byte, 1)}
	m := newManagerWith(t, b, nil, Deps{Directory: d})
	i := create(t, m, testkit.Group(t), jsonOptions(m))
	topic := testkit.CreateTopic(t, b, 1)
	ok(t, i.Subscribe(t.Context(), []string{topic}))
	i.commits <- struct{}{} // the end of the session waits for it
	over := i.session.over
	changed, closed := make(chan error, 1), make(chan error, 1)
	go func() { changed <- i.Subscribe(t.Context(), []string{topic, "another"}) }()
	<-over
	go func() { closed <- m.Close(t.Context()) }()
	<-i.life.Done()
	<-i.commits
	wantKind(t, <-changed, apierr.Draining)
	ok(t, <-closed)
	left, err := readDefinition(<-d.last)
	ok(t, err)
	if !slices.Equal(left.Topics, []string{topic}) {
		t.Errorf("another node would subscribe to %q, want %q", left.Topics, topic)
	}
}
