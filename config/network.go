package config

import (
	"fmt"
	"net/netip"
	"strings"

	"millrace/server"
)

// networks is a list of addresses that proxies have.
var networks = kind[[]netip.Prefix]{
	allowed: "loopback, private, addresses and networks (10.0.0.0/8), separated by commas; empty means nobody",
	parse: func(s string) ([]netip.Prefix, error) {
		var prefixes []netip.Prefix
		for _, part := range commaList(s) {
			switch strings.ToLower(part) {
			case "loopback":
				prefixes = append(prefixes, server.LoopbackPrefixes()...)
				continue
			case "private":
				prefixes = append(prefixes, server.PrivatePrefixes()...)
				continue
			}
			prefix, err := parseNetwork(part)
			if err != nil {
				return nil, err
			}
			prefixes = append(prefixes, prefix)
		}
		return prefixes, nil
	},
}

// parseNetwork reads a network, or an address as the network of it alone.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network", text)
	}
	return prefix.Masked(), nil
}

// hostNames is a list of host names without ports.
var hostNames = kind[[]string]{
	allowed: "host names without ports, separated by commas",
	parse: func(s string) ([]string, error) {
		names := commaList(s)
		for _, name := range names {
			if !server.ValidHostName(name) {
				return nil, fmt.Errorf("%q is not a host name", name)
			}
		}
		return names, nil
	},
}

// checkOrigins tells of allowed origins and methods that no request has. The node starts all the
// same, as the Confluent proxy does: it allows less than was meant, not more.
func (d *draft) checkOrigins() {
	for _, list := range [...]struct {
		name, allowed string
		can           func(string) bool
	}{
		{"access.control.allow.origin", "https://HOST, https://HOST:PORT, https://*.DOMAIN, *, without quotes", server.CanBeOrigin},
		{"access.control.allow.methods", "GET, POST, PUT, PATCH, DELETE, HEAD and OPTIONS, without quotes", isMethod},
	} {
		e := d.given[list.name]
		for _, value := range commaList(e.text) {
			if !list.can(value) {
				d.notUsed(e, fmt.Sprintf("no request has %q; allowed: %s", value, list.allowed))
			}
		}
	}
}

func isMethod(text string) bool {
	switch strings.ToUpper(text) {
	case "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS":
		return true
	}
	return false
}
