package consumer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/internal/apierr"
	"millrace/internal/kafka"
)

// session is one subscription or assignment of an instance. All fields but the
// first group are guarded by the instance's mu.
type session struct {
	inst *Instance
	// A subscription has topics or a pattern, an assignment neither.
	topics  []string
	pattern string
	over    chan struct{}   // closed when ended becomes true
	final   chan struct{}   // closed when left becomes true
	life    context.Context // of the client; die ends it when it cannot close in order
	die     context.CancelFunc

	client  *kgo.Client    // nil until an assignment is first read
	contact *kafka.Contact // of the client
	joins   joins          // of the client
	starts  int            // attempts in a row at which startAt failed, which runs once at a time
	joined  bool           // the group has admitted the client, and not dropped it since
	between bool           // some were revoked, and the group has yet to say which it has now
	// Bounds of one fetch of the client, in all and of one partition.
	fetchBytes, partitionBytes int32
	ended                      bool // no reads any more
	left                       bool // no commits any more
	parts                      map[TopicPartition]*partition
	revoking                   *commit // by onRevoked, while it waits for its turn; else nil
	backlog                    backlog
	page                       []*partition // answered, or being answered, and not yet confirmed
	parked                     bool         // the client fetches nothing; see prefetch.go
	share                      int          // of the memory for fetching ahead, as set in the client
	failed                     error        // of Kafka while fetching, for the next read to return

	// See recreated.go.
	outlived  map[string][16]byte // topics that were deleted while they were read, with their ids
	renewable bool                // a read was told so
	kept      []position          // where it goes on in place of another session
}

// partition is one partition that a session has.
type partition struct {
	TopicPartition
	// start is where reading begins unless something was answered or sought;
	// -1 while a group partition waits for its committed offset.
	start int64
	// placed is true once kgo was told where to start, or for an assignment always.
	placed bool
	// blocked says why the partition cannot be read until it is sought; nil if it can.
	blocked error

	end int64 // of the log, as the last fetch or the last look had it; unknownEnd before

	answered  mark // past the last record answered, or sought
	returned  mark // the same without a page in the making, which may never reach its client
	confirmed mark // the same as of the client's last but one read
	committed mark // which of them Kafka has; noMark: unknown
	// stored is what the group had when it assigned the partition, or of the session's commits
	// since; -1 for nothing.
	stored int64

	commitSeq uint64 // of the last commit that Kafka took
	override  uint64 // the last commit asked for of an offset of the client's own choice
	onPage    bool   // is in session.page
	outlived  bool   // its topic was deleted, and nothing is known of one that may have the name now
}

// mark is an offset to commit with the leader epoch of the record before it.
// The offset is -1 where there is nothing to commit.
type mark struct {
	offset int64
	epoch  int32
}

var noMark = mark{offset: -1, epoch: -1}

func newPartition(tp TopicPartition) *partition {
	return &partition{TopicPartition: tp, start: -1, end: unknownEnd, stored: -1, answered: noMark, returned: noMark, confirmed: noMark, committed: noMark}
}

func (p *partition) answeredMark() mark  { return p.returned }
func (p *partition) confirmedMark() mark { return p.confirmed }

// position is the offset of the next record to answer, -1 if not known yet.
func (p *partition) position() int64 {
	if p.answered.offset >= 0 {
		return p.answered.offset
	}
	return p.start
}

// seek makes at the position. It is the client's own word, so there is no
// answer of which one would have to learn whether it arrived.
func (p *partition) seek(at int64) {
	p.start, p.blocked = at, nil
	p.answered = mark{offset: at, epoch: -1}
	p.returned, p.confirmed = p.answered, p.answered
	p.committed = noMark // a commit must be written, even of the same position again
}

func newSession(i *Instance) *session {
	s := &session{inst: i, over: make(chan struct{}), final: make(chan struct{}), parts: make(map[TopicPartition]*partition), parked: true}
	s.life, s.die = context.WithCancel(context.Background())
	return s
}

func (s *session) subscribed() bool { return s.topics != nil || s.pattern != "" }

// finishPage notes that the page in the making is an answer: it is on its way to the client.
func (s *session) finishPage() {
	for _, p := range s.page {
		p.returned = p.answered
	}
}

// confirm notes that the client has received its last answer. A page in the making stays.
func (s *session) confirm() {
	making := s.page[:0]
	for _, p := range s.page {
		p.confirmed = p.returned
		if p.onPage = p.returned != p.answered; p.onPage {
			making = append(making, p)
		}
	}
	s.page = making
}

