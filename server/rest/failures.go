package rest

import (
	"github.com/valyala/fasthttp"

	"millrace/batch"
	"millrace/server"
)

// failedOf counts the records of a job that failed one by one, of the request that it is of.
func (p *Produce) failedOf(job *batch.Job) {
	ctx := job.Request.(*fasthttp.RequestCtx)
	topic, _ := ctx.UserValue("topic").(string)
	p.edge.RecordsFailed(p.edge.SenderOf(ctx), failuresOf(job, topic))
}

// failuresOf returns the failed records of a job for one topic.
func failuresOf(job *batch.Job, topic string) (failed server.Failures) {
	for i := 0; i < job.Len(); {
		records, _, _, err := job.Row(i)
		i += records
		if err != nil {
			failed.Add(topic, err, records)
		}
	}
	return failed
}
