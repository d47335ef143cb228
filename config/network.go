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
