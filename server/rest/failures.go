package rest

import (
	"millrace/batch"
	"millrace/internal/apierr"
)

// failedBy tells of the records of a job that failed one by one: how many for
// each reason, which are few. Reasons beyond the first four are told of record
// by record.
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
