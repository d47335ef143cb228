package rest

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/server"
)

// pathPartition returns the partition that the path names. Text that is no number is not found,
// and a negative number is no partition.
func pathPartition(ctx *fasthttp.RequestCtx) (int32, error) {
	text, err := server.PathParam(ctx, "partition")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, apierr.NotFound.New("%q is not a partition number.", text)
	}
	if n < 0 {
		return 0, apierr.PartitionNotFound.New("There is no partition %d; partitions count from 0.", n)
	}
	return int32(n), nil
}

// tellCap tells a client that asked for more time than it gets.
func tellCap(ctx *fasthttp.RequestCtx, asked, most time.Duration) {
	if asked > most {
		ctx.Response.Header.Set(server.HeaderTimeout, strconv.FormatInt(most.Milliseconds(), 10))
	}
}
