package rest

import (
	"testing"

	"github.com/valyala/fasthttp"

	"millrace/codec"
	"millrace/internal/apierr"
	"millrace/server"
)

func TestParseKafka(t *testing.T) {
	f := func(name string, want mediaType, ok bool) {
		t.Helper()
		if got, gotOK := parseKafka(name); gotOK != ok || ok && got != want {
			t.Errorf("%s: %+v, %v", name, got, gotOK)
		}
	}
	f("application/vnd.kafka.v2+json", mediaType{}, true)
	f("application/vnd.kafka.json.v2+json", mediaType{v2, codec.JSON, true}, true)
	f("application/vnd.kafka.binary.v2+json", mediaType{v2, codec.Binary, true}, true)
	f("application/vnd.kafka.avro.v2+json", mediaType{v2, codec.Avro, true}, true)
	f("application/vnd.kafka.v1+json", mediaType{version: v1}, true)
	f("application/vnd.kafka.json.v1+json", mediaType{v1, codec.JSON, true}, true)
	f("application/vnd.kafka.v3+json", mediaType{}, false)
	f("application/vnd.kafka.jsonv2+json", mediaType{}, false)
	f("application/vnd.kafka+json", mediaType{}, false)
	f("application/vnd.kafka.xml.v2+json", mediaType{}, false)
	f("application/json", mediaType{}, false)
}

func TestNegotiateRecords(t *testing.T) {
	f := func(accept string, own codec.Format, kind *apierr.Kind) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		if accept != "" {
			ctx.Request.Header.Set("Accept", accept)
		}
		err := negotiateRecords(&ctx, v2, own)
		if kind == nil && err != nil || kind != nil && !kind.Is(err) {
			t.Errorf("Accept %q of a %s consumer: %v", accept, own, err)
		}
		if want := "application/vnd.kafka." + own.String() + ".v2+json"; err == nil && string(ctx.Response.Header.ContentType()) != want {
			t.Errorf("Accept %q: Content-Type %s", accept, ctx.Response.Header.ContentType())
		}
	}
	f("application/vnd.kafka.json.v2+json", codec.JSON, nil)
	f("application/vnd.kafka.binary.v2+json", codec.Binary, nil)
	f("application/vnd.kafka.json.v2+json, */*;q=0.1", codec.JSON, nil)
	f("", codec.Binary, nil)
	f("*/*", codec.Binary, nil)
	f("application/vnd.kafka.v2+json", codec.Binary, nil)
	f("", codec.JSON, apierr.FormatMismatch)
	f("*/*", codec.JSON, apierr.FormatMismatch)
	f("application/vnd.kafka.v2+json", codec.JSON, apierr.FormatMismatch)
	f("application/vnd.kafka.binary.v2+json", codec.JSON, apierr.FormatMismatch)
	f("application/vnd.kafka.avro.v2+json", codec.JSON, apierr.FormatMismatch)
	f("text/plain", codec.JSON, apierr.NotAcceptable)
	f("text/plain", codec.Binary, apierr.NotAcceptable)
}

// A route of both versions responds in the version of the request.
func TestNegotiateVersion(t *testing.T) {
	f := func(strict bool, method, content, accept, want string) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.Request.Header.SetContentType(content)
		if accept != "" {
			ctx.Request.Header.Set("Accept", accept)
		}
		m := NewMedia(Settings{Strict: strict}, true)
		err := m.negotiate(&ctx)
		if got := string(ctx.Response.Header.ContentType()); want == "" && !apierr.NotAcceptable.Is(err) || want != "" && (err != nil || got != want) {
			t.Errorf("%s %q, Accept %q: %s, %v; want %s", method, content, accept, got, err, want)
		}
	}
	f(false, "GET", "", "", mediaV2)
	f(false, "GET", "", mediaV1, mediaV1)
	f(false, "GET", "", mediaKafka, mediaKafka)
	f(false, "GET", "", server.MediaJSON, server.MediaJSON)
	f(false, "GET", server.MediaJSON, "", mediaV2)
	f(false, "GET", "", mediaV1+", "+mediaV2+";q=0.5", mediaV1)
	f(false, "GET", "", mediaV1+";q=0.5, "+mediaV2, mediaV2)
	f(false, "GET", "", mediaV1+", application/vnd.kafka+json; q=0.9, application/json; q=0.8", mediaV1)
	f(false, "POST", mediaV1, "", mediaV1)
	f(false, "POST", "application/vnd.kafka.binary.v1+json; charset=utf-8", "*/*", mediaV1)
	f(false, "POST", server.MediaJSON, "", mediaV1)
	f(false, "POST", mediaV1, mediaV2, "")
	f(false, "POST", jsonRecordsV2, mediaV1, "")
	f(true, "POST", server.MediaJSON, "", mediaV2)
	f(true, "GET", "", mediaV1, mediaV1)
	f(true, "GET", "", server.MediaJSON, "")
}

