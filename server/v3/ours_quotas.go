package v3

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// quotas are the limits that Kafka has for its clients. The Confluent proxy does not show them.
type quotas struct{ *shared }

// quotaFilters are the query parameters of the list, with the type of client that each is about.
var quotaFilters = map[string]string{"user": "user", "client_id": "client-id", "ip": "ip"}

func (s *quotas) routes() []server.Route {
	list := server.Route{Method: "GET", Path: "/client-quotas", Name: "millrace.v3.client-quotas.list", Action: server.Administer, Resource: server.Cluster}
	return []server.Route{
		// As a list of users, it takes the right to change it.
		with(s.route(list, s.list), slices.Concat(slices.Sorted(maps.Keys(quotaFilters)), pageWords)...),
		s.change("POST /client-quotas:alter", "millrace.v3.client-quotas.alter", server.Cluster, fields(alterQuotas{}), s.alter),
	}
}

// clientQuota are the limits of one client.
type clientQuota struct {
	Client []quotaPart `json:"client"`
	Limits []limit     `json:"limits"`
}

// quotaPart is a property that a client is known by.
type quotaPart struct {
	Type    string  `json:"type"`
	Name    *string `json:"name"`
	Default bool    `json:"is_default"`
}

// limit is one limit.
type limit struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func newQuotaParts(client []admin.QuotaPart) []quotaPart {
	all := make([]quotaPart, 0, len(client))
	for _, p := range client {
		all = append(all, quotaPart{p.Type, p.Name, p.Name == nil})
	}
	return all
}

func newClientQuota(q admin.Quota) clientQuota {
	d := clientQuota{Client: newQuotaParts(q.Client), Limits: []limit{}}
	for _, name := range slices.Sorted(maps.Keys(q.Limits)) {
		d.Limits = append(d.Limits, limit{name, q.Limits[name]})
	}
	return d
}

// list handles GET /client-quotas.
func (s *quotas) list(c *call) error {
	of := map[string]string{}
	for param, kind := range quotaFilters {
		name, err := server.QueryText(c.RequestCtx, param, server.MaxName)
		if err != nil {
			return err
		}
		if name != "" {
			of[kind] = name
		}
	}
	all, err := s.Admin.Quotas(c.life, of)
	if err != nil {
		return err
	}
	return respondList(c, listOf[clientQuota]("KafkaClientQuotaList", c.urls.to("client-quotas")), all,
		func(q admin.Quota) string { return q.Key() }, newClientQuota)
}

// alterQuotas is the body of a request that changes limits of clients.
type alterQuotas struct {
	Data         []alterQuota `json:"data" max:"1000"`
	ValidateOnly bool         `json:"validate_only"`
}

// alterQuota are the changes of one client.
type alterQuota struct {
	Client []newQuotaPart `json:"client" max:"3"`
	Limits []newLimit     `json:"limits" max:"100"`
}

// newQuotaPart is a property of a client, with a name or for all that have none of their own: who
// forgets a name must not limit everybody.
type newQuotaPart struct {
	Type    text  `json:"type" max:"64"`
	Name    *text `json:"name" max:"249"`
	Default bool  `json:"is_default"`
}

// newLimit is the change of one limit.
type newLimit struct {
	Name      text     `json:"name" max:"249"`
	Value     *decimal `json:"value"`
	Operation *text    `json:"operation" max:"64"`
}

// quotaRefusal tells why the limits of one client were not changed.
type quotaRefusal struct {
	Client  []quotaPart `json:"client"`
	Code    int         `json:"error_code"`
	Message string      `json:"message"`
}

// quotaRefusals are the answer to a request of whose changes some failed.
type quotaRefusals struct {
	Failures []quotaRefusal `json:"failures"`
}

// alter handles POST /client-quotas:alter: the limits of the clients that Kafka takes are changed,
// the other clients named.
func (s *quotas) alter(c *call) error {
	var body alterQuotas
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	sets, err := body.sets()
	if err != nil {
		return err
	}
	c.note("clients", len(sets))
	c.note("validate_only", body.ValidateOnly)
	failed, err := s.Admin.AlterQuotas(c.life, sets, body.ValidateOnly)
	if err != nil {
		return err
	}
	if len(failed) == 0 {
		return c.done()
	}
	var answer quotaRefusals
	for _, set := range sets { // in their order
		if err := failed[set.Key()]; err != nil {
			e := apierr.From(err)
			answer.Failures = append(answer.Failures, quotaRefusal{newQuotaParts(set.Client), e.Kind.Code, e.Message()})
		}
	}
	return c.respondMulti(answer, len(failed))
}

// sets converts the body.
func (b *alterQuotas) sets() ([]admin.SetQuota, error) {
	if len(b.Data) == 0 {
		return nil, apierr.Unprocessable.New("data is missing or empty.")
	}
	var sets []admin.SetQuota
	seen := map[string]bool{}
	for _, d := range b.Data {
		set := admin.SetQuota{}
		var err error
		if set.Client, err = clientOf(d.Client); err == nil {
			set.Limits, err = limitsOf(d.Limits)
		}
		if err != nil {
			return nil, err
		}
		if seen[set.Key()] {
			return nil, apierr.Unprocessable.New("A client may be in data once.")
		}
		seen[set.Key()] = true
		sets = append(sets, set)
	}
	return sets, nil
}

func clientOf(parts []newQuotaPart) ([]admin.QuotaPart, error) {
	var client []admin.QuotaPart
	for _, p := range parts {
		named := p.Name != nil && *p.Name != ""
		if p.Type == "" || named == p.Default {
			return nil, apierr.Unprocessable.New("Each element of client needs a type (user, client-id or ip), and either a name or is_default.")
		}
		part := admin.QuotaPart{Type: string(p.Type)}
		if named {
			part.Name = (*string)(p.Name)
		}
		client = append(client, part)
	}
	slices.SortFunc(client, func(a, b admin.QuotaPart) int { return strings.Compare(a.Type, b.Type) })
	twice := func(a, b admin.QuotaPart) bool { return a.Type == b.Type }
	if len(client) == 0 || len(slices.CompactFunc(slices.Clone(client), twice)) < len(client) {
		return nil, apierr.Unprocessable.New("Each element of data needs a client: a user, a client-id or both, or an ip.")
	}
	return client, nil
}

func limitsOf(limits []newLimit) ([]admin.SetLimit, error) {
	var all []admin.SetLimit
	for _, l := range limits {
		set := admin.SetLimit{Name: string(l.Name)}
		operation := "SET"
		if l.Operation != nil {
			operation = strings.ToUpper(string(*l.Operation))
		}
		switch {
		case l.Name == "":
			return nil, apierr.Unprocessable.New("Each element of limits needs a name, as producer_byte_rate.")
		case operation == "SET" && l.Value != nil:
			set.Value = (*float64)(l.Value)
		case operation == "SET":
			return nil, apierr.Unprocessable.New("The value of %s is missing. The operation DELETE takes the limit away.", l.Name)
		case operation != "DELETE":
			return nil, apierr.BadRequest.New("The operation of %s must be SET or DELETE, not %q.", l.Name, operation)
		}
		all = append(all, set)
	}
	if len(all) == 0 {
		return nil, apierr.Unprocessable.New("Each element of data needs limits.")
	}
	return all, nil
}

// decimal is a number that a body may also write as a string.
type decimal float64

// UnmarshalJSON implements json.Unmarshaler.
func (d *decimal) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	n, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return apierr.BadRequest.New("%s in the body is not a number.", apierr.Quote(raw))
	}
	*d = decimal(n)
	return nil
}
