package v3

import (
	"net/url"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/valyala/fasthttp"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// acls are the brokers' access control lists.
type acls struct{ *shared }

func (s *acls) routes() []server.Route {
	return []server.Route{
		// A list of rights is a map for an attacker, so it takes the right to change it.
		with(s.route(server.Route{Method: "GET", Path: "/acls", Name: "api.v3.acls.list", Action: server.Administer, Resource: server.Cluster}, s.list), slices.Concat(filterWords, pageWords)...),
		s.change("POST /acls", "api.v3.acls.create", server.Cluster, fields(newACL{}), s.create),
		s.change("POST /acls:batch", "api.v3.acls.batch-create", server.Cluster, fields(newACLs{}), s.createAll),
		with(s.change("DELETE /acls", "api.v3.acls.delete", server.Cluster, nil, s.delete), filterWords...),
	}
}

// acl is the description of one entry.
type acl struct {
	Kind       string  `json:"kind"`
	Metadata   aclSelf `json:"metadata"`
	ClusterID  string  `json:"cluster_id"`
	Resource   string  `json:"resource_type"`
	Name       string  `json:"resource_name"`
	Pattern    string  `json:"pattern_type"`
	Principal  string  `json:"principal"`
	Host       string  `json:"host"`
	Operation  string  `json:"operation"`
	Permission string  `json:"permission"`
}

// aclSelf is the metadata of an entry, which has no name.
type aclSelf struct {
	Self string `json:"self"`
}

func newACLOf(u *urls, l admin.ACL) acl {
	return acl{
		Kind:       "KafkaAcl",
		Metadata:   aclSelf{aclURL(u, l)},
		ClusterID:  u.cluster,
		Resource:   l.Resource.String(),
		Name:       l.Name,
		Pattern:    l.Pattern.String(),
		Principal:  l.Principal,
		Host:       l.Host,
		Operation:  l.Operation.String(),
		Permission: l.Permission.String(),
	}
}

// aclURL returns the URL of the entries that l matches.
func aclURL(u *urls, l admin.ACL) string {
	query := ""
	for _, p := range [][2]string{
		{"resource_type", l.Resource.String()},
		{"resource_name", l.Name},
		{"pattern_type", l.Pattern.String()},
		{"principal", l.Principal},
		{"host", l.Host},
		{"operation", l.Operation.String()},
		{"permission", l.Permission.String()},
	} {
		query += "&" + p[0] + "=" + url.QueryEscape(p[1])
	}
	return u.to("acls") + "?" + query[1:]
}

// filter reads the filter in the query.
func (c *call) filter() (f admin.ACL, err error) {
	given := func(name string, max int) string {
		if err != nil {
			return ""
		}
		var value string
		value, err = server.QueryText(c.RequestCtx, name, max)
		return value
	}
	resource, pattern := given("resource_type", server.MaxWord), given("pattern_type", server.MaxWord)
	operation, permission := given("operation", server.MaxWord), given("permission", server.MaxWord)
	f.Name, f.Principal, f.Host = given("resource_name", server.MaxName), given("principal", server.MaxName), given("host", server.MaxName)
	if err != nil {
		return f, err
	}
	f.Resource, err = parse("resource_type", resource, kmsg.ParseACLResourceType)
	if err == nil {
		f.Pattern, err = parse("pattern_type", pattern, kmsg.ParseACLResourcePatternType)
	}
	if err == nil {
		f.Operation, err = parse("operation", operation, kmsg.ParseACLOperation)
	}
	if err == nil {
		f.Permission, err = parse("permission", permission, kmsg.ParseACLPermissionType)
	}
	return f, err
}

// parse reads one of Kafka's words; none is ANY, whose number is 1 in all of Kafka's lists.
func parse[T ~int8](name, word string, known func(string) (T, error)) (T, error) {
	if word == "" {
		word = "ANY"
	}
	v, err := known(word)
	if err != nil || v == 0 {
		return 0, apierr.BadRequest.New("%s cannot be %q.", name, word)
	}
	return v, nil
}

// list handles GET /acls.
func (s *acls) list(c *call) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	all, err := s.Admin.ACLs(c.life, f)
	if err != nil {
		return err
	}
	return respondList(c, listOf[acl]("KafkaAclList", aclURL(&c.urls, f)), all,
		aclKey,
		func(l admin.ACL) acl { return newACLOf(&c.urls, l) })
}

