package rest

import (
	"github.com/valyala/fasthttp"

	"millrace/auth"
	"millrace/consumer"
	"millrace/internal/apierr"
	"millrace/server"
)

// instance returns the instance that the path names, if it is the caller's.
func (c *Consumers) instance(ctx *fasthttp.RequestCtx) (*consumer.Instance, error) {
	group, name, err := server.InstanceParams(ctx)
	if err != nil {
		return nil, err
	}
	return c.owned(ctx, group, name)
}

// owned returns an instance that the caller has made. That of somebody else is not there for the
// caller: nobody else reads, commits or deletes it, nor learns that it exists.
func (c *Consumers) owned(ctx *fasthttp.RequestCtx, group, name string) (*consumer.Instance, error) {
	i, err := c.manager.Get(group, name)
	if caller := server.CallerOf(ctx); err == nil && caller != nil && i.Options().Owner != caller.Principal() {
		return nil, apierr.InstanceNotFound.Err()
	}
	if err != nil {
		return nil, err
	}
	l, _, err := c.edge.Login(ctx)
	if err != nil {
		return nil, err
	}
	i.Renew(l)
	return i, nil
}

// allowPartitions refuses topics that the caller may not consume from.
func allowPartitions(ctx *fasthttp.RequestCtx, tps []consumer.TopicPartition) error {
	for _, tp := range tps {
		if err := server.Allow(ctx, server.Consume, server.Topic, tp.Topic); err != nil {
			return err
		}
	}
	return nil
}

// mayRead refuses a read of topics that the caller may no longer consume from: it could when it
// subscribed, but rules change.
func mayRead(ctx *fasthttp.RequestCtx, i *consumer.Instance) error {
	return mayReadAs(server.CallerOf(ctx), i)
}

// mayReadAs is mayRead for a caller.
func mayReadAs(caller *auth.Identity, i *consumer.Instance) error {
	if caller.MayAll(server.Consume, server.Topic) {
		return nil
	}
	topics, err := i.Topics()
	if err != nil {
		return err
	}
	for _, topic := range topics {
		if err := server.AllowCaller(caller, server.Consume, server.Topic, topic); err != nil {
			return err
		}
	}
	return nil
}
