package main

import (
	"context"
	"fmt"

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
func (n *node) delegation(compressor *kafka.Compressor) api.Delegation {
	d := api.Delegation{Max: n.cfg.MaxPrincipals, Idle: n.cfg.PrincipalIdle}
	d.Open = func(ctx context.Context, l *kafka.Login) (*api.Rights, error) {
		return n.openRights(ctx, l, compressor)
	}
	d.Close = n.closeRights
	return d
}

// verifyLogin is an [auth.PasswordCheck]. Its connection is not kept: nothing that wrong passwords
// do reaches the connections of those who have logged in.
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
func (n *node) openRights(ctx context.Context, l *kafka.Login, compressor *kafka.Compressor) (_ *api.Rights, err error) {
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
	if r.Producer, err = n.producerOf(l, r.Metadata, compressor); err != nil {
		return nil, err
	}
	read := reader.Deps{Schemas: n.schemas, Healthy: r.Metadata.Healthy, Read: countRead(n.metrics)}
	r.Reader = reader.New(n.consumeSettings().As(l.SASL()), n.cfg.KafkaConsumer, readerSettings(n.cfg), read)
	r.Ended = client.Close
	return r, nil
}

// producerOf makes the producer of a login.
func (n *node) producerOf(l *kafka.Login, cache *metadata.Cache, compressor *kafka.Compressor) (*batch.Producer, error) {
	liveness := kafka.NewLiveness(n.cfg.Producer.SilenceLimit)
	s := n.clientSettings(n.cfg.KafkaProduce.As(l.SASL()), metrics.ProducerClient)
	s.Hooks = append(s.Hooks, cache.Hook(), liveness)
	lost := func(broker int32) error {
		if broker < 0 {
			return nil
		}
		return liveness.Check(broker)
	}
	producer, err := n.producerWith(s, cache, batch.Cluster{Lost: lost, Quiet: liveness.Quiet}, compressor)
	if err != nil {
		return nil, err
	}
	liveness.OnHalfOpen(producer.Renew)
	return producer, nil
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
