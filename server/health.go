package server

import (
	"github.com/valyala/fasthttp"

	"millrace/internal/apierr"
)

var healthRoutes = []route{
	{"GET", "/healthz", ownAnswer, (*Server).healthz},
	{"GET", "/readyz", ownAnswer, (*Server).readyz},
}

// GET /healthz: the process answers.
func (s *Server) healthz(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaJSON)
	ctx.SetBodyString(`{"status":"ok"}`)
	return nil
}

// GET /readyz: requests make sense here. When they do not it says why.
func (s *Server) readyz(ctx *fasthttp.RequestCtx) error {
	ctx.SetContentType(mediaJSON)
	if s.draining.Load() {
		return apierr.Draining.Err()
	}
	if err := s.deps.Metadata.Healthy(); err != nil {
		return err
	}
	ctx.SetBodyString(`{"status":"ready"}`)
	return nil
}