func TestNegotiateFormat(t *testing.T) {
	f := func(v version, accept string, want codec.Format, kind *apierr.Kind) {
		t.Helper()
		var ctx fasthttp.RequestCtx
		if accept != "" {
			ctx.Request.Header.Set("Accept", accept)
		}
		got, err := new(Media).negotiateFormat(&ctx, v)
		if kind == nil && (err != nil || got != want) || kind != nil && !kind.Is(err) {
			t.Errorf("Accept %q: %v, %v", accept, got, err)
		}
		if err == nil && string(ctx.Response.Header.ContentType()) != recordType(v, want) {
			t.Errorf("Accept %q: Content-Type %s", accept, ctx.Response.Header.ContentType())
		}
	}
	f(v2, "", codec.Binary, nil)
	f(v2, "*/*", codec.Binary, nil)
	f(v2, mediaV2, codec.Binary, nil)
	f(v2, jsonRecordsV2, codec.JSON, nil)
	f(v2, jsonRecordsV2+", */*;q=0.1", codec.JSON, nil)
	f(v2, "application/vnd.kafka.json.v1+json", 0, apierr.NotAcceptable)
	f(v2, "application/vnd.kafka.avro.v2+json", 0, apierr.NotAcceptable)
	f(v1, "application/vnd.kafka.json.v1+json", codec.JSON, nil)
	f(v1, server.MediaJSON, codec.Binary, nil)
	f(v1, mediaV1+", application/vnd.kafka+json; q=0.9", codec.Binary, nil)
	f(v1, jsonRecordsV2, 0, apierr.NotAcceptable)
}

// No Accept and no Content-Type makes the negotiation panic or return an invalid type.
func FuzzMediaTypes(f *testing.F) {
	f.Add("application/vnd.kafka.json.v2+json; charset=utf-8", "application/json;q=0.5, */*;q=0.1")
	f.Add("application/vnd.kafka..v2+json", "*/*;q=2")
	f.Add(";", ",,,")
	f.Fuzz(func(t *testing.T, content, accept string) {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.Set("Content-Type", content)
		ctx.Request.Header.Set("Accept", accept)
		s := &Media{}
		if m, err := s.records(&ctx); err == nil && m.format != codec.JSON && m.format != codec.Binary {
			t.Fatalf("%q is %v", content, m.format)
		}
		if d, err := s.acceptedDialect(&ctx); err == nil && d > codec.Plain {
			t.Fatalf("%q is dialect %v", accept, d)
		}
		s.negotiate(&ctx)
		s.ErrorType(&ctx)
		if picked := server.PickAccepted(accept, []string{mediaV2, server.MediaJSON}); picked != "" && picked != mediaV2 && picked != server.MediaJSON {
			t.Fatalf("%q picked %q", accept, picked)
		}
		for n, own := range []codec.Format{codec.JSON, codec.Binary} {
			if err := negotiateRecords(&ctx, version(n), own); err != nil && apierr.From(err).Kind.Status != 406 {
				t.Fatalf("%q: %v", accept, err)
			}
		}
	})
}
