package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/config"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/schema"
)

const (
	// tryFor bounds one attempt to reach a broker or the registry.
	tryFor = 5 * time.Second
	// maxTried bounds the brokers that are tried beside those of the settings.
	maxTried = 100
)

// finding is the result of an attempt to reach one address: what it is, or why it cannot be used.
type finding struct {
	what, found string
	err         error
	cause       error // of err, which clients are not told
}

// side is one of the uses of Kafka, each of which has a client of its own.
type side struct {
	name  string
	link  kafka.Settings
	found []finding
}

// tryConnections connects to Kafka, as each of the node's clients would, and to the schema
// registry, and writes a line for each address. The error counts the addresses that cannot be
// used.
func tryConnections(w io.Writer, cfg *config.Config) error {
	sides := []side{{name: "metadata", link: cfg.Kafka}, {name: "producing", link: cfg.KafkaProduce}, {name: "consuming", link: cfg.KafkaConsume}}
	var trying sync.WaitGroup
	for i := range sides {
		trying.Go(func() { sides[i].found = tryKafka(sides[i].link) })
	}
	trying.Wait()
	var all []finding
	for i, s := range sides {
		if i > 0 && slices.EqualFunc(s.found, sides[0].found, alike) {
			continue // the same brokers, reached in the same way
		}
		for _, f := range s.found {
			f.what = "Kafka for " + s.name + ", " + f.what
			all = append(all, f)
		}
	}
	tried, err := tryRegistry(cfg)
	if err != nil {
		return err
	}
	all = append(all, tried...)
	failed := 0
	for _, f := range all {
		text := f.found
		if f.err != nil {
			failed++
			text = "FAILED: " + f.err.Error()
		}
		if f.cause != nil {
			text += " (" + f.cause.Error() + ")"
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", f.what, text); err != nil {
			return fmt.Errorf("cannot print what was found: %w", err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d addresses cannot be used", failed, len(all))
	}
	return nil
}

// alike reports whether two findings are the same. Causes are left out: they have the port of the
// attempt.
func alike(a, b finding) bool {
	return a.what == b.what && a.found == b.found && (a.err == nil) == (b.err == nil) && (a.err == nil || a.err.Error() == b.err.Error())
}

// tryKafka asks every bootstrap server, and then every broker that one of them names: clients are
// sent there, by addresses that only brokers know (advertised.listeners).
func tryKafka(link kafka.Settings) []finding {
	all, answers := make([]finding, len(link.Brokers)), make([]*kmsg.MetadataResponse, len(link.Brokers))
	var trying sync.WaitGroup
	for i, address := range link.Brokers {
		trying.Go(func() { all[i], answers[i] = trySeed(link, address) })
	}
	trying.Wait()
	first := slices.IndexFunc(answers, func(r *kmsg.MetadataResponse) bool { return r != nil })
	if first < 0 {
		return all
	}
	brokers := answers[first].Brokers
	brokers = brokers[:min(len(brokers), maxTried)]
	named := make([]finding, len(brokers))
	for i, b := range brokers {
		trying.Go(func() {
			address := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
			named[i].what = fmt.Sprintf("broker %d at %s, its advertised.listeners", b.NodeID, address)
			_, named[i].err, named[i].cause = tryBroker(link, address)
		})
	}
	trying.Wait()
	return append(all, slices.DeleteFunc(named, func(f finding) bool { return f.err == nil })...)
}

// trySeed asks a bootstrap server for its cluster.
func trySeed(link kafka.Settings, address string) (finding, *kmsg.MetadataResponse) {
	f := finding{what: address}
	var resp *kmsg.MetadataResponse
	resp, f.err, f.cause = tryBroker(link, address)
	switch {
	case f.err == nil:
		f.found = fmt.Sprintf("a broker of cluster %s of %d brokers; %s", clusterID(resp), len(resp.Brokers), securityOf(link))
	case kafka.IsWebServer(context.Background(), link, address):
		f.err, f.cause = errors.New("this is a web server, and no Kafka broker"), nil
	}
	return f, resp
}

func clusterID(resp *kmsg.MetadataResponse) string {
	if resp.ClusterID == nil {
		return "without id"
	}
	return *resp.ClusterID
}

// tryBroker asks the broker at an address for its cluster, by a client of its own. The error is
// what clients would be told.
func tryBroker(link kafka.Settings, address string) (resp *kmsg.MetadataResponse, told, cause error) {
	link.Brokers = []string{address}
	client, err := kafka.NewAdmin(link)
	if err != nil {
		return nil, err, nil
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), tryFor)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err = req.RequestWith(ctx, client.SeedBrokers()[0])
	if err == nil {
		return resp, nil, nil
	}
	if ctx.Err() != nil { // the library has other words for it
		err = fmt.Errorf("no answer in %v: %w", tryFor, ctx.Err())
	}
	told, cause = explained(apierr.Unreachable(err))
	return nil, told, cause
}

// explained divides an error into what clients are told, and the cause.
func explained(err error) (told, cause error) {
	var own *apierr.Error
	if err == nil || !errors.As(err, &own) {
		return err, nil
	}
	return errors.New(own.Message()), own.Cause
}

// securityOf describes how a client connects.
func securityOf(link kafka.Settings) string {
	transport := "no TLS"
	if link.TLS != nil {
		transport = "TLS"
		if len(link.TLS.Certificates) > 0 {
			transport += " with a certificate of this node"
		}
	}
	if link.SASL == nil {
		return transport + ", no login"
	}
	return transport + ", SASL " + link.SASL.Name()
}

// tryRegistry asks the schema registry at each of its URLs. Where nobody named one, a registry that
// is not there is no fault.
func tryRegistry(cfg *config.Config) (all []finding, err error) {
	tried, err := schema.Try(context.Background(), cfg.Schema, tryFor)
	if err != nil {
		return nil, err
	}
	named := slices.ContainsFunc(cfg.Effective(), func(e config.Effective) bool {
		return e.Name == "schema.registry.url" && e.Origin != "default"
	})
	for _, t := range tried {
		f := finding{what: "Schema registry " + t.URL}
		f.err, f.cause = explained(t.Err)
		switch {
		case t.Err == nil:
			f.found = "takes " + strings.Join(t.Types, ", ")
		case !named:
			f.found, f.err, f.cause = "none at the default address: avro, jsonschema and protobuf are refused", nil, nil
		}
		all = append(all, f)
	}
	return all, nil
}
