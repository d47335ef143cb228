package auth

import "fmt"

// places is how many kinds of resources rules tell apart: paths, topics, groups.
const places = 3

// rights are what one identity may do, compiled from the rules that name it.
type rights struct {
	// open: there are no rules, and whoever has shown an identity may do everything.
	open bool
	by   [actions][places]right
}

// right is about one action on one kind of resource.
type right struct{ allow, deny patterns }

// placeOf returns the index of a resource in rights.
func placeOf(r Resource) int {
	switch r.one() {
	case Topic:
		return 1
	case Group:
		return 2
	}
	return 0
}

var resourceOf = [places]Resource{Node, Topic, Group}

// compile returns the rights of an identity by the rules.
func compile(rules []rule, id *Identity) (out rights) {
	for i := range rules {
		r := &rules[i]
		denies := len(r.Deny) > 0
		if !names(r.Who, id, denies) {
			continue
		}
		for a := range actions {
			if !r.actions[a] {
				continue
			}
			for place, res := range resourceOf {
				list, _ := r.of(res)
				for _, pattern := range list {
					if denies {
						out.by[a][place].deny.add(pattern)
					} else {
						out.by[a][place].allow.add(pattern)
					}
				}
			}
		}
	}
	return out
}

// May reports whether the identity may do the action to the resource of that name. The name of
// [Node] and [Cluster] is a route's path; that of [Topics] and [Groups] does not matter: one may
// do the action to several if one may do it to any.
func (id *Identity) May(a Action, r Resource, name string) bool {
	if id == nil || a == Probe || a == Notify {
		return true
	}
	if a == Undeclared {
		return false
	}
	if id.rights.open {
		return true
	}
	right := &id.rights.by[a][placeOf(r)]
	if r == Topics || r == Groups {
		return !right.deny.any && !right.allow.empty()
	}
	return !right.deny.match(name) && right.allow.match(name)
}

// WriteForbidden reports whether a rule denies the identity to write to a topic, and which action
// it denies. It is for what is allowed under another name: the deny holds for the topic all the
// same.
func (id *Identity) WriteForbidden(topic string) (by Action, forbidden bool) {
	if id == nil || id.rights.open {
		return Undeclared, false
	}
	for _, a := range [...]Action{Produce, Ingest} {
		if id.rights.by[a][placeOf(Topic)].deny.match(topic) {
			return a, true
		}
	}
	return Undeclared, false
}

// MayAll reports whether the identity may do the action to every resource of the kind, those too
// that do not exist yet.
func (id *Identity) MayAll(a Action, r Resource) bool {
	if id == nil || id.rights.open {
		return true
	}
	right := &id.rights.by[a][placeOf(r)]
	return right.allow.any && right.deny.empty()
}

// MayNothing reports whether no rule allows the identity anything.
func (id *Identity) MayNothing() bool {
	if id == nil || id.rights.open {
		return false
	}
	for a := range id.rights.by {
		for place := range id.rights.by[a] {
			if !id.rights.by[a][place].allow.empty() {
				return false
			}
		}
	}
	return true
}

// Ruled reports whether there are rules that the identity's rights come from. Without rules what
// is dangerous is not for everyone who has an identity.
func (id *Identity) Ruled() bool { return id != nil && !id.rights.open }

// Explain says which rule decides, for a person.
func (id *Identity) Explain(a Action, r Resource, name string) (allowed bool, why string) {
	allowed = id.May(a, r, name)
	switch {
	case a == Probe || a == Notify:
		return allowed, "it is open to everyone"
	case id.rights.open:
		return allowed, "there is no file of rules (authorization.rules.file), so every identity may do everything"
	case r == Topics || r == Groups:
		return allowed, fmt.Sprintf("it is about several: %s must be allowed on at least one %s, and each is checked by itself", a, r.noun())
	}
	rules := id.policy.rules
	for i := range rules {
		if len(rules[i].Deny) > 0 && names(rules[i].Who, id, true) && rules[i].matches(a, r.one(), name) {
			return allowed, "by the rule in " + rules[i].String()
		}
	}
	for i := range rules {
		if len(rules[i].Allow) > 0 && names(rules[i].Who, id, false) && rules[i].matches(a, r.one(), name) {
			return allowed, "by the rule in " + rules[i].String()
		}
	}
	return allowed, fmt.Sprintf("no rule allows %s to %s %s on the %s %s", a, id.principal, id.rolesText(), r.noun(), name)
}

func (id *Identity) rolesText() string {
	if len(id.roles) == 0 {
		return "(no roles)"
	}
	return fmt.Sprintf("(roles %v)", id.roles)
}
