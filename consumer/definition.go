package consumer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"millrace/codec"
	"millrace/codec/json"
	"millrace/internal/apierr"
)

// definition is what of an instance outlives its node, in the directory.
type definition struct {
	Options InstanceOptions `json:"options"`
	// Format is Options.Format by name, since its number may change.
	Format string `json:"format"`
	// Delegated says that the instance uses Kafka with the rights of its owner, whose login is in
	// no definition: it can be adopted only with a request of the owner.
	Delegated bool `json:"delegated,omitempty"`
	// A subscription has topics or a pattern, an assignment partitions.
	Topics     []string `json:"topics,omitempty"`
	Pattern    string   `json:"pattern,omitempty"`
	Partitions []place  `json:"partitions,omitempty"`
	// Positions are those that Kafka does not have yet.
	Positions []position `json:"positions,omitempty"`
}

type place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// position is where a partition is to be read from as long as the group has
// committed nothing newer.
type position struct {
	place
	Offset int64 `json:"offset"`
	// Committed is what the group had committed when the position was set, -1
	// for nothing. Something else means that a commit has come after it.
	Committed int64 `json:"committed"`
	// Sought says that the client has set the position. Otherwise it is where
	// the reset policy "latest" has begun, which would be elsewhere by now.
	Sought bool `json:"sought,omitempty"`
	// seq is that of the commits (commit.seq) when the client has set the position: those asked
	// for before are older than it.
	seq uint64
}

// maxRecorded bounds the record of an instance; Kafka takes 1 MB.
const maxRecorded = 5000

func readDefinition(text []byte) (*definition, error) {
	d := &definition{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("cannot read the definition of a consumer instance: %w", err)
	}
	format, ok := codec.ParseFormat(d.Format)
	if !ok {
		return nil, apierr.Unprocessable.New("This node does not know the format %q.", d.Format)
	}
	d.Options.Format = format
	return d, nil
}

func (d *definition) assigned() []TopicPartition {
	tps := make([]TopicPartition, len(d.Partitions))
	for n, p := range d.Partitions {
		tps[n] = TopicPartition(p)
	}
	return tps
}

// define returns the definition as it is now, before a change that is under way. The caller
// holds i.mu.
func (i *Instance) define() *definition {
	d := &definition{Options: i.opts, Format: i.opts.Format.String(), Delegated: i.login != nil}
	if s := cmp.Or(i.session, i.former); s != nil {
		d.Topics, d.Pattern = s.topics, s.pattern
		if !s.subscribed() {
			for _, tp := range s.sorted() {
				d.Partitions = append(d.Partitions, place(tp))
			}
		}
		for _, tp := range s.sorted() {
			if p, ok := i.positions[tp]; ok && len(d.Positions) < maxRecorded {
				d.Positions = append(d.Positions, p)
			}
		}
	}
	return d
}

// text returns the definition as the directory keeps it.
func (d *definition) text() []byte {
	text, err := json.Marshal(d)
	if err != nil {
		panic("BUG: a definition cannot be written as JSON: " + err.Error())
	}
	return text
}

// restore makes the instance remember what its definition says.
func (i *Instance) restore(d *definition, text []byte) {
	i.recorded = bytes.Clone(text)
	for _, p := range d.Positions {
		i.setPosition(p)
	}
}

// forgetCommitted takes those positions out of a definition that was made before
// a commit which has made them void. The caller holds i.mu.
func (i *Instance) forgetCommitted(d *definition) {
	d.Positions = slices.DeleteFunc(d.Positions, func(p position) bool {
		_, holds := i.positions[TopicPartition(p.place)]
		return !holds
	})
}

// committedAt makes void what the definition says of a partition for which the group has the offset
// now, unless the client has set the position after that was asked for. The caller holds i.mu.
func (i *Instance) committedAt(tp TopicPartition, offset int64, seq uint64) {
	p, ok := i.positions[tp]
	if !ok || p.seq < seq {
		delete(i.positions, tp)
		return
	}
	p.Committed = offset
	i.positions[tp] = p
}

func (i *Instance) setPosition(p position) {
	if i.positions == nil {
		i.positions = make(map[TopicPartition]position)
	}
	i.positions[TopicPartition(p.place)] = p
}

