package server

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

// adminRoutes are entered only when admin.enable is true: nobody is asked yet
// who they are.
var adminRoutes = []route{
	{"GET", "/admin/config", ownAnswer, (*Server).showConfig},
	{"PUT", "/admin/config", ownAnswer, (*Server).changeConfig},
}

// Admin is how /admin reaches the running program. Both functions may be
// called concurrently.
type Admin struct {
	// Settings returns every setting that holds, secrets masked.
	Settings func() []Setting
	// Change makes settings of the given names hold from now on, all of them
	// or, with an error, none.
	Change func(values map[string]string) error
}

// Setting is a setting that holds.
type Setting struct {
	// Name and Value are as a properties file has them.
	Name, Value string
	// Origin says where the value came from.
	Origin string
	// Runtime tells a setting that can change while the program runs.
	Runtime bool
}

// SetRequestLog turns the request log on or off, from the next request on.
func (s *Server) SetRequestLog(on bool) { s.requestLog.Store(on) }

// GET /admin/config: every setting that holds.
func (s *Server) showConfig(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaJSON)
	if err := sameSite(ctx); err != nil {
		return err
	}
	return s.appendConfig(ctx)
}

// PUT /admin/config: an object of names and values, applied all or none; the
// answer is what holds then. Whatever its Content-Type says the body is JSON,
// so that it can be sent with curl -d.
func (s *Server) changeConfig(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaJSON)
	if err := sameSite(ctx); err != nil {
		return err
	}
	values, err := readChanges(requestBody(ctx))
	if err != nil {
		return err
	}
	if err := s.deps.Admin.Change(values); err != nil {
		return err
	}
	return s.appendConfig(ctx)
}

// sameSite refuses web pages of other origins, even those that CORS lets use
// the API: to write records is not to run the server.
func sameSite(ctx *fasthttp.RequestCtx) error {
	origin := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if origin != "" && !sameOrigin(ctx, origin) {
		return apierr.Unauthorized.New("Pages of other origins may not use %s.", ctx.Path())
	}
	return nil
}

// readChanges reads {"name": value, …}, where a value may be a string, a number
// or a truth value: what is written of it is the setting's text.
func readChanges(text []byte) (map[string]string, error) {
	values := map[string]string{}
	err := readObject(text, func(b *body, name string) {
		value, quoted, some := b.scalar(name, apierr.Unprocessable)
		if _, twice := values[name]; twice {
			b.refuse(apierr.Unprocessable, "%s is given twice.", name)
		}
		if !quoted && !some {
			b.refuse(apierr.Unprocessable, "%s must have a value.", name)
		}
		values[name] = value
	})
	return values, err
}

func (s *Server) appendConfig(ctx *fasthttp.RequestCtx) error {
	return respond(ctx, func(dst []byte) ([]byte, error) {
		dst = append(dst, `{"settings":[`...)
		for i, setting := range s.deps.Admin.Settings() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"name":`...)
			dst = apierr.AppendJSONString(dst, setting.Name)
			dst = append(dst, `,"value":`...)
			dst = apierr.AppendJSONString(dst, setting.Value)
			dst = append(dst, `,"origin":`...)
			dst = apierr.AppendJSONString(dst, setting.Origin)
			dst = append(dst, `,"runtime":`...)
			dst = append(strconv.AppendBool(dst, setting.Runtime), '}')
		}
		return append(dst, `]}`...), nil
	})
}
