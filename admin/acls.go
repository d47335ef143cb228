package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ACL is an entry of the brokers' access control lists, or a filter for entries: an empty text
// matches any.
type ACL struct {
	Resource   kmsg.ACLResourceType
	Name       string
	Pattern    kmsg.ACLResourcePatternType
	Principal  string
	Host       string
	Operation  kmsg.ACLOperation
	Permission kmsg.ACLPermissionType
}

// Compare orders entries.
func (l ACL) Compare(o ACL) int {
	return cmp.Or(
		cmp.Compare(l.Resource, o.Resource), strings.Compare(l.Name, o.Name), cmp.Compare(l.Pattern, o.Pattern),
		strings.Compare(l.Principal, o.Principal), strings.Compare(l.Host, o.Host),
		cmp.Compare(l.Operation, o.Operation), cmp.Compare(l.Permission, o.Permission))
}

// orAny returns the text of a filter, nil where it matches any.
func orAny(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ACLs returns the entries that filter matches, sorted.
func (a *Admin) ACLs(ctx context.Context, filter ACL) ([]ACL, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourceName, req.ResourcePatternType = filter.Resource, orAny(filter.Name), filter.Pattern
	req.Principal, req.Host = orAny(filter.Principal), orAny(filter.Host)
	req.Operation, req.PermissionType = filter.Operation, filter.Permission
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return nil, failed(err)
	}
	if err := refused(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return nil, err
	}
	var all []ACL
	for _, r := range resp.Resources {
		for _, l := range r.ACLs {
			all = append(all, ACL{r.ResourceType, r.ResourceName, r.ResourcePatternType, l.Principal, l.Host, l.Operation, l.PermissionType})
		}
	}
	slices.SortFunc(all, ACL.Compare)
	return all, nil
}

// CreateACLs adds entries, and returns when a broker shows them. Kafka adds those that it can; the
// error is the first of the others.
func (a *Admin) CreateACLs(ctx context.Context, entries []ACL) error {
	req := kmsg.NewPtrCreateACLsRequest()
	for _, l := range entries {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = l.Resource, l.Name, l.Pattern
		c.Principal, c.Host, c.Operation, c.PermissionType = l.Principal, l.Host, l.Operation, l.Permission
		req.Creations = append(req.Creations, c)
	}
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return failed(err)
	}
	for _, r := range resp.Results {
		if err := refused(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	if len(entries) > 0 {
		last := entries[len(entries)-1] // brokers get them in order
		a.settle(ctx, func(ctx context.Context) bool {
			now, err := a.ACLs(ctx, last)
			return err == nil && slices.Contains(now, last)
		})
	}
	return nil
}

// DeleteACLs deletes the entries that filter matches, and returns them, sorted, when a broker shows
// none any more.
func (a *Admin) DeleteACLs(ctx context.Context, filter ACL) ([]ACL, error) {
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourceName, f.ResourcePatternType = filter.Resource, orAny(filter.Name), filter.Pattern
	f.Principal, f.Host = orAny(filter.Principal), orAny(filter.Host)
	f.Operation, f.PermissionType = filter.Operation, filter.Permission
	req := kmsg.NewPtrDeleteACLsRequest()
	req.Filters = append(req.Filters, f)
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return nil, failed(err)
	}
	var all []ACL
	for _, r := range resp.Results {
		if err := refused(r.ErrorCode, r.ErrorMessage); err != nil {
			return nil, err
		}
		for _, l := range r.MatchingACLs {
			if err := refused(l.ErrorCode, l.ErrorMessage); err != nil {
				return nil, err
			}
			all = append(all, ACL{l.ResourceType, l.ResourceName, l.ResourcePatternType, l.Principal, l.Host, l.Operation, l.PermissionType})
		}
	}
	if len(all) > 0 {
		a.settle(ctx, func(ctx context.Context) bool {
			now, err := a.ACLs(ctx, filter)
			return err == nil && len(now) == 0
		})
	}
	slices.SortFunc(all, ACL.Compare)
	return all, nil
}