// sorted returns the session's partitions in order of topic and number.
func (s *session) sorted() []TopicPartition {
	tps := make([]TopicPartition, 0, len(s.parts))
	for tp := range s.parts {
		tps = append(tps, tp)
	}
	slices.SortFunc(tps, func(a, b TopicPartition) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition) - int(b.Partition)
	})
	return tps
}

// has returns an error unless all tps belong to the session, which may be nil.
func (s *session) has(tps iter.Seq[TopicPartition]) error {
	for tp := range tps {
		if s == nil || s.parts[tp] == nil {
			return apierr.IllegalState.New("Partition %d of topic %s is not assigned to this consumer instance.", tp.Partition, tp.Topic)
		}
	}
	return nil
}

// newClient builds the session's Kafka client.
func (s *session) newClient(own ...kgo.Opt) error {
	i := s.inst
	opts, err := kafka.ConsumerOpts(quietly(i.base()), i.m.conf)
	if err != nil {
		return err
	}
	isolation := kgo.ReadUncommitted()
	if i.opts.IsolationLevel == readCommitted {
		isolation = kgo.ReadCommitted()
	}
	reset := kgo.NewOffset().AtEnd()
	switch i.opts.OffsetReset {
	case earliest:
		reset = kgo.NewOffset().AtStart()
	case none:
		reset = kgo.NoResetOffset()
	}
	contact := new(kafka.Contact)
	opts = append(slices.Clip(opts),
		kgo.WithContext(s.life),
		kgo.WithHooks(contact),
		kgo.FetchIsolationLevel(isolation),
		kgo.ConsumeResetOffset(reset),
		// fetch.min.bytes is waited for in collect, against the deadline of
		// the read: a broker that waited for it would hold back what the
		// read is to answer when its time is up.
		kgo.FetchMinBytes(1),
	)
	client, err := kgo.NewClient(append(opts, own...)...)
	if err != nil {
		return fmt.Errorf("cannot build the Kafka client of a consumer instance: %w", err)
	}
	s.client, s.contact = client, contact
	s.fetchBytes, s.partitionBytes = client.OptValue(kgo.FetchMaxBytes).(int32), client.OptValue(kgo.FetchMaxPartitionBytes).(int32)
	return nil
}

// replaceSession ends the present session and makes next the instance's, nil
// for none. The caller holds i.changing.
func (i *Instance) replaceSession(ctx context.Context, next *session) error {
	if err := i.swapSession(next); err != nil {
		return err
	}
	return i.record(ctx)
}

// swapSession is replaceSession of which the directory is told nothing.
func (i *Instance) swapSession(next *session) error {
	i.mu.Lock()
	former := i.session
	i.former = former
	i.mu.Unlock()
	i.endSession((*partition).confirmedMark)

	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed != nil {
		return i.closed // and another node goes on with the former
	}
	i.former = nil
	switch {
	case next == nil:
	case next.subscribed():
		if err := next.join(); err != nil {
			return apierr.From(err)
		}
	case former != nil:
		next.adopt(former)
	}
	i.session = next
	if former == nil || former.subscribed() {
		i.passage = nil // there is nothing to confirm any more
	}
	maps.DeleteFunc(i.positions, func(tp TopicPartition, _ position) bool {
		return next == nil || !next.subscribed() && next.parts[tp] == nil || next.subscribed() && former != nil
	})
	if next != nil {
		for _, p := range next.kept {
			i.setPosition(p)
		}
		next.kept = nil
	}
	return nil
}

// endSession ends the present session, if there is one: the running poll is
// interrupted, what last says of each partition is committed where auto-commit
// is on, the group is left, the client closed. Begun, it is finished: a DELETE
// that ended the instance while a change of its subscription leaves the group
// would leave a dead member there. The caller holds i.changing.
func (i *Instance) endSession(last func(*partition) mark) {
	i.mu.Lock()
	s := i.session
	if s == nil {
		i.mu.Unlock()
		return
	}
	s.ended = true
	close(s.over)
	if !s.parked {
		i.m.fetching.Add(-1)
	}
	if i.pollCancel != nil {
		i.pollCancel() // what it brings is not taken any more
	}
	i.session = nil
	s.backlog.clear()
	final := &commit{}
	if i.opts.AutoCommit {
		final = i.newCommit(s, last)
		final.revoked = true // those that are go to nobody before onRevoked returns
		if s.revoking != nil {
			for _, e := range s.revoking.entries {
				final.add(e.part, last(e.part))
			}
		}
	}
	i.mu.Unlock()

	// A commit that is under way needs the client; later ones find it gone.
	committing, cancel := context.WithTimeout(i.m.life, leaveTimeout)
	defer cancel()
	err := acquire(committing, i.commits)
	if err == nil {
		defer func() { <-i.commits }()
		err = i.send(committing, final)
	}
	if err != nil {
		i.m.log.Warn("cannot commit at the end of a consumer session", "group", i.group, "instance", i.opts.Name, "err", err)
	}
	i.mu.Lock()
	s.left = true
	close(s.final)
	i.holdPolls() // not before: a poll waits for onRevoked, and that for the commit
	i.releasePolls()
	passing := i.passing
	i.mu.Unlock()
	if s.client == nil {
		s.die()
		return
	}
	leaving, cancel := context.WithTimeout(i.m.life, leaveTimeout)
	defer cancel()
	if err := s.leaveGroup(leaving, passing); err != nil {
		i.m.log.Warn("cannot leave the consumer group", "group", i.group, "instance", i.opts.Name, "err", err)
	}
}

