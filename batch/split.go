package batch

import "slices"

// part returns a new batch of the records [from, to) of b but those that skip names, which is
// sorted, with the runs that they are of. b keeps its runs, whose jobs now wait for both: the
// caller answers the records that are in no part, and releases b. Returns nil for no record.
func (b *batch) part(from, to int32, skip []culprit) *batch {
	n := newBatch(b.topic, len(b.frames.B), b.limit, b.since)
	n.sealed, n.suspect, n.tries, n.corrupt = true, b.suspect, b.tries, b.corrupt
	frames := b.frames.B
	for at := int32(0); at < to; at++ {
		f, err := nextFramed(frames)
		if err != nil {
			panic(err)
		}
		frames = frames[f.size:]
		if len(skip) > 0 && skip[0].at == at {
			skip = skip[1:]
			continue
		}
		if at >= from {
			n.take(f, b.header.baseTimestamp+f.timeDelta)
		}
	}
	if n.header.records == 0 {
		n.release()
		return nil
	}
	return n
}

// take adds a record of another batch.
func (b *batch) take(f framed, at int64) {
	h := &b.header
	if h.records == 0 {
		h.baseTimestamp, h.maxTimestamp = at, at
	}
	h.maxTimestamp = max(h.maxTimestamp, at)
	b.grow(f.size + maxVarint)
	b.frames.B = appendFramed(b.frames.B, f, at-h.baseTimestamp, h.records)
	h.records++
}

// share gives n, a part of b, the runs of its records: pieces of those of b from record from on.
// All records of b before from, and those that skip names, are in no piece.
func (b *batch) share(n *batch, from, to int32, skip []culprit) {
	at := int32(0)
	for i := range b.runs {
		r := b.runs[i]
		for k := int32(0); k < r.count; k++ {
			in := r.at + k
			if in < from || in >= to {
				continue
			}
			if _, found := slices.BinarySearchFunc(skip, in, func(c culprit, at int32) int { return int(c.at - at) }); found {
				continue
			}
			if last := len(n.runs) - 1; last >= 0 && n.runs[last].job == r.job && n.runs[last].first+n.runs[last].count == r.first+k {
				n.runs[last].count++
			} else {
				n.runs = append(n.runs, run{r.job, r.first + k, 1, at})
				r.job.left.Add(1)
			}
			at++
		}
	}
}

// cut divides b into parts at the records of at, sorted, without the culprits, and releases b. A
// job may only be answered when all parts have their runs, so those of b are let go of last.
func (b *batch) cut(at []int32, skip []culprit) []*batch {
	var parts []*batch
	from := int32(0)
	for _, to := range append(at, b.records()) {
		if n := b.part(from, to, skip); n != nil {
			if n.told = b.told; !b.told {
				b.share(n, from, to, skip)
			}
			parts = append(parts, n)
		}
		from = to
	}
	for i := range b.runs {
		if !b.told {
			b.runs[i].job.drop()
		}
	}
	b.release()
	return parts
}

// middle returns the record at which b is best divided: where a run begins, as near to half of
// its records as it can, so that what came together stays together.
func (b *batch) middle() int32 {
	half := b.records() / 2
	best := int32(0)
	for i := range b.runs {
		if at := b.runs[i].at; at > 0 && distance(at, half) < distance(best, half) {
			best = at
		}
	}
	if best == 0 || distance(best, half) > half/2 {
		return half
	}
	return best
}

func distance(a, b int32) int32 { return max(a-b, b-a) }

// owner returns the job of the batch's record at, and the record's place in it.
func (b *batch) owner(at int32) (*Job, int32) {
	i, found := slices.BinarySearchFunc(b.runs, at, func(r run, at int32) int {
		switch {
		case r.at+r.count <= at:
			return -1
		case r.at > at:
			return 1
		}
		return 0
	})
	if !found {
		panic("BUG: a record of a batch is of no run")
	}
	return b.runs[i].job, b.runs[i].first + at - b.runs[i].at
}
