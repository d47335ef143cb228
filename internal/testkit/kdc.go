package testkit

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Realm is that of a [KDC].
const Realm = "MILLRACE.TEST"

// KDC is a Kerberos server, of MIT's krb5, for one test.
type KDC struct {
	// Config is its krb5.conf.
	Config string

	dir string
	env []string
}

// StartKDC starts one whose tickets live for so long. Without Debian's krb5-kdc and
// krb5-admin-server the test ends by [Missing].
func StartKDC(t testing.TB, life time.Duration) *KDC {
	t.Helper()
	program := func(name string) string {
		path, err := exec.LookPath(name)
		if err != nil {
			path, err = exec.LookPath("/usr/sbin/" + name) // which is in no PATH but root's
		}
		if err != nil {
			Missing(t, "NOT TESTED WITHOUT "+name+": "+t.Name()+"; apt-get install krb5-kdc krb5-admin-server")
		}
		return path
	}
	util, server := program("kdb5_util"), program("krb5kdc")
	program("kadmin.local")
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	k := &KDC{dir: t.TempDir()}
	k.Config = k.file(t, "krb5.conf", fmt.Sprintf("[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n udp_preference_limit = 1\n ticket_lifetime = %d\n"+
		"[realms]\n %s = {\n  kdc = 127.0.0.1:%d\n }\n", Realm, life/time.Second, Realm, ports[0]))
	profile := k.file(t, "kdc.conf", fmt.Sprintf("[realms]\n %s = {\n  database_name = %s/principal\n  key_stash_file = %s/stash\n  kdc_listen = 127.0.0.1:%d\n  kdc_tcp_listen = 127.0.0.1:%d\n  max_life = %ds\n }\n",
		Realm, k.dir, k.dir, ports[0], ports[0], life/time.Second))
	k.env = append(os.Environ(), "KRB5_CONFIG="+k.Config, "KRB5_KDC_PROFILE="+profile)
	k.run(t, util, "create", "-s", "-r", Realm, "-P", "master")
	cmd := exec.Command(server, "-n")
	cmd.Env = k.env
	StartProcess(t, cmd)
	Eventually(t, time.Minute, "the KDC to listen", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0]))
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return k
}

func (k *KDC) file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (k *KDC) run(t testing.TB, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = k.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot run %s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

func (k *KDC) admin(t testing.TB, query string) {
	t.Helper()
	path, err := exec.LookPath("kadmin.local")
	if err != nil {
		path = "/usr/sbin/kadmin.local"
	}
	k.run(t, path, "-r", Realm, "-q", query)
}

// Keytab adds a principal with new keys, and returns a file with them.
func (k *KDC) Keytab(t testing.TB, principal string) string {
	t.Helper()
	k.admin(t, "addprinc -randkey "+principal)
	path := filepath.Join(k.dir, strings.ReplaceAll(principal, "/", "-")+".keytab")
	k.admin(t, "ktadd -k "+path+" "+principal)
	return path
}

// Renew gives a principal new keys, which its keytab has from then on: the KDC takes no others.
func (k *KDC) Renew(t testing.TB, principal, keytab string) {
	t.Helper()
	if err := os.Remove(keytab); err != nil {
		t.Fatal(err)
	}
	k.admin(t, "ktadd -k "+keytab+" "+principal)
}

// properties are those of a broker, on the listener of [StartSecured].
func (k *KDC) properties(t testing.TB) map[string]string {
	t.Helper()
	const listener, principal = "listener.name.clients.", "kafka/127.0.0.1@" + Realm
	return map[string]string{
		listener + "sasl.enabled.mechanisms":    "GSSAPI,SCRAM-SHA-512",
		listener + "sasl.kerberos.service.name": "kafka",
		listener + "gssapi.sasl.jaas.config":    fmt.Sprintf("com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=%q principal=%q;", k.Keytab(t, principal), principal),
	}
}
