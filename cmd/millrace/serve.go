package main

import (
	"fmt"
	"os"

	"millrace/config"
)

// sources are the flags that say where settings come from.
type sources struct {
	Config string   `help:"Properties file, such as kafka-rest.properties." type:"path" short:"c" placeholder:"FILE"`
	Set    []string `help:"One setting; wins over file and environment. May be repeated." placeholder:"NAME=VALUE" sep:"none"`
}

// load reads the configuration; preset holds what the command brings itself.
// It sees to the memory limit first, which settings are derived from.
func (s sources) load(preset ...string) (*config.Config, error) {
	limitMemory()
	cfg, err := config.Load(config.Sources{Preset: preset, File: s.Config, Environ: os.Environ(), Set: s.Set})
	if err != nil {
		return nil, fmt.Errorf("cannot use the configuration:\n%w", err)
	}
	return cfg, nil
}

type serveCommand struct {
	sources
}

// Run serves until a signal ends it.
func (c serveCommand) Run() error {
	relaxTimers()
	load := func() (*config.Config, error) { return c.load() }
	return run(load, func(n *node) {
		n.log.Info("serving", "addresses", n.addresses(), "kafka", n.cfg.Kafka.Brokers, "version", version)
	})
}

type checkConfigCommand struct {
	sources
	Connect bool `help:"Also try Kafka and the schema registry with these settings, and say what was found."`
}

// Run prints what the configuration comes to, or fails with all that is wrong.
func (c checkConfigCommand) Run() error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	for _, line := range cfg.NotUsed {
		fmt.Fprintf(os.Stderr, "not used: %s\n", line)
	}
	if err := cfg.WriteEffective(os.Stdout); err != nil || !c.Connect {
		return err
	}
	return tryConnections(os.Stdout, cfg)
}
