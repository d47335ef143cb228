package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

const (
	// orderlyLeave is how long the client library may take to leave a group in
	// order. It is some round trips, unless Kafka holds back the answer to a join.
	orderlyLeave = 150 * time.Millisecond
	// joinLook is the pause between two looks at whether a join was answered.
	joinLook = 5 * time.Millisecond
	// leaveAgain is the pause between two attempts to take a member out whose
	// join Kafka has yet to handle.
	leaveAgain = 50 * time.Millisecond
	// joinHandled is how long Kafka may take to read a join that was written to
	// a connection that is closed by now.
	joinHandled = time.Second
)

// leaveGroup takes the session's client out of its group and ends the client. Another
// node that goes on with a static membership keeps it.
//
// Kafka must not be left with a member that no client is: every rebalance after
// that would wait for it until its session is over. The interleaving to avoid is
//
//	client: JoinGroup ->          Kafka holds the answer until all members join
//	client: leave                 the library waits for the answer first
//	client: closed at a deadline  without a LeaveGroup
//	Kafka:  <- JoinGroup          of a member that is gone; it never heartbeats
//
// and the same with a request that was cancelled, because the library gives up
// to leave with it. So a client that does not leave in order, soon, is ended,
// after which it sends no join any more, and then is taken out by its name.
func (s *session) leaveGroup(ctx context.Context, passing bool) error {
	static := s.inst.memberID()
	if !s.subscribed() || static != "" && passing {
		s.endClient()
		return nil
	}
	left := s.leaveInOrder(ctx, static)
	member, _ := s.client.GroupMetadata() // before the end of the client empties it
	s.endClient()
	if left && static == "" || member == "" && static == "" { // the library leaves a static member in
		return nil
	}
	return s.takeOut(ctx, member, static)
}

// endClient ends the client, and with it all requests of it that are in flight. It
// must not be called again: the library polls at its end, and would wait for
// itself to allow a rebalance.
func (s *session) endClient() {
	s.die() // or Close would try to leave as well, for as long as a request may take
	s.client.Close()
	s.client.AllowRebalance() // or the last poll, that of Close, holds up leaveInOrder's goroutine
}

// leaveInOrder has the client library leave the group, and reports whether it did.
// It is false when the library does not get to it soon. A dynamic member gets its
// id with the answer to its first join, which Kafka gives at once, so that answer
// is waited for: nobody could take out a member whose id got lost.
func (s *session) leaveInOrder(ctx context.Context, static string) bool {
	done := make(chan error, 1)
	go func() { done <- s.client.LeaveGroupContext(ctx) }()
	soon := time.NewTimer(orderlyLeave)
	defer soon.Stop()
	select {
	case err := <-done:
		return err == nil
	case <-soon.C:
	}
	look := time.NewTicker(joinLook)
	defer look.Stop()
	for {
		if member, _ := s.client.GroupMetadata(); member != "" || static != "" {
			return false
		}
		select {
		case err := <-done:
			return err == nil
		case <-look.C:
		}
	}
}

// takeOut has Kafka remove a member of the group whose client was ended. The client
// may have written a join that Kafka reads after the first attempt, from another
// connection; an attempt that finds no member is repeated then.
func (s *session) takeOut(ctx context.Context, member, static string) error {
	until := time.Now().Add(joinHandled)
	for {
		found, err := s.inst.cluster().removeMember(ctx, s.inst.group, member, static)
		if err != nil || found || !s.joins.unanswered() || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(leaveAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// joins counts the joins of a client that Kafka has not answered. It implements
// [kgo.HookBrokerWrite] and [kgo.HookBrokerRead].
type joins struct{ written, answered atomic.Int64 }

func (j *joins) unanswered() bool { return j.written.Load() > j.answered.Load() }

// isJoin reports whether requests of the key make a client a member of a group.
func isJoin(key int16) bool {
	return key == int16(kmsg.JoinGroup) || key == int16(kmsg.ConsumerGroupHeartbeat)
}

// OnBrokerWrite implements [kgo.HookBrokerWrite].
func (j *joins) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, written int, _, _ time.Duration, _ error) {
	if isJoin(key) && written > 0 {
		j.written.Add(1)
	}
}

// OnBrokerRead implements [kgo.HookBrokerRead].
func (j *joins) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if isJoin(key) && err == nil {
		j.answered.Add(1)
	}
}

// removeMember takes a member out of its group, a static one by its name there. It
// reports whether the group had it.
func (c *cluster) removeMember(ctx context.Context, group, member, static string) (found bool, err error) {
	client, err := c.get()
	if err != nil {
		return false, err
	}
	ask := leaveClassic
	if c.conf.GroupProtocol == "consumer" {
		ask = leaveConsumer
	}
	err = ask(ctx, client, group, member, static)
	if errors.Is(err, kerr.UnsupportedVersion) || errors.Is(err, kerr.GroupIDNotFound) && static == "" {
		err = leaveClassic(ctx, client, group, member, static) // as the library joins where brokers are old
	}
	for _, gone := range []error{kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.GroupIDNotFound} {
		if errors.Is(err, gone) { // not in it any more, or somebody else by now
			return false, nil
		}
	}
	if err != nil {
		return false, apierr.From(fmt.Errorf("cannot leave the group %s: %w", group, err))
	}
	return true, nil
}

// leaveClassic leaves a group of the classic protocol.
func leaveClassic(ctx context.Context, client *kgo.Client, group, member, static string) error {
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	if static != "" {
		m.InstanceID = &static
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID, req.Members = group, member, append(req.Members, m)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	err = kerr.ErrorForCode(resp.ErrorCode)
	for _, m := range resp.Members {
		err = errors.Join(err, kerr.ErrorForCode(m.ErrorCode))
	}
	return err
}

// leaveConsumer leaves a group of the protocol of KIP-848.
func leaveConsumer(ctx context.Context, client *kgo.Client, group, member, _ string) error {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = group, member, -1
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}
