package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/admin"
	"millrace/batch"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/metadata"
	"millrace/metrics"
	"millrace/reader"
	"millrace/server/api"
)

// delegation returns how callers use Kafka with rights of their own.
func (n *node) delegation(held *atomic.Int64, compressor *kafka.Compressor) api.Delegation {
	d := api.Delegation{Max: n.cfg.MaxPrincipals, Idle: n.cfg.PrincipalIdle}
	d.Open = func(ctx context.Context, l *kafka.Login) (*api.Rights, error) {
		return n.openRights(ctx, l, held, compressor)
	}
	d.Close = n.closeRights
	return d
}

// verifyLogin is an [auth.Verifier]. Its connection is not kept: nothing that wrong passwords do
// reaches the connections of those who have logged in.
func (n *node) verifyLogin(ctx context.Context, l *kafka.Login) error {
	client, err := n.clientOf(ctx, l)
	if err != nil {
		return err
	}
	client.Close()
	return nil
}

// clientOf returns a client for look-ups and changes, whose login Kafka has accepted.
func (n *node) clientOf(ctx context.Context, l *kafka.Login) (*kgo.Client, error) {
	client, err := kafka.NewAdmin(n.clientSettings(n.cfg.Kafka.As(l.SASL()), metrics.AdminClient))
	if err != nil {
		return nil, err
	}
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, apierr.From(fmt.Errorf("cannot log in to Kafka: %w", err))
	}
	return client, nil
}

// openRights opens the parts that ask Kafka with the rights of a login. All of them share one
// client for what is neither written nor read as records.
func (n *node) openRights(ctx context.Context, l *kafka.Login, held *atomic.Int64, compressor *kafka.Compressor) (_ *api.Rights, err error) {
	client, err := n.clientOf(ctx, l)
	if err != nil {
		return nil, err
	}
	r := &api.Rights{Metadata: metadata.New(client, n.cfg.Metadata, n.log)}
	defer func() {
		if err != nil {
			n.closeRights(ctx, r)
			client.Close()
		}
	}()
	if err := r.Metadata.Wait(ctx); err != nil {
		return nil, r.Metadata.Away()
	}
	r.Admin = admin.New(client, admin.Settings{Reserved: n.cfg.Metadata.Reserved}, admin.Deps{Changed: r.Metadata.Invalidate})
	if r.Producer, err = n.producerOf(l, r.Metadata, held, compressor); err != nil {
		return nil, err
	}
	read := reader.Deps{Schemas: n.schemas, Healthy: r.Metadata.Healthy, Read: countRead(n.metrics)}
	r.Reader = reader.New(n.consumeSettings().As(l.SASL()), n.cfg.KafkaConsumer, readerSettings(n.cfg), read)
	r.Ended = client.Close
	return r, nil
}

// producerOf makes the producer of a login. It shares nothing with others but the bound of memory.
func (n *node) producerOf(l *kafka.Login, cache *metadata.Cache, held *atomic.Int64, compressor *kafka.Compressor) (*batch.Producer, error) {
	s := n.clientSettings(n.cfg.KafkaProduce.As(l.SASL()), metrics.ProducerClient)
	liveness := kafka.NewLiveness(n.cfg.Producer.SilenceLimit)
	s.Hooks = append(s.Hooks, cache.Hook(), liveness)
	client, err := kafka.NewSender(s, n.cfg.Producer)
	if err != nil {
		return nil, err
	}
	around := batch.Cluster{
		Topic: topicBy(cache.Topic), Afresh: topicBy(cache.Afresh), Healthy: cache.Healthy, Contradicted: cache.Invalidate,
		Lost: func(broker int32) error {
			if broker < 0 {
				return nil
			}
			return liveness.Check(broker)
		},
		Quiet: liveness.Quiet, Waited: n.metrics.ObserveWait, Written: kafka.BatchWritten(s.Hooks), Held: held,
	}
	if n.tracing != nil {
		around.Begin, around.End = n.tracing.Records(s.ClientID)
	}
	producer := batch.New(client, compressor, around, n.cfg.Batch, n.cfg.Producer)
	liveness.OnHalfOpen(producer.Renew)
	return producer, nil
}

// topicBy answers a producer's question about a topic by a look-up in metadata.
func topicBy(look func(context.Context, string) (*metadata.Topic, error)) func(context.Context, string) (string, int32, error) {
	return func(ctx context.Context, name string) (string, int32, error) {
		t, err := look(ctx, name)
		if err != nil {
			return "", 0, err
		}
		return t.Name, int32(len(t.Partitions)), nil
	}
}

// closeRights ends the parts of a login, in the order in which those of the node end.
func (n *node) closeRights(ctx context.Context, r *api.Rights) {
	if r.Reader != nil {
		if err := r.Reader.Close(ctx); err != nil {
			n.log.Warn("cannot end all reads of a caller", "err", err)
		}
	}
	if r.Producer != nil {
		if err := r.Producer.Close(ctx); err != nil {
			n.log.Warn("cannot write all records of a caller", "err", err)
		}
	}
	r.Metadata.Close()
	if r.Ended != nil {
		r.Ended()
	}
}
