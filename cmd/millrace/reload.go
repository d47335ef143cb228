package main

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"millrace/auth"
	"millrace/config"
	"millrace/internal/apierr"
	"millrace/internal/kafka"
	"millrace/server/api"
	"millrace/server/ops"
)

// live is the configuration that holds, and the parts that a change of it reaches while the
// program runs. Every change of it goes through apply, with mu held, so that cfg and the parts
// agree.
type live struct {
	log        *slog.Logger
	level      *slog.LevelVar
	compressor *kafka.Compressor
	access     *auth.Access
	server     *api.API

	mu  sync.Mutex
	cfg *config.Config
}

// reloadOn reloads at each signal, until end is closed. A drain does not wait for it: the files may
// be on a disk that does not answer.
func (l *live) reloadOn(signals <-chan os.Signal, end <-chan struct{}, load func() (*config.Config, error)) {
	for {
		select {
		case <-signals:
			l.reload(load)
		case <-end:
			return
		}
	}
}

// reload takes over what the sources of the configuration say now. Settings that were changed
// by PUT have the sources' values afterwards. A configuration with a fault changes nothing.
func (l *live) reload(load func() (*config.Config, error)) {
	next, err := load()
	if err != nil {
		var faults config.Faults
		if !errors.As(err, &faults) {
			l.log.Error("configuration not reloaded, nothing is changed", "err", err)
			return
		}
		for _, fault := range faults {
			l.log.Error("configuration not reloaded, nothing is changed", "fault", fault.String())
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	reloaded, changed, restart := l.cfg.Reload(next)
	if err := l.apply(reloaded); err != nil {
		l.log.Error("configuration not reloaded, nothing is changed", "err", err)
		return
	}
	l.log.Info("configuration reloaded", "changed", strings.Join(changed, ","), "ingest_routes", reloaded.Ingest.Routes.Len())
	l.reloadFiles("identities and rules", l.access.Reload)
	l.reloadFiles("certificates", l.cfg.Certificates.Reload)
	if len(restart) > 0 {
		l.log.Warn("changed settings that need a restart", "settings", strings.Join(restart, ","))
	}
}

// reloadFiles reads files again that settings name.
func (l *live) reloadFiles(what string, reload func() (bool, error)) {
	changed, err := reload()
	if err != nil {
		l.log.Error(what+" not reloaded, nothing is changed", "err", err)
	} else if changed {
		l.log.Info(what + " reloaded")
	}
}

// watchFiles does so at the interval, until end is closed. A failure is logged when it begins.
func watchFiles(log *slog.Logger, every time.Duration, end <-chan struct{}, what string, reload func() (bool, error)) {
	if every <= 0 {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for failed := ""; ; {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		changed, err := reload()
		switch {
		case err == nil:
			failed = ""
		case err.Error() != failed:
			failed = err.Error()
			log.Error(what+" not reloaded, nothing is changed", "err", err)
		}
		if changed {
			log.Info(what + " reloaded")
		}
	}
}

// change makes the given settings hold, or none of them.
func (l *live) change(values map[string]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, err := l.cfg.Change(values)
	if err != nil {
		return apierr.Unprocessable.Wrap(err, "Nothing is changed: %s.", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if err := l.apply(next); err != nil {
		return err
	}
	l.log.Info("settings changed by PUT /admin/config", "settings", strings.Join(slices.Sorted(maps.Keys(values)), ","))
	return nil
}

// apply makes next hold: first the part that can refuse it.
func (l *live) apply(next *config.Config) error {
	if err := l.compressor.Set(next.Producer.Compression, next.Producer.Level); err != nil {
		return err
	}
	l.level.Set(next.LogLevel)
	l.server.SetRequestLog(next.Server.RequestLog)
	l.server.SetIngestRoutes(next.Ingest.Routes)
	l.cfg = next
	return nil
}

// settings shows what holds.
func (l *live) settings() []ops.Setting {
	l.mu.Lock()
	defer l.mu.Unlock()
	effective := l.cfg.Effective()
	all := make([]ops.Setting, len(effective))
	for i, e := range effective {
		all[i] = ops.Setting{Name: e.Name, Value: e.Text, Origin: e.Origin, Runtime: e.Runtime}
	}
	return all
}
