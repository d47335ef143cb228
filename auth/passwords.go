package auth

import (
	"fmt"
	"strings"

	"millrace/internal/javaconf"
)

// user is one line of a file of passwords.
type user struct {
	name       string
	credential string // as the file has it
	secret     secret
	roles      []string
	weak       bool
}

// parsePasswords reads a file of passwords: lines of `name: credential, role, role…`, as Jetty's
// PropertyFileLoginModule has them, or as htpasswd writes them, without roles. Errors name the
// line and quote nothing of it.
func parsePasswords(data []byte) (map[string]*user, error) {
	properties, faults := javaconf.ParseProperties(data)
	for _, f := range faults {
		return nil, fmt.Errorf("line %d: %s", f.Line, f.Problem)
	}
	users := make(map[string]*user, len(properties))
	for _, p := range properties {
		credential, roles := splitRoles(strings.TrimSpace(p.Value))
		u := &user{name: p.Key, credential: credential, roles: roles}
		var err error
		if u.secret, u.weak, err = parseSecret(credential); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.Line, err)
		}
		switch {
		case p.Key == "" || strings.ContainsAny(p.Key, "*:"):
			return nil, fmt.Errorf("line %d: a name is not empty and has neither * nor a colon", p.Line)
		case users[p.Key] != nil:
			return nil, fmt.Errorf("line %d: the name occurs twice", p.Line)
		}
		users[p.Key] = u
	}
	return users, nil
}

// splitRoles cuts the roles off a credential. The parameters of argon2id have commas of their own.
func splitRoles(text string) (credential string, roles []string) {
	from := 0
	if strings.HasPrefix(text, "$argon2id$") {
		from = strings.LastIndexByte(text, '$')
	}
	comma := strings.IndexByte(text[from:], ',')
	if comma < 0 {
		return text, nil
	}
	return strings.TrimSpace(text[:from+comma]), listOf(text[from+comma+1:])
}

// listOf cuts at commas.
func listOf(text string) (list []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
