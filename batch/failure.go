package batch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/internal/apierr"
)

// transportVerdict is the end of an attempt without an answer of the broker. tried says that the
// library had begun to write the request.
func transportVerdict(err error, tried bool) verdict {
	v := verdict{meaning: again, err: transportError{err}, leader: -1}
	if tried {
		v.meaning = unknown
	}
	return v
}

// transportError is that of a connection, as opposed to those of Kafka.
type transportError struct{ error }

// Unwrap gives the error of the library.
func (e transportError) Unwrap() error { return e.error }

func isTransport(err error) bool {
	var t transportError
	return errors.As(err, &t)
}

func isCorrupt(err error) bool { return errors.Is(err, kerr.CorruptMessage) }

// culpritError is the error of a record that the broker named. Kafka's text names the record by
// its place in the shared batch, which says nothing to its client; i is that in its own request.
func culpritError(err error, i int32, c culprit) error {
	text := strings.ReplaceAll(c.text, fmt.Sprintf(" of message with offset %d", c.at), "")
	if text == "" {
		var code *kerr.Error
		if errors.As(err, &code) {
			text = code.Description
		}
	}
	return apierr.FromWrite(err).Kind.Wrap(err, "Kafka refused record %d of the request: %s", i, text)
}

var (
	errDelivery       = apierr.NotWritten.New("The record could not be written within delivery.timeout.ms. Nothing was written: send it again.")
	errNoAnswer       = errors.New("the broker's response leaves the partition out")
	errUnknownOutcome = apierr.WriteUnknown.New("Kafka did not say whether the record was written. It may be; sending it again may double it.")
)
