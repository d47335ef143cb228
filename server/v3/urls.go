package v3

import (
	"net/url"
	"strconv"
	"strings"
)

// urls makes the URLs and resource names of one answer.
type urls struct {
	base    string // as clients reach this node
	cluster string // the id; empty in the list of clusters
}

// to returns the URL of something below the cluster. parts are names and numbers, which to
// escapes.
func (u *urls) to(parts ...any) string {
	b := append([]byte(u.base), "/v3/clusters"...)
	if u.cluster != "" {
		b = append(append(b, '/'), url.PathEscape(u.cluster)...)
	}
	for _, p := range parts {
		b = append(append(b, '/'), url.PathEscape(plain(p))...)
	}
	return string(b)
}

// link is a reference to something else.
type link struct {
	Related string `json:"related"`
}

// link returns the reference to something below the cluster.
func (u *urls) link(parts ...any) link { return link{u.to(parts...)} }

// name returns the resource name of something below the cluster: pairs of a kind and a name, and
// perhaps a last kind without one.
func (u *urls) name(pairs ...any) string {
	var b strings.Builder
	b.WriteString("crn:///kafka=" + u.cluster)
	for n, p := range pairs {
		if n%2 == 0 {
			b.WriteString("/" + plain(p))
		} else {
			b.WriteString("=" + url.PathEscape(plain(p)))
		}
	}
	return b.String()
}

// plain returns the text of a name or a number.
func plain(part any) string {
	switch v := part.(type) {
	case string:
		return v
	case int32:
		return strconv.Itoa(int(v))
	}
	panic("a part of a path is neither a name nor a number")
}

// self is the metadata of one resource.
type self struct {
	Self         string `json:"self"`
	ResourceName string `json:"resource_name"`
}
