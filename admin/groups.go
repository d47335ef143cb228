package admin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

// The types of groups (KIP-1043).
const (
	Classic  = "CLASSIC"
	Consumer = "CONSUMER"
	Share    = "SHARE"
	Streams  = "STREAMS"
)

// Group is a group of consumers.
type Group struct {
	ID          string
	Coordinator int32 // a broker's id
	// State is as STABLE and PREPARING_REBALANCE, Type one of the constants above.
	State, Type string
	// Assignor is the name of the strategy that assigns partitions, empty while there is none.
	Assignor string
	// Simple groups commit offsets and have no members.
	Simple bool
	// Mixed groups have members that speak the classic protocol beside others.
	Mixed bool
	// Members are sorted by id.
	Members []Member
}

// Member is a member of a group.
type Member struct {
	ID         string
	InstanceID *string // of a static member
	ClientID   string
	Assigned   []TopicPartition // sorted
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Compare orders partitions by topic, then number.
func (p TopicPartition) Compare(o TopicPartition) int {
	return cmp.Or(strings.Compare(p.Topic, o.Topic), cmp.Compare(p.Partition, o.Partition))
}

// GroupName is a group as the list of all groups has it.
type GroupName struct{ ID, Type string }

// GroupNames returns all groups of consumers, sorted. Groups of other programs, such as Kafka
// Connect's workers, are left out.
func (a *Admin) GroupNames(ctx context.Context) ([]GroupName, error) {
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, a.brokers) // kadm leaves out the types
	if err != nil {
		return nil, failed(err)
	}
	if err := refused(resp.ErrorCode, nil); err != nil {
		return nil, err
	}
	var all []GroupName
	for _, g := range resp.Groups {
		of := upperSnake(cmp.Or(g.GroupType, Classic)) // brokers before 3.8 know no types
		if of == Classic && g.ProtocolType != "consumer" && g.ProtocolType != "" {
			continue
		}
		all = append(all, GroupName{g.Group, of})
	}
	slices.SortFunc(all, func(a, b GroupName) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Groups describes groups: those of one type in one request to each coordinator. A group that is
// gone by now is left out.
func (a *Admin) Groups(ctx context.Context, names []GroupName) ([]*Group, error) {
	byType := map[string][]string{}
	for _, n := range names {
		byType[n.Type] = append(byType[n.Type], n.ID)
	}
	var all []*Group
	for of, ids := range byType {
		found, err := a.describeGroups(ctx, of, ids)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			if d.err != nil && !errors.Is(d.err, kerr.GroupIDNotFound) {
				return nil, failed(d.err)
			}
			if d.err == nil {
				all = append(all, d.Group)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Group) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Group describes one group, of whatever type.
func (a *Admin) Group(ctx context.Context, id string) (*Group, error) {
	for _, of := range []string{Consumer, Classic, Share, Streams} {
		found, err := a.describeGroups(ctx, of, []string{id})
		if err != nil {
			if unsupported(err) {
				continue
			}
			return nil, err
		}
		switch d := found[0]; {
		case d.err == nil && d.State == "DEAD" && len(d.Members) == 0: // so says Kafka of one that never was
		case d.err == nil:
			return d.Group, nil
		case errors.Is(d.err, kerr.GroupIDNotFound) || unsupported(d.err):
		default:
			return nil, failed(d.err)
		}
	}
	return nil, apierr.NotFound.New("Consumer group %s cannot be found.", id)
}

// unsupported reports whether the brokers are too old for a type of groups, or have it switched
// off.
func unsupported(err error) bool {
	return errors.Is(err, kerr.UnsupportedVersion) || strings.Contains(err.Error(), "broker is too old")
}

// described is a group, or the reason why it cannot be described.
type described struct {
	*Group
	err error
}

// describeGroups describes groups of one type.
func (a *Admin) describeGroups(ctx context.Context, of string, ids []string) ([]described, error) {
	describe := map[string]func(context.Context, []string) ([]described, error){
		Classic: a.classicGroups, Consumer: a.consumerGroups, Share: a.shareGroups, Streams: a.streamsGroups,
	}[of]
	if describe == nil {
		return nil, nil // of a type that is not known yet
	}
	found, err := within(ctx, func() ([]described, error) { return describe(ctx, ids) })
	if err != nil {
		if unsupported(err) {
			return nil, err
		}
		return nil, failed(err)
	}
	for _, d := range found {
		if d.Group == nil {
			continue
		}
		d.Type = of
		for _, m := range d.Members {
			slices.SortFunc(m.Assigned, TopicPartition.Compare)
		}
		slices.SortFunc(d.Members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	}
	if len(found) == 0 && len(ids) > 0 {
		return []described{{nil, kerr.GroupIDNotFound}}, nil
	}
	return found, nil
}

func (a *Admin) classicGroups(ctx context.Context, ids []string) (all []described, err error) {
	found, err := a.kadm.DescribeGroups(ctx, ids...)
	for _, g := range found {
		d := &Group{ID: g.Group, Coordinator: g.Coordinator.NodeID, State: upperSnake(g.State), Assignor: g.Protocol, Simple: g.ProtocolType == ""}
		for _, m := range g.Members {
			member := Member{ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID}
			if assigned, ok := m.Assigned.AsConsumer(); ok {
				for _, t := range assigned.Topics {
					member.assign(t.Topic, t.Partitions)
				}
			}
			d.Members = append(d.Members, member)
		}
		all = append(all, described{d, g.Err})
	}
	return all, err
}

func (a *Admin) consumerGroups(ctx context.Context, ids []string) (all []described, err error) {
	const speaksClassic = 0 // a member's type
	found, err := a.kadm.DescribeConsumerGroups(ctx, ids...)
	for _, g := range found {
		d := &Group{ID: g.Group, Coordinator: g.Coordinator.NodeID, State: upperSnake(g.State), Assignor: g.AssignorName}
		for _, m := range g.Members {
			d.Mixed = d.Mixed || m.MemberType == speaksClassic
			member := Member{ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID}
			member.assignSet(m.Assignment)
			d.Members = append(d.Members, member)
		}
		all = append(all, described{d, g.Err})
	}
	return all, err
}

func (a *Admin) shareGroups(ctx context.Context, ids []string) (all []described, err error) {
	found, err := a.kadm.DescribeShareGroups(ctx, ids...)
	for _, g := range found {
		d := &Group{ID: g.GroupID, Coordinator: g.Coordinator.NodeID, State: upperSnake(g.GroupState), Assignor: g.Assignor}
		for _, m := range g.Members {
			member := Member{ID: m.MemberID, ClientID: m.ClientID}
			member.assignSet(m.Assignment)
			d.Members = append(d.Members, member)
		}
		all = append(all, described{d, g.Err})
	}
	return all, err
}

// streamsGroups describes groups of Kafka Streams (KIP-1071). A member's tasks are its assignment,
// by the topics that the subtopology of each reads.
func (a *Admin) streamsGroups(ctx context.Context, ids []string) (all []described, err error) {
	by := map[int32][]string{} // franz-go does not find the coordinators of this request itself
	for _, c := range a.kadm.FindGroupCoordinators(ctx, ids...) {
		if c.Err != nil {
			return nil, c.Err
		}
		by[c.NodeID] = append(by[c.NodeID], c.Name)
	}
	for coordinator, ids := range by {
		req := kmsg.NewPtrStreamsGroupDescribeRequest()
		req.Groups = ids
		resp, err := req.RequestWith(ctx, a.brokers.Client.Broker(int(coordinator)))
		if err != nil {
			return nil, err
		}
		for i := range resp.Groups {
			all = append(all, described{newStreamsGroup(&resp.Groups[i], coordinator), kerr.ErrorForCode(resp.Groups[i].ErrorCode)})
		}
	}
	return all, nil
}

func newStreamsGroup(g *kmsg.StreamsGroupDescribeResponseGroup, coordinator int32) *Group {
	d := &Group{ID: g.Group, Coordinator: coordinator, State: upperSnake(g.State)}
	sources := map[string][]string{}
	if g.Topology != nil {
		for _, s := range g.Topology.Subtopologies {
			sources[s.SubtopologyID] = append(slices.Clone(s.SourceTopics), topicsOf(s.RepartitionSourceTopics)...)
		}
	}
	for _, m := range g.Members {
		member := Member{ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID}
		for _, task := range m.Assignment.ActiveTasks {
			for _, topic := range sources[task.SubtopologyID] {
				member.assign(topic, task.Partitions)
			}
		}
		d.Members = append(d.Members, member)
	}
	return d
}

func topicsOf(infos []kmsg.TopicInfo) []string {
	var names []string
	for _, i := range infos {
		names = append(names, i.Topic)
	}
	return names
}

func (m *Member) assign(topic string, partitions []int32) {
	for _, p := range partitions {
		m.Assigned = append(m.Assigned, TopicPartition{topic, p})
	}
}

func (m *Member) assignSet(set kadm.TopicsSet) {
	for _, t := range set.Sorted() {
		m.assign(t.Topic, t.Partitions)
	}
}

// upperSnake converts a word as PreparingRebalance to one as PREPARING_REBALANCE.
func upperSnake(word string) string {
	var b strings.Builder
	for i, r := range word {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(word[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}
