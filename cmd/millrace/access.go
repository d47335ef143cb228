package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"millrace/auth"
	"millrace/internal/kafka"
	"millrace/metrics"
	"millrace/server"
	"millrace/server/api"
)

// keyCommand is what concerns API keys.
type keyCommand struct {
	New newKeyCommand `cmd:"" help:"Make an API key: print it once, and the entry for authentication.keys.file, which has only its hash."`
}

type newKeyCommand struct {
	ID      string        `arg:"" help:"Name of the key in rules (key:ID) and in the log."`
	Roles   []string      `help:"Roles of the key in rules (role:NAME)." placeholder:"ROLE"`
	Expires time.Duration `help:"How long the key is valid, such as 8760h; by default until it is taken out of the file." placeholder:"TIME"`
}

// Validate is called by kong.
func (c newKeyCommand) Validate() error {
	if c.Expires < 0 {
		return errors.New("--expires must not be negative")
	}
	return nil
}

// Run prints the entry to standard output, so that it can be appended to the file, and the key to
// standard error.
func (c newKeyCommand) Run() error {
	var end time.Time
	if c.Expires > 0 {
		end = time.Now().Add(c.Expires).UTC().Truncate(time.Second)
	}
	secret, entry, err := auth.NewKey(c.ID, c.Roles, end)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(os.Stderr, "The key, which is shown only now: %s\n", secret); err != nil {
		return fmt.Errorf("cannot print the key: %w", err)
	}
	if _, err := io.WriteString(os.Stdout, entry); err != nil {
		return fmt.Errorf("cannot print the entry: %w", err)
	}
	return nil
}

// authCommand is what concerns the rules about callers.
type authCommand struct {
	Test authTestCommand `cmd:"" help:"Say whether a caller may send a request, and by which rule."`
}

type authTestCommand struct {
	sources
	As     string   `required:"" help:"The caller: user:NAME, key:ID, cert:NAME, jwt:NAME, anonymous." placeholder:"WHO"`
	Roles  []string `help:"Roles of a cert or jwt." placeholder:"ROLE"`
	Method string   `arg:"" help:"Method of the request."`
	Path   string   `arg:"" help:"Path of the request, such as /topics/t."`
}

// Run decides as a node with these settings would; its exit code is 1 where the request would be
// refused.
func (c authTestCommand) Run() error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	access, err := auth.New(cfg.Access, log)
	if err != nil {
		return err
	}
	if !access.Asks() {
		return errors.New("nobody is asked who they are: neither authentication.… nor authorization.rules.file is set")
	}
	defer access.Close()
	who, err := access.Test(c.As, c.Roles)
	if err != nil {
		return err
	}
	allowed, lines, err := api.New(apiSettings(cfg), api.Parts{Access: access, Logger: log}).Explain(who, c.Method, c.Path)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s\n", strings.ToUpper(c.Method), c.Path)
	for _, line := range lines {
		fmt.Printf("  %s\n", line)
	}
	if !allowed {
		return fmt.Errorf("%s is refused", c.As)
	}
	fmt.Printf("%s is let in\n", c.As)
	return nil
}

// openAccess reads who callers can be. A node that asks nobody logs a warning.
func (n *node) openAccess() (err error) {
	if n.access, err = auth.New(n.cfg.Access, n.log); err != nil {
		return err
	}
	if n.access.Delegates() {
		n.access.CheckPasswordsBy(n.verifyLogin)
	}
	go watchFiles(n.log, n.cfg.AccessInterval, n.ended, "identities and rules", n.access.Reload)
	go watchFiles(n.log, n.cfg.AccessInterval, n.ended, "certificates", n.cfg.Certificates.Reload)
	if !n.access.Asks() && !onLoopback(n.cfg.Server.Listeners) {
		n.log.Warn("NOBODY IS ASKED WHO THEY ARE: whoever reaches this node may do all that its Kafka principal may. Set authentication.passwords.file, authentication.keys.file or authentication.certificates, and authorization.rules.file, or let only those reach it that are trusted")
	}
	return nil
}

// openAudit opens what writes to the topic of the audit, if there is one.
func (n *node) openAudit() (err error) {
	if n.cfg.AuditTopic != "" {
		n.audit, err = kafka.NewRecorder(n.clientSettings(n.cfg.KafkaProduce, metrics.AdminClient), n.cfg.AuditTopic)
	}
	return err
}

// auditLog returns what writes to the topic of the audit; nil without one.
func (n *node) auditLog() *slog.Logger {
	if n.audit == nil {
		return nil
	}
	return slog.New(slog.NewJSONHandler(n.audit, nil)).With("node", n.cfg.ID)
}

// onLoopback reports whether no other machine reaches the listeners.
func onLoopback(all []server.Listener) bool {
	return !slices.ContainsFunc(all, func(l server.Listener) bool {
		host, _, err := net.SplitHostPort(l.Addr)
		ip := net.ParseIP(host)
		return err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback())
	})
}
