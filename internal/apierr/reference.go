package apierr

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

const referenceHead = `# Errors

This page is generated from the table in ` + "`internal/apierr`" + `;
` + "`go test ./internal/apierr -run TestReference -update`" + ` rewrites it.

A request that failed as a whole has the status of its error and the body

    {"error_code":40401,"message":"Topic not found."}

Most messages are more exact than the one listed here: they name the record, the member or the
topic. A produce request of which only some records failed is answered 200, and each record that
failed has its ` + "`error_code` and `error`" + ` in its own slot of ` + "`offsets`" + `. In the v1 API that code is
1 (do not retry) or 2 (a retry can help).

**Retry** tells whether the same request can succeed later, unchanged. Where it stands with a number
of seconds the response has a ` + "`Retry-After`" + ` header of that value.

The status of a produce request that failed tells whether its records can be in Kafka:

| status | error_code in a slot | in Kafka? | what to do |
|---|---|---|---|
| 503, 429 | 50003 | no, none of them, now or later | send the same again, after ` + "`Retry-After`" + ` |
| 504 with 50401 | 50401 | not known: a broker was lost, or was too slow, with the records on their way | send again if they must not be lost: they may be double then; leave it if they must not be double |
| any other | 50002, 40402 | no | change what the message names, or give up |

A 504 with 50401 has no ` + "`Retry-After`" + `: a library that repeats requests by that header alone doubles
nothing. In v1 a slot has 2 for both of the first two rows, and only the text tells them apart.

The name stands in the log and in the ` + "`error`" + ` label of [metrics](metrics.md); the dashboard shows the
advice beside the errors that occur.
`

// WriteReference writes the documentation of all errors, in Markdown.
func WriteReference(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, referenceHead)
	status := 0
	for _, k := range byStatus() {
		if k.Status != status {
			status = k.Status
			fmt.Fprintf(out, "\n## %d %s\n\n", status, http.StatusText(status))
			fmt.Fprint(out, "| error_code | name | message | retry | advice |\n|---|---|---|---|---|\n")
		}
		fmt.Fprintf(out, "| %d | `%s` | %s | %s | %s |\n",
			k.Code, k.Name, cell.Replace(k.Message), retryCell(k), cell.Replace(k.Advice()))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("cannot write the errors: %w", err)
	}
	return nil
}

// byStatus returns the table in the order of status and code.
func byStatus() []*Kind {
	kinds := Kinds()
	slices.SortStableFunc(kinds, func(a, b *Kind) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Code, b.Code))
	})
	return kinds
}

func retryCell(k *Kind) string {
	switch {
	case !k.Retry:
		return "no"
	case k.RetryAfter == 0:
		return "yes"
	}
	return fmt.Sprintf("yes, after %.0f s", k.RetryAfter.Seconds())
}

// cell escapes the characters that would end a cell or begin markup.
var cell = strings.NewReplacer("|", `\|`, "*", `\*`)
