package batch

import (
	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/internal/fair"
	"millrace/pool"
)

// Budget returns what the encoding of the job's records may cost, for formats whose bytes are not
// those of the body: all of the producer's memory that the job itself does not take. The arena's
// growth is charged as it happens, so that requests cannot hold more together than
// producer.buffer.memory.
func (p *Producer) Budget(j *Job) (*codec.Budget, error) {
	if err := p.admit(j, cap(j.Arena)); err != nil {
		return nil, err
	}
	j.budget.Begin(int(p.settings.BufferBytes - j.size(0)))
	return &j.budget, nil
}

// Ready returns why a request of a caller with a body of n bytes would be refused as things are,
// or nil. It is for a caller who can save itself the reading and decoding of it. A job
// takes more memory than its body: by how much is guessed from others of late, but only
// while more than half of the memory is held, so that no guess refuses for good.
func (p *Producer) Ready(of *fair.Holder, n int) error {
	if err := p.cluster.Healthy(); err != nil {
		return err
	}
	if int64(n) > p.settings.BufferBytes {
		return apierr.BodyTooLarge.New("The request body has %d bytes; producer.buffer.memory is %d. Send fewer records at once.", n, p.settings.BufferBytes)
	}
	held, needed := p.held.Held(), int64(n)
	if n >= weighed && held > p.settings.BufferBytes/2 {
		needed = max(needed, needed*p.weight.Load()/weightUnit)
	}
	if !p.held.HasRoom(of.Records(), needed, p.settings.BufferBytes) {
		p.refused.Add(1)
		return apierr.Overloaded.Err()
	}
	return nil
}

// weighed is the smallest body that is weighed, weightUnit what a weight of 1 is:
// as many bytes of memory as of body.
const weighed, weightUnit = 64 << 10, 64

// weigh notes how much memory a job takes beside its body. Of several that do so at the
// same time one may be forgotten.
func (p *Producer) weigh(j *Job, charge int64) {
	if len(j.Body) >= weighed {
		p.weight.Store((7*p.weight.Load() + charge*weightUnit/int64(len(j.Body))) / 8)
	}
}

// Admit charges the job's bytes to the producer's memory, or refuses it. [Producer.Produce] admits
// a job that is not admitted yet. The owner of its body calls this first, and gives up its own
// charge for the body afterwards, so that at no time nobody has charged it.
func (p *Producer) Admit(j *Job) error { return p.admit(j, cap(j.Arena)) }

// CheckTopic returns the error of a topic that takes no records whatever they are, or of a Kafka
// that is away. A caller whose encoding has effects, such as registering a schema, calls it first.
// It creates the topic where [Producer.Produce] would.
func (p *Producer) CheckTopic(topic string) error {
	if err := p.cluster.Healthy(); err != nil {
		return err
	}
	_, _, err := p.cluster.Topic(p.ctx, topic)
	return err
}

// arenaGrown is the budget's Grown.
func (j *Job) arenaGrown(capacity int) error { return j.producer.admit(j, capacity) }

// size returns the job's memory with an arena of so many bytes.
func (j *Job) size(arena int) int64 {
	return int64(jobBytes + cap(j.Body) + j.Lent + arena + j.Slab.HeaderBytes() + j.Len()*recordBytes)
}

// admit charges the job's bytes, or those not charged yet, to the producer's memory, or refuses.
func (p *Producer) admit(j *Job, arena int) error {
	charge := j.size(arena)
	if charge > p.settings.BufferBytes {
		return apierr.BodyTooLarge.New("The request needs %d bytes of memory; producer.buffer.memory is %d. Send fewer records at once.",
			charge, p.settings.BufferBytes)
	}
	p.weigh(j, charge)
	of, more := j.Holder.Records(), charge-j.charge
	switch {
	case more <= 0:
		p.held.Add(of, more)
	case !p.held.TakeOwn(of, j.share, more, p.settings.BufferBytes):
		p.refused.Add(1)
		return apierr.Overloaded.Err()
	}
	j.charge = charge
	j.share += more
	return nil
}

// returnBody gives the body back before the job ends. Its bytes count for the caller until then:
// they are in the batches, which are nobody's.
func (j *Job) returnBody() {
	bytes := int64(cap(j.Body))
	j.charge -= bytes
	j.spare = bytes - int64(len(j.Body))
	j.producer.held.Add(nil, -bytes)
	pool.Return(j.Body)
	j.Body = nil
}
