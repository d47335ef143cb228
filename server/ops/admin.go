package ops

import (
	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
	"millrace/server"
)

// Admin serves /admin, where admin.enable is on. It does not authenticate clients.
type Admin struct{ config Config }

// NewAdmin returns the resource.
func NewAdmin(c Config) *Admin { return &Admin{c} }

// Routes returns the resource's routes.
func (a *Admin) Routes() []server.Route {
	return []server.Route{
		{Method: "GET", Path: "/admin/config", OwnHost: true, SameOrigin: true, Guarded: true, Action: server.Administer, Handle: a.show},
		{Method: "PUT", Path: "/admin/config", Body: settingsFields, OwnHost: true, SameOrigin: true, Guarded: true, Action: server.Administer, Handle: a.change},
	}
}

// Config is the configuration of the running node. Both functions may be called concurrently.
type Config struct {
	// Settings returns every setting in effect, secrets masked.
	Settings func() []Setting
	// Change sets the settings of the given names from now on: all of them or, with an error,
	// none.
	Change func(values map[string]string) error
}

// Setting is a setting in effect.
type Setting struct {
	// Name and Value are as a properties file has them.
	Name  string `json:"name"`
	Value string `json:"value"`
	// Origin is where the value was set.
	Origin string `json:"origin"`
	// Runtime marks a setting that can change while the program runs.
	Runtime bool `json:"runtime"`
}

// configAnswer is the response of /admin/config.
type configAnswer struct {
	Settings []Setting `json:"settings"`
}

// show handles GET /admin/config: every setting in effect.
func (a *Admin) show(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(server.MediaJSON)
	return server.RespondJSON(ctx, configAnswer{append([]Setting{}, a.config.Settings()...)})
}

// change handles PUT /admin/config: an object of names and values, applied all or none; the
// response has the settings in effect afterwards. The body is JSON under any Content-Type, so
// that it can be sent with curl -d.
func (a *Admin) change(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(server.MediaJSON)
	values, err := readChanges(server.RequestBody(ctx))
	if err != nil {
		return err
	}
	if err := a.config.Change(values); err != nil {
		return err
	}
	return server.RespondJSON(ctx, configAnswer{append([]Setting{}, a.config.Settings()...)})
}

// settingsFields are the members of a change: any setting.
var settingsFields = server.Fields{{Name: "", Max: 16 << 10}}

// readChanges reads {"name": value, …}, where a value may be a string, a number
// or a truth value: what is written of it is the setting's text.
func readChanges(text []byte) (map[string]string, error) {
	values := map[string]string{}
	err := server.ReadObject(text, settingsFields, func(b *server.ObjectReader, name string) {
		value, quoted, some := b.Scalar(name, apierr.Unprocessable)
		if _, twice := values[name]; twice {
			b.Refuse(apierr.Unprocessable, "%s is given twice.", name)
		}
		if !quoted && !some {
			b.Refuse(apierr.Unprocessable, "%s must have a value.", name)
		}
		values[name] = value
	})
	return values, err
}
