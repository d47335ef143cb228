package cloudevents

import (
	"testing"

	"github.com/valyala/fasthttp"
)

func TestValuesOfHeaders(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "": "", "Euro%20%E2%82%AC%20%f0%9f%98%80": "Euro € 😀",
		`"quoted \"x\" %25"`: `quoted "x" %`, `"`: `"`, `""`: "", `a\b`: `a\b`, `"a\`: `"a\`,
	} {
		if got, ok := appendDecoded(nil, []byte(in)); !ok || string(got) != want {
			t.Errorf("%s is %q, %v, not %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"%", "%4", "%4g", "%g4", "a%C3", "\xFF"} {
		if got, ok := appendDecoded(nil, []byte(in)); ok {
			t.Errorf("%q is taken for %q", in, got)
		}
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]Mode{
		"application/cloudevents+json": JSON, "Application/CloudEvents+JSON ; charset=utf-8": JSON,
		"application/cloudevents-batch+json": Batch, "application/cloudevents+avro": Foreign,
		"application/json": Binary, "": Binary, "application/cloudevent+json": Binary,
	} {
		var h fasthttp.RequestHeader
		h.SetContentType(contentType)
		h.Set("Ce-Specversion", "1.0")
		if got, err := ModeOf(&h); err != nil || got != want {
			t.Errorf("%q is of mode %d, %v, not %d", contentType, got, err, want)
		}
		h.Del("Ce-Specversion")
		if got, _ := ModeOf(&h); want == Binary && got != None {
			t.Errorf("%q without attributes is of mode %d", contentType, got)
		}
	}
	for _, contentType := range []string{"application/cloudevents", "application/cloudevents-batch+xml"} {
		var h fasthttp.RequestHeader
		h.SetContentType(contentType)
		if _, err := ModeOf(&h); err == nil {
			t.Errorf("%s is taken", contentType)
		}
	}
}
