package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

var tracingRows = []row{
	{
		name: "tracing.otlp.endpoint", doc: "URL of the OpenTelemetry collector that spans are sent to, by OTLP over HTTP, such as http://collector:4318. Without it the variables OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT say, and without them there are none; OTEL_EXPORTER_OTLP_HEADERS and the like hold for it.",
		store: into(collectorURL, func(d *draft) *string { return &d.Tracing.Endpoint }),
	},
	{
		name: "tracing.sample.ratio", def: "0.01", doc: "How many of the requests that come without a traceparent header are traced. Those with one follow its sampled flag.",
		store: into(fraction, func(d *draft) *float64 { return &d.Tracing.Ratio }),
	},
}

// collectorURL is an http(s) URL without a password: headers are the place for
// one.
var collectorURL = kind[string]{allowed: "an http:// or https:// URL without user and password", parse: func(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil: // which would quote it
		return "", errors.New("it is not a URL")
	case u.User != nil:
		return "", errors.New("it holds a user")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", errors.New("it is not such a URL") // not quoted: u:PASSWORD@h has no user
	}
	return s, nil
}}

// fraction is a number from 0 to 1.
var fraction = kind[float64]{allowed: "a number from 0 to 1", parse: func(s string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f >= 0 && f <= 1) { // not a number is neither
		return 0, fmt.Errorf("%q is not such a number", s)
	}
	return f, nil
}}
