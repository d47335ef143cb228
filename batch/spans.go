package batch

// beginSpans has each record that will be framed begin its span, which may add headers to it.
func (j *Job) beginSpans(topic string) {
	begin := j.producer.cluster.Begin
	if begin == nil {
		return
	}
	for i := range j.Slab.Records {
		r := &j.Slab.Records[i]
		if r.Partition != failedRecord {
			r.Topic, r.Context = topic, j.Trace
			begin(r)
		}
	}
}

// endSpans ends those spans with the results.
func (j *Job) endSpans() {
	end := j.producer.cluster.End
	if end == nil {
		return
	}
	i := 0
	for a := range j.runs {
		for n := range int(a.count) {
			if r := &j.Slab.Records[i+n]; r.Partition != failedRecord {
				r.Offset = a.offset + int64(n)
				end(r, a.err)
			}
		}
		i += int(a.count)
	}
}
