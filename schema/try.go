package schema

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// Tried is the result of an attempt to use the registry at one URL.
type Tried struct {
	// URL is without a password.
	URL string
	// Types are those of schemas that the registry takes, by its names.
	Types []string
	// Err is why it cannot be used: an [apierr.Error], or the registry's own answer.
	Err error
}

// Try asks the registry at each of its URLs which types of schemas it takes, each for at most
// limit. The error is of settings that no client can be made of.
func Try(ctx context.Context, s Settings, limit time.Duration) ([]Tried, error) {
	c, err := newClient(s, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer c.close()
	all := make([]Tried, len(c.sites))
	for i, site := range c.sites {
		all[i] = tryOne(ctx, c, site, limit)
	}
	return all, nil
}

func tryOne(ctx context.Context, c *client, s *site, limit time.Duration) Tried {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := Tried{URL: s.shown}
	t.Err = c.callOne(ctx, s, 1, func(ctx context.Context, cl *sr.Client) error {
		types, err := cl.SupportedTypes(ctx)
		for _, name := range types {
			t.Types = append(t.Types, name.String())
		}
		return err
	})
	// A registry of before Confluent 5.5 has no such path, and knows Avro only. That it is one is
	// told by its subjects.
	var answer *sr.ResponseError
	if errors.As(t.Err, &answer) && answer.StatusCode == http.StatusNotFound {
		t.Types = []string{sr.TypeAvro.String()}
		t.Err = c.callOne(ctx, s, 1, func(ctx context.Context, cl *sr.Client) error {
			_, err := cl.Subjects(ctx)
			return err
		})
	}
	return t
}
