package metadata

import "context"

// Lost returns why a leader of the topic cannot be reached: that of the partition, or the first
// that is met if the partition is negative. all reports that there is no other partition to go to.
// lost returns the same about one broker, nil if it may be expected to answer. A topic that is not
// cached has lost nothing. Lost takes no lock and asks no broker; a refresh that it starts finds
// the leaders that Kafka elects in place of those that are lost.
func (c *Cache) Lost(topic string, partition int32, lost func(broker int32) error) (all bool, err error) {
	t := c.view.Load().topic(topic)
	if t == nil || int(partition) >= len(t.Partitions) {
		return false, nil
	}
	if partition >= 0 {
		err = lost(t.Partitions[partition].Leader)
		all = err != nil
	} else {
		reachable := 0
		for i := range t.Partitions {
			leader := t.Partitions[i].Leader
			if e := lost(leader); e != nil {
				err = e
			} else if leader >= 0 {
				reachable++
			}
		}
		all = err != nil && reachable == 0
	}
	if err != nil {
		c.doubt(t)
	}
	return all, err
}

// Afresh returns a topic that a reader missed, or missed a partition of: one that was created or
// got partitions since the view was taken. It waits for a view that is taken from now on, which
// all that wait share: those who ask without end for what does not exist are slowed down to the
// rate limit, and the brokers asked no more often. It creates nothing.
func (c *Cache) Afresh(ctx context.Context, name string) (*Topic, error) {
	v, r, err := c.fresh(ctx, 0)
	if err != nil {
		return nil, err
	}
	if r.Stale {
		return nil, c.Away()
	}
	return c.find(ctx, v, name)
}