// aclKey orders entries.
func aclKey(l admin.ACL) string {
	return strings.Join([]string{l.Resource.String(), l.Name, l.Pattern.String(), l.Principal, l.Host, l.Operation.String(), l.Permission.String()}, "\x00")
}

// newACL is the body of a request that adds an entry.
type newACL struct {
	Resource   text `json:"resource_type" max:"64"`
	Name       text `json:"resource_name" max:"249"`
	Pattern    text `json:"pattern_type" max:"64"`
	Principal  text `json:"principal" max:"249"`
	Host       text `json:"host" max:"249"`
	Operation  text `json:"operation" max:"64"`
	Permission text `json:"permission" max:"64"`
}

// newACLs is the body of a request that adds many.
type newACLs struct {
	Data []newACL `json:"data" max:"1000"`
}

// entry converts the body. Each part of an entry must be definite.
func (b *newACL) entry() (l admin.ACL, err error) {
	l = admin.ACL{Name: string(b.Name), Principal: string(b.Principal), Host: string(b.Host)}
	if l.Name == "" || l.Principal == "" || l.Host == "" {
		return l, apierr.Unprocessable.New("resource_name, principal and host are required.")
	}
	if l.Resource, err = parse("resource_type", string(b.Resource), kmsg.ParseACLResourceType); err != nil {
		return l, err
	}
	if l.Pattern, err = parse("pattern_type", string(b.Pattern), kmsg.ParseACLResourcePatternType); err != nil {
		return l, err
	}
	if l.Operation, err = parse("operation", string(b.Operation), kmsg.ParseACLOperation); err != nil {
		return l, err
	}
	if l.Permission, err = parse("permission", string(b.Permission), kmsg.ParseACLPermissionType); err != nil {
		return l, err
	}
	switch {
	case l.Resource == kmsg.ACLResourceTypeAny:
		return l, apierr.BadRequest.New("resource_type cannot be ANY.")
	case l.Pattern == kmsg.ACLResourcePatternTypeAny || l.Pattern == kmsg.ACLResourcePatternTypeMatch:
		return l, apierr.BadRequest.New("pattern_type cannot be %s.", l.Pattern.String())
	case l.Operation == kmsg.ACLOperationAny:
		return l, apierr.BadRequest.New("operation cannot be ANY.")
	case l.Permission == kmsg.ACLPermissionTypeAny:
		return l, apierr.BadRequest.New("permission cannot be ANY.")
	}
	return l, nil
}

// create handles POST /acls.
func (s *acls) create(c *call) error {
	var body newACL
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	l, err := body.entry()
	if err != nil {
		return err
	}
	at := aclURL(&c.urls, l)
	c.note("acl", at)
	if err := s.Admin.CreateACLs(c.life, []admin.ACL{l}); err != nil {
		return err
	}
	c.Response.Header.Set(fasthttp.HeaderLocation, at)
	return c.created()
}

// created answers without a body.
func (c *call) created() error {
	c.SetStatusCode(fasthttp.StatusCreated)
	c.Response.Header.SetContentType("")
	return nil
}

// createAll handles POST /acls:batch.
func (s *acls) createAll(c *call) error {
	var body newACLs
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if len(body.Data) == 0 {
		return apierr.Unprocessable.New("data is missing or empty.")
	}
	var all []admin.ACL
	for i := range body.Data {
		l, err := body.Data[i].entry()
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	c.note("acls", len(all))
	if err := s.Admin.CreateACLs(c.life, all); err != nil {
		return err
	}
	return c.created()
}

// deletedACLs is the answer to a request that deletes entries.
type deletedACLs struct {
	Data []acl `json:"data"`
}

// filterWords are the query parameters that tell which entries are meant.
var filterWords = []string{"resource_type", "resource_name", "pattern_type", "principal", "host", "operation", "permission"}

// delete handles DELETE /acls. A filter by nothing would delete all there are, which nobody means.
func (s *acls) delete(c *call) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	for _, name := range []string{"resource_type", "pattern_type", "operation", "permission"} {
		if !c.QueryArgs().Has(name) {
			return apierr.BadRequest.New("The query parameter %s is required; ANY matches all.", name)
		}
	}
	c.note("acls", aclURL(&c.urls, f))
	deleted, err := s.Admin.DeleteACLs(c.life, f)
	if err != nil {
		return err
	}
	c.note("deleted", len(deleted))
	answer := deletedACLs{Data: []acl{}}
	for _, l := range deleted {
		answer.Data = append(answer.Data, newACLOf(&c.urls, l))
	}
	return c.respond(answer)
}
