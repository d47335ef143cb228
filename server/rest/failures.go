package rest

import (
	"millrace/batch"
	"millrace/internal/apierr"
)

// failedBy calls tell for the records of a job that failed one by one: with the number for each
// reason, of which there are few. Records of reasons beyond the first four are reported one by
// one.
func failedBy(job *batch.Job, tell func(kind *apierr.Kind, records int)) {
	var counts [4]struct {
		kind    *apierr.Kind
		records int
	}
next:
	for i := range job.Len() {
		_, _, failed := job.Result(i)
		if failed == nil {
			continue
		}
		for n := range counts {
			c := &counts[n]
			if c.kind == nil || c.kind == failed.Kind {
				c.kind = failed.Kind
				c.records++
				continue next
			}
		}
		tell(failed.Kind, 1)
	}
	for _, c := range counts {
		if c.kind != nil {
			tell(c.kind, c.records)
		}
	}
}
