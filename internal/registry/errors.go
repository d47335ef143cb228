package registry

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/twmb/franz-go/pkg/sr"
)

// failure is an error of the registry's API. Its codes are Confluent's, as
// franz-go's client names them; this API is not millrace's own, so that they are
// not in the table of apierr.
type failure struct {
	kind    *sr.Error
	message string
}

func (f *failure) Error() string { return f.message }

func fail(kind *sr.Error, format string, args ...any) error {
	return &failure{kind, fmt.Sprintf(format, args...)}
}

func subjectNotFound(subject string) error {
	return fail(sr.ErrSubjectNotFound, "Subject '%s' not found.", subject)
}

func versionNotFound(number int) error {
	return fail(sr.ErrVersionNotFound, "Version %d not found.", number)
}

func schemaNotFound(id int) error {
	if id == 0 {
		return fail(sr.ErrSchemaNotFound, "Schema not found")
	}
	return fail(sr.ErrSchemaNotFound, "Schema %d not found", id)
}

// answerOf is what the API says of err: its status, error_code and message. The status of
// Confluent's codes is their first three digits. An error that is not one of the API goes to
// the log only: it may name brokers.
func answerOf(err error) (status, code int, message string) {
	var f *failure
	if !errors.As(err, &f) {
		return http.StatusInternalServerError, sr.ErrStoreError.Code, "The schema registry's topic cannot be used. Its log has more."
	}
	status = f.kind.Code
	for status >= 1000 {
		status /= 10
	}
	return status, f.kind.Code, f.message
}
