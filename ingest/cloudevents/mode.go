package cloudevents

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// Mode is how a request carries CloudEvents.
type Mode uint8

// The modes.
const (
	// None: the request has no CloudEvents.
	None Mode = iota
	// Binary: the body is the data of one event, and its attributes are HTTP headers.
	Binary
	// JSON: the body is one event, in the JSON format.
	JSON
	// Batch: the body is an array of events in the JSON format.
	Batch
	// Foreign: the body is one event in a format that is not read here.
	Foreign
)

// ContentType is that of an event in the JSON format.
const ContentType = "application/cloudevents+json"

const family, batchFamily = "application/cloudevents", "application/cloudevents-batch"

var headerVersion = []byte("Ce-Specversion")

// ModeOf returns the mode of a request. Its Content-Type counts before its other headers.
func ModeOf(h *fasthttp.RequestHeader) (Mode, error) {
	name, _, _ := bytes.Cut(h.ContentType(), []byte{';'})
	name = bytes.TrimSpace(name)
	if len(name) < len(family) || !bytes.EqualFold(name[:len(family)], []byte(family)) {
		if len(h.PeekCanonical(headerVersion)) > 0 {
			return Binary, nil
		}
		return None, nil
	}
	switch format := string(bytes.ToLower(name)); {
	case format == ContentType:
		return JSON, nil
	case format == batchFamily+"+json":
		return Batch, nil
	case bytes.HasPrefix(name[len(family):], []byte{'+'}):
		return Foreign, nil
	}
	return None, apierr.UnsupportedMedia.New("One CloudEvent is %s, several are %s+json, not %s.", ContentType, batchFamily, name)
}
