package kafka

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"
)

// A client of Kafka that ends gives up the tickets that it shares, and not those that another is
// just getting.
func TestTicketsAreNotGivenUpInUse(t *testing.T) {
	kdc, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer kdc.Close()
	dir := t.TempDir()
	keys := keytab.New()
	if err := keys.AddEntry("node", "TEST", "secret", time.Unix(1, 0), 1, 18); err != nil {
		t.Fatal(err)
	}
	table, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	k := Kerberos{Config: filepath.Join(dir, "krb5.conf"), Keytab: filepath.Join(dir, "keytab"), Principal: "node", Realm: "TEST", Service: "kafka"}
	conf := "[libdefaults]\n default_realm = TEST\n dns_lookup_kdc = false\n udp_preference_limit = 1\n[realms]\n TEST = {\n  kdc = " + kdc.Addr().String() + "\n }\n"
	for path, text := range map[string][]byte{k.Config: []byte(conf), k.Keytab: table} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := k.Mechanism()
	if err != nil {
		t.Fatal(err)
	}
	shared := m.(*tickets)
	failed := make(chan error, 1)
	go func() {
		_, _, err := shared.Authenticate(t.Context(), "127.0.0.1:9092")
		failed <- err
	}()
	for first := true; ; first = false {
		asked := make(chan net.Conn, 1)
		go func() {
			if conn, err := kdc.Accept(); err == nil {
				asked <- conn
			}
		}()
		select {
		case conn := <-asked:
			if first {
				shared.Close()
			}
			conn.Close() // the KDC is away
			continue
		case err = <-failed:
		}
		break
	}
	if err == nil || strings.Contains(err.Error(), "username") {
		t.Errorf("%v: it has lost its name", err)
	}
	if shared.client != nil {
		t.Error("the tickets are not given up")
	}
}