// fetchError returns what a client shall be told of an error that came with a
// poll; nil for those that end by themselves, or that block a partition. The
// caller holds the instance's mu.
func (s *session) fetchError(tp TopicPartition, err error) error {
	var loss *kgo.ErrDataLoss
	var huge *kgo.ErrDecompressTooLarge
	var group *kgo.ErrGroupSession
	switch {
	case errors.As(err, &group):
		if rejoins(group.Err) {
			return nil
		}
		return apierr.From(fmt.Errorf("cannot take part in the group %s: %w", s.inst.group, group.Err))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrClientClosed): // the poll's end
		return nil
	case errors.As(err, &loss):
		// The client library goes on from what the log still has.
		s.inst.m.log.Warn("Kafka has lost records that were read already", "topic", tp.Topic, "partition", tp.Partition, "consumed_to", loss.ConsumedTo, "reset_to", loss.ResetTo)
		return nil
	case errors.As(err, &huge):
		if p := s.parts[tp]; p != nil { // the client library has stopped there
			p.blocked = apierr.Undecodable.Wrap(err, "The records from offset %d of partition %d of topic %s decompress to more than this node holds. Seek to offset %d to read on.", huge.Offset, tp.Partition, tp.Topic, huge.NextOffset)
		}
		return nil
	case errors.Is(err, kerr.OffsetOutOfRange):
		return apierr.IllegalState.Wrap(err, "The position in partition %d of topic %s is out of range and auto.offset.reset is none. Seek to a position first.", tp.Partition, tp.Topic)
	case errors.Is(err, kerr.UnknownTopicID):
		return deleted(tp.Topic, err)
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return apierr.TopicNotFound.Wrap(err, "Topic %s does not exist any more.", tp.Topic)
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return apierr.Unauthorized.Wrap(err, "Not authorized to read topic %s.", tp.Topic)
	}
	api := apierr.From(fmt.Errorf("cannot fetch %s: %w", tp, err))
	if api.Kind == apierr.Internal { // not our fault: the library cannot make sense of the answer
		return apierr.KafkaError.Wrap(err, "The records of partition %d of topic %s cannot be fetched.", tp.Partition, tp.Topic)
	}
	return api
}

// unreachable returns why nothing can be read from Kafka; nil if it answers. The caller holds the
// instance's mu.
func (s *session) unreachable() error {
	if healthy := s.inst.m.deps.Healthy; healthy != nil {
		if err := healthy(); err != nil {
			return err
		}
	}
	if s.contact == nil {
		return nil
	}
	if cause := s.contact.Lost(); cause != nil {
		return apierr.Unreachable(cause)
	}
	return nil
}

// blocked returns why the session cannot be read on: a partition that waits
// for a seek. It is nil if none does.
func (s *session) blocked() error {
	for _, p := range s.parts {
		if p.blocked != nil {
			return p.blocked
		}
	}
	return nil
}

// noPosition is why a partition is blocked for which the group has committed
// nothing, under the reset policy none; nil under another.
func (i *Instance) noPosition(tp TopicPartition) error {
	if i.opts.OffsetReset != none {
		return nil
	}
	return apierr.IllegalState.New("The group %s has no committed offset for partition %d of topic %s, and auto.offset.reset is none. Seek to a position first.", i.group, tp.Partition, tp.Topic)
}

// rejoins reports whether the client library gets over a failure of the group
// session by joining again, with nothing for anybody to do.
func rejoins(err error) bool {
	for _, passing := range []error{context.Canceled, kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.FencedMemberEpoch, kerr.StaleMemberEpoch} {
		if errors.Is(err, passing) {
			return true
		}
	}
	var code *kerr.Error
	return errors.As(err, &code) && code.Retriable
}
