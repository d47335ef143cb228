package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"millrace/config"
	"millrace/server"
)

// maxHealth bounds what is read of a response: it goes into a message.
const maxHealth = 4 << 10

type healthcheckCommand struct {
	sources
	URL     string        `help:"The node; without it the first listener of the settings, on this machine." placeholder:"URL"`
	Ready   bool          `help:"Ask /readyz, whether requests make sense, rather than /healthz, whether the process answers."`
	Timeout time.Duration `help:"How long the answer may take." default:"2s"`
}

// Validate is called by kong.
func (c healthcheckCommand) Validate() error {
	if c.Timeout <= 0 {
		return errors.New("--timeout must be more than 0s")
	}
	return nil
}

// Run fails unless the node answers 200.
func (c healthcheckCommand) Run() error {
	base, secured, err := c.node()
	if err != nil {
		return err
	}
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+path, nil)
	if err != nil {
		return fmt.Errorf("cannot use the URL: %w", err)
	}
	client := http.Client{
		Transport:     &http.Transport{TLSClientConfig: secured, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the node does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxHealth)) // what came is shown
		return fmt.Errorf("the node answers %s with %d: %s", path, resp.StatusCode, text)
	}
	return nil
}

// node returns the URL of the node, and how to speak to an HTTPS listener of it.
func (c healthcheckCommand) node() (url string, secured *tls.Config, err error) {
	if c.URL != "" {
		return c.URL, nil, nil
	}
	// The check asks the node and not Kafka, so it does without Kafka's address.
	cfg, err := c.load("bootstrap.servers=localhost:9092")
	if err != nil {
		return "", nil, err
	}
	return localURL(cfg.Server.Listeners[0]), localTLS(cfg), nil
}

// localURL returns the URL of a listener for a program on the same machine.
func localURL(l server.Listener) string {
	scheme := "http"
	if l.TLS != nil {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(l.Addr) // config has checked it
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// localTLS returns the client's side of this node's own HTTPS listeners. It shows the node's own
// certificate, for listeners that ask for one. It does not verify the listener's, which is for the
// name of the service and not for this machine; nothing is sent that others may not read.
func localTLS(cfg *config.Config) *tls.Config {
	if cfg.Peer.TLS == nil {
		return &tls.Config{InsecureSkipVerify: true}
	}
	local := cfg.Peer.TLS()
	local.InsecureSkipVerify = true
	return local
}
