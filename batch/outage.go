package batch

import (
	"slices"
	"time"

	"millrace/internal/apierr"
)

// This file is what the clients of records hear while the broker that leads their partition cannot
// be reached, and how soon. [Cluster.Lost] and [Cluster.Quiet] know of each broker; a watch asks
// them, so that nothing on the way of a request does. Nothing is sent to a broker that is either:
// what is not sent can go to another leader, and its client hears that nothing was written.

// watchEvery is how often the watch looks.
const watchEvery = 100 * time.Millisecond

// noBroker stands for any of them: nothing can be reached, not even to look leaders up.
const noBroker int32 = -1

// refusedBy is the error of records that were not sent, because the broker that could take them
// cannot be reached.
func refusedBy(topic string, lost error) *apierr.Error {
	if why := apierr.Unreachable(lost); why.Kind != apierr.BrokersAway { // such as wrong credentials
		return why
	}
	return apierr.NotWritten.Wrap(lost, "The broker that leads the partition of topic %s cannot be reached. Nothing was written: send it again.", topic)
}

// unknownAfter is the error of records that were sent to a broker that does not answer.
func unknownAfter(lost error) *apierr.Error {
	return apierr.WriteUnknown.Wrap(lost, "A broker was lost while it had the record. It may be written all the same; sending it again may double it.")
}

// watch ends with the producer's context.
func (p *Producer) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
			p.lookForLost()
		}
	}
}

// lookForLost asks for each broker whether it can be reached, and answers the clients that wait
// for one that cannot.
func (p *Producer) lookForLost() {
	p.mu.Lock()
	all := make([]*sender, 0, len(p.senders))
	for _, s := range p.senders {
		all = append(all, s)
	}
	p.mu.Unlock()
	lost := p.cluster.Lost(noBroker)
	p.cut.Store(errorOf(lost))
	if lost != nil {
		p.abandon(nil, lost, false)
	}
	back := false
	for _, s := range all {
		why := p.cluster.Lost(s.id)
		quiet := why == nil && p.cluster.Quiet != nil && p.cluster.Quiet(s.id)
		was := s.lost.Swap(errorOf(why))
		away := why != nil || quiet || s.renews()
		back = s.away.Swap(away) && !away || back
		switch {
		case why != nil:
			p.abandon(s, why, was == nil)
		case quiet:
			p.follow(s)
		}
	}
	if back {
		p.router.ring()
	}
}

// Renew ends the connections to a broker that answers, but not on these. Nothing is sent there until
// all that was in flight has returned: a batch on the new connection would arrive before those in
// front of it, which have to be sent again, and the broker would take it for out of order.
func (p *Producer) Renew(broker int32) {
	p.mu.Lock()
	s := p.senders[broker]
	p.mu.Unlock()
	if s == nil {
		return
	}
	s.renewing.Store(true)
	s.away.Store(true)
	p.client.Reset(broker)
}

// renews reports whether the requests that were in flight at [Producer.Renew] have yet to return.
func (s *sender) renews() bool {
	if !s.renewing.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewing.Store(s.inFlight > 0)
	return s.inFlight > 0
}

// follow looks for other leaders of the partitions that wait for s, which is quiet. If the Kafka
// cluster has replaced it, the requests at s are ended, and their batches go to the new leaders, long
// before s would count as lost: nobody is told anything.
func (p *Producer) follow(s *sender) {
	stuck := false
	for _, t := range p.router.all() {
		waits := false
		for _, part := range *t.partitions.Load() {
			w, moved := part.waitsFor(s)
			waits, stuck = waits || w, stuck || moved
		}
		if waits {
			p.lookAgainSoon(t)
		}
	}
	if stuck {
		p.client.Reset(s.id)
	}
}

// lookAgainSoon has the leaders of a topic looked up, unless that was done just now.
func (p *Producer) lookAgainSoon(t *topic) {
	if time.Since(time.Unix(0, t.looked.Load())) >= leaderless {
		p.router.lookUp(t)
	}
}

// waitsFor reports whether the partition has something that is at s or is for it, and whether it
// has another leader by now, which gets nothing before the requests at s have returned.
func (p *partition) waitsFor(s *sender) (waits, moved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, leader := p.out > 0 && p.home == s, p.leader.Load()
	return at || leader == s && len(p.queue) > 0, at && leader != s && leader != nil
}

func errorOf(err error) *error {
	if err == nil {
		return nil
	}
	return &err
}

// abandon answers the clients of all that waits for s, or for any broker if it is nil. Connections
// are ended where that can help: at once, and where a partition has another leader by now, which
// gets nothing before the requests at s have returned.
func (p *Producer) abandon(s *sender, why error, first bool) {
	stuck, unknown := false, unknownAfter(why)
	for _, t := range p.router.all() {
		waits := false
		for _, part := range *t.partitions.Load() {
			w, moved := part.abandon(s, why, unknown)
			waits, stuck = waits || w, stuck || moved
		}
		if waits {
			p.lookAgainSoon(t)
		}
	}
	if s != nil && (first || stuck) {
		p.client.Reset(s.id)
	}
	p.drained()
}

// abandon answers what waits for s: batches that were never sent fail, those of the others hear
// that the outcome is unknown, while the batch itself goes on. waits reports that s is the leader,
// moved that it is not, and has requests all the same.
func (p *partition) abandon(s *sender, why, unknown error) (waits, moved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	leader := p.leader.Load()
	if p.out > 0 && p.home == s {
		for _, b := range p.flight {
			b.tell(p, unknown)
		}
		moved = leader != s
	}
	if leader != s || s == nil && p.out > 0 {
		return false, moved
	}
	p.queue = slices.DeleteFunc(p.queue, func(b *batch) bool {
		if b.tries == 0 {
			p.finish(b, 0, refusedBy(p.topic.name, why))
			return true
		}
		b.tell(p, unknown)
		return false
	})
	return true, false
}

// tell answers the runs of a batch whose outcome its clients do not wait for any longer. Its memory
// stays charged until it is written or given up.
func (b *batch) tell(p *partition, err error) {
	if b.told {
		return
	}
	b.finish(p.index, 0, err)
	b.told = true
}

// lost returns why the partition cannot be written to at the moment, or nil.
func (p *partition) lost() *error {
	if s := p.leader.Load(); s != nil {
		return s.lost.Load()
	}
	return p.topic.producer.cut.Load()
}
