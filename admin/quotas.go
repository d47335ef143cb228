package admin

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/internal/apierr"
)

// Quota are the limits of one client, or of all that have no limits of their own.
type Quota struct {
	// Client tells whose they are. It is sorted by type.
	Client []QuotaPart
	// Limits are by name, as producer_byte_rate.
	Limits map[string]float64
}

// QuotaPart is a property that a client is known by.
type QuotaPart struct {
	// Type is user, client-id or ip.
	Type string
	// Name is nil for the default: all names that have no limits of their own.
	Name *string
}

// Key returns a text that names the client, and that quotas are ordered by.
func (q *Quota) Key() string { return keyOf(q.Client) }

func keyOf(client []QuotaPart) string {
	var b strings.Builder
	for _, p := range client {
		b.WriteString(p.Type)
		if p.Name != nil {
			b.WriteString("\x01" + *p.Name)
		}
		b.WriteByte(0)
	}
	return b.String()
}

func newQuota(entity kadm.ClientQuotaEntity) Quota {
	var q Quota
	for _, e := range entity {
		q.Client = append(q.Client, QuotaPart(e))
	}
	slices.SortFunc(q.Client, func(a, b QuotaPart) int { return cmp.Compare(a.Type, b.Type) })
	return q
}

// Quotas returns the limits of clients, sorted. of bounds them to the clients with that name for
// each type in it.
func (a *Admin) Quotas(ctx context.Context, of map[string]string) ([]Quota, error) {
	var filter []kadm.DescribeClientQuotaComponent
	for _, kind := range slices.Sorted(maps.Keys(of)) {
		name := of[kind]
		filter = append(filter, kadm.DescribeClientQuotaComponent{Type: kind, MatchName: &name})
	}
	found, err := within(ctx, func() (kadm.DescribedClientQuotas, error) { return a.kadm.DescribeClientQuotas(ctx, false, filter) })
	if err != nil {
		return nil, failed(err)
	}
	var all []Quota
	for _, f := range found {
		q := newQuota(f.Entity)
		q.Limits = make(map[string]float64, len(f.Values))
		for _, v := range f.Values {
			q.Limits[v.Key] = v.Value
		}
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b Quota) int { return strings.Compare(a.Key(), b.Key()) })
	return all, nil
}

// SetQuota is a change of the limits of one client.
type SetQuota struct {
	Client []QuotaPart // sorted by type
	Limits []SetLimit
}

// Key returns that of the client's [Quota].
func (s *SetQuota) Key() string { return keyOf(s.Client) }

// SetLimit is a change of one limit. A nil value takes it away.
type SetLimit struct {
	Name  string
	Value *float64
}

// AlterQuotas changes limits of clients, and returns when a broker shows it. Kafka takes or refuses
// the changes of each client as a whole; the errors are by [Quota.Key], without those that it has
// taken. With validateOnly nothing changes.
func (a *Admin) AlterQuotas(ctx context.Context, changes []SetQuota, validateOnly bool) (map[string]error, error) {
	var entries []kadm.AlterClientQuotaEntry
	for _, c := range changes {
		var e kadm.AlterClientQuotaEntry
		for _, p := range c.Client {
			e.Entity = append(e.Entity, kadm.ClientQuotaEntityComponent(p))
		}
		for _, l := range c.Limits {
			op := kadm.AlterClientQuotaOp{Key: l.Name, Remove: l.Value == nil}
			if l.Value != nil {
				op.Value = *l.Value
			}
			e.Ops = append(e.Ops, op)
		}
		entries = append(entries, e)
	}
	alter := a.kadm.AlterClientQuotas
	if validateOnly {
		alter = a.kadm.ValidateAlterClientQuotas
	}
	answer, err := within(ctx, func() (kadm.AlteredClientQuotas, error) { return alter(ctx, entries) })
	if err != nil {
		return nil, failed(err)
	}
	refusals := map[string]error{}
	for _, r := range answer {
		if r.Err != nil {
			q := newQuota(r.Entity)
			refusals[q.Key()] = apierr.FromKafka(r.Err, r.ErrMessage)
		}
	}
	made := slices.DeleteFunc(slices.Clone(changes), func(c SetQuota) bool { return refusals[c.Key()] != nil })
	if len(made) > 0 && !validateOnly {
		last := made[len(made)-1] // brokers get them in order
		a.settle(ctx, func(ctx context.Context) bool { return a.hasLimits(ctx, last) })
	}
	return refusals, nil
}

// hasLimits reports whether a broker shows the change.
func (a *Admin) hasLimits(ctx context.Context, of SetQuota) bool {
	var filter []kadm.DescribeClientQuotaComponent
	for _, p := range of.Client {
		match := kmsg.QuotasMatchTypeExact
		if p.Name == nil {
			match = kmsg.QuotasMatchTypeDefault
		}
		filter = append(filter, kadm.DescribeClientQuotaComponent{Type: p.Type, MatchName: p.Name, MatchType: match})
	}
	found, err := within(ctx, func() (kadm.DescribedClientQuotas, error) { return a.kadm.DescribeClientQuotas(ctx, true, filter) })
	now := map[string]float64{}
	for _, f := range found {
		for _, v := range f.Values {
			now[v.Key] = v.Value
		}
	}
	for _, l := range of.Limits {
		value, set := now[l.Name]
		if set != (l.Value != nil) || set && value != *l.Value {
			return false
		}
	}
	return err == nil
}