// record writes the definition to the directory, if there is one and the
// definition has changed since the last time.
func (i *Instance) record(ctx context.Context) error {
	directory := i.m.deps.Directory
	if directory == nil {
		return nil
	}
	if err := acquire(ctx, i.recording); err != nil {
		return i.explain(err)
	}
	defer func() { <-i.recording }()
	i.mu.Lock()
	text := i.define().text()
	same, closed := bytes.Equal(text, i.recorded), i.closed
	i.mu.Unlock()
	if same {
		return nil
	}
	if closed != nil {
		return closed
	}
	if err := directory.Update(ctx, i.group, i.opts.Name, text); err != nil {
		return i.explain(err)
	}
	i.mu.Lock()
	i.recorded = text
	i.mu.Unlock()
	return nil
}

// recordLater is record for where nothing may wait. No lock may be held.
func (i *Instance) recordLater() {
	if i.m.deps.Directory == nil {
		return
	}
	i.m.spawn(func() {
		ctx, cancel := i.bound(i.m.life, kafkaTimeout)
		defer cancel()
		if err := i.record(ctx); err != nil && i.life.Err() == nil {
			i.m.log.Warn("cannot record where a consumer instance reads from", "group", i.group, "instance", i.opts.Name, "err", err)
		}
	})
}

// recordSeek remembers positions that the client has set, until something is committed after them,
// by a commit of a higher seq. Commits that were on their way by then are waited for.
func (i *Instance) recordSeek(ctx context.Context, to map[TopicPartition]int64, seq uint64) error {
	if i.m.deps.Directory == nil {
		return nil
	}
	tps := make([]TopicPartition, 0, len(to))
	for tp := range to {
		tps = append(tps, tp)
	}
	if err := i.setSought(ctx, tps, to, seq); err != nil {
		return i.explain(err)
	}
	return i.record(ctx)
}

// setSought does the work of recordSeek but for the record.
func (i *Instance) setSought(ctx context.Context, tps []TopicPartition, to map[TopicPartition]int64, seq uint64) error {
	if err := acquire(ctx, i.commits); err != nil {
		return err
	}
	defer func() { <-i.commits }()
	committed, err := i.cluster().committed(ctx, i.group, tps)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for tp, offset := range to {
		p := position{place: place(tp), Offset: offset, Committed: -1, Sought: true, seq: seq}
		if o, ok := committed[tp]; ok {
			p.Committed = o.Offset
		}
		i.setPosition(p)
	}
	return nil
}

// begin places a partition for which the group has committed the offset, -1
// for nothing, where at is what the reset policy says for that case. It is true
// when that is news for the directory. The caller holds i.mu.
func (i *Instance) begin(p *partition, committed, at int64) (news bool) {
	p.start = committed
	if committed < 0 {
		p.start = at
	}
	known, ok := i.positions[p.TopicPartition]
	switch {
	case ok && known.Committed == committed && known.Sought:
		p.seek(known.Offset)
	case ok && known.Committed == committed:
		p.start = known.Offset
	case committed >= 0:
		delete(i.positions, p.TopicPartition)
	case i.opts.OffsetReset == latest && i.m.deps.Directory != nil:
		i.setPosition(position{place: place(p.TopicPartition), Offset: at, Committed: -1})
		return true
	}
	if committed < 0 && p.answered.offset < 0 {
		p.blocked = i.noPosition(p.TopicPartition)
	}
	return false
}

// memberID is the instance's name as a static member of its group, by which
// the node that adopts it takes its place without a rebalance; empty where
// it has none. A group of the protocol "consumer" lets nobody take the place
// of a member that died before its session is over, so there it is dynamic.
func (i *Instance) memberID() string {
	if i.m.deps.Directory == nil || i.m.conf.GroupProtocol == "consumer" {
		return ""
	}
	sum := sha256.Sum256([]byte(i.opts.Name))
	return "millrace-" + hex.EncodeToString(sum[:12])
}

// keepMembership has the end of the session leave the instance's place in the group to
// the node that adopts it.
func (i *Instance) keepMembership() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.passing = true
}

// same reports whether the session is the subscription to these.
func (s *session) same(topics []string, pattern string) bool {
	return s.pattern == pattern && slices.Equal(s.topics, topics)
}
