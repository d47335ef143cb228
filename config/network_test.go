package config

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"millrace/server"
)

func TestForwardedTrusted(t *testing.T) {
	for text, want := range map[string]struct{ in, out string }{
		"":                   {"", "127.0.0.1 10.0.0.1 192.0.2.1"},
		"loopback":           {"127.0.0.1 127.1.2.3 ::1", "10.0.0.1 128.0.0.1 ::2"},
		"Private":            {"10.0.0.1 172.31.0.1 192.168.1.1 169.254.1.1 fd00::1 fe80::1", "127.0.0.1 172.32.0.1 11.0.0.1 2001:db8::1"},
		"192.0.2.1":          {"192.0.2.1", "192.0.2.2"},
		"::ffff:192.0.2.1":   {"192.0.2.1", "192.0.2.2"},
		"192.0.2.77/24, ::1": {"192.0.2.1 ::1", "192.0.3.1 127.0.0.1"},
		"0.0.0.0/0":          {"8.8.8.8", "2001:db8::1"},
	} {
		trusted := load(t, "forwarded.trusted="+text).Server.ForwardedTrusted
		for addrs, believed := range map[string]bool{want.in: true, want.out: false} {
			for addr := range strings.FieldsSeq(addrs) {
				found := false
				for _, p := range trusted {
					found = found || p.Contains(netip.MustParseAddr(addr))
				}
				if found != believed {
					t.Errorf("forwarded.trusted=%s: %s is believed: %v", text, addr, found)
				}
			}
		}
	}
	if got := fmt.Sprint(load(t).Server.ForwardedTrusted); !strings.Contains(got, "127.0.0.0/8") || !strings.Contains(got, "10.0.0.0/8") || strings.Contains(got, "0.0.0.0/0") {
		t.Errorf("the default is %s", got)
	}
	if named := load(t).Server.ForwardedNamed; named != nil {
		t.Errorf("limits believe %v, which nobody has named", named)
	}
	if named := load(t, "forwarded.trusted=private").Server.ForwardedNamed; len(named) != len(server.PrivatePrefixes()) {
		t.Errorf("limits believe %v", named)
	}
	for _, wrong := range []string{"all", "10.0.0.0/33", "10.0.0", "example.com", "fe80::1%eth0", "*", "::ffff:10.0.0.0/104"} {
		if fault := loadFault(t, "forwarded.trusted="+wrong); !strings.Contains(fault, "neither an address nor a network") {
			t.Errorf("%s: %s", wrong, fault)
		}
	}
}

func TestHostNames(t *testing.T) {
	for _, wrong := range []string{"h:1", "http://h", "*.example", "h/p", "user@h", "[::1", "a b"} {
		if fault := loadFault(t, "hosts.own="+wrong); !strings.Contains(fault, "is not a host name") {
			t.Errorf("%s: %s", wrong, fault)
		}
	}
}
