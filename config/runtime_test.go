package config

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"millrace/internal/kafka"
)

// shown is a setting as check-config shows it: its text and origin.
func shown(c *Config, name string) string {
	for _, e := range c.Effective() {
		if e.Name == name {
			return e.Text + " " + e.Origin
		}
	}
	return "absent"
}

func TestChange(t *testing.T) {
	c := load(t, "compression.type=lz4", "producer.compression.lz4.level=5", "producer.acks=1")
	is := func(c *Config, codec kafka.Codec, level int) {
		t.Helper()
		if c.Producer.Compression != codec || c.Producer.Level != level {
			t.Errorf("got %s at %d, want %s at %d", c.Producer.Compression, c.Producer.Level, codec, level)
		}
	}
	change := func(c *Config, values map[string]string) *Config {
		t.Helper()
		next, err := c.Change(values)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	is(c, kafka.LZ4, 5)
	zstd := change(c, map[string]string{"compression.type": "ZSTD", "producer.compression.zstd.level": "9", "log.level": "debug", "request.log": "true"})
	is(zstd, kafka.Zstd, 9)
	if zstd.LogLevel != slog.LevelDebug || !zstd.Server.RequestLog || zstd.Producer.Acks != 1 {
		t.Errorf("got level %v, request log %v, acks %d", zstd.LogLevel, zstd.Server.RequestLog, zstd.Producer.Acks)
	}
	for name, want := range map[string]string{
		"producer.compression.type": "ZSTD changed at run time", "producer.acks": "1 --set", "producer.compression.lz4.level": "5 --set",
	} {
		if got := shown(zstd, name); got != want {
			t.Errorf("%s is shown as %q, want %q", name, got, want)
		}
	}
	// Changes add up, and a codec's usual level is no level of ours.
	is(change(zstd, map[string]string{"producer.compression.zstd.level": "3"}), kafka.Zstd, 0)
	is(change(zstd, map[string]string{"producer.compression.type": "lz4"}), kafka.LZ4, 5)
	is(change(zstd, nil), kafka.Zstd, 9)
	is(c, kafka.LZ4, 5) // the old one is as it was
	if got := shown(c, "producer.compression.type"); got != "lz4 --set" {
		t.Errorf("the old one shows %q", got)
	}
}

func TestChangeRefuses(t *testing.T) {
	c := load(t)
	f := func(values map[string]string, want ...string) {
		t.Helper()
		_, err := c.Change(values)
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != len(want) {
			t.Fatalf("%v: got %v, want %d faults", values, err, len(want))
		}
		for i, w := range want {
			if !strings.Contains(faults[i].String(), w) {
				t.Errorf("%v: got %q, want %q", values, faults[i], w)
			}
		}
	}
	f(map[string]string{"producer.compresion.type": "zstd"}, "producer.compresion.type: is not a setting; the nearest is producer.compression.type")
	f(map[string]string{"producer.acks": "1"}, "producer.acks: cannot change at run time, only with a restart; these can: log.level,")
	f(map[string]string{"producer.compression.type": "brotli"}, `"brotli" is not supported; allowed: none, gzip, snappy, lz4, zstd`)
	f(map[string]string{"producer.compression.zstd.level": "23", "id": "x", "log.level": "loud"}, "id: cannot change", "log.level:", "23 is out of range")
	f(map[string]string{"compression.type": "zstd", "producer.compression.type": "lz4"}, "producer.compression.type: is the same setting as compression.type")
	f(map[string]string{"log.level": "${file:/etc/x:y}"}, "indirection")
}

func TestReload(t *testing.T) {
	running := load(t, "producer.acks=1", "ssl.key.password=old", "log.level=warn")
	running, err := running.Change(map[string]string{"producer.compression.type": "gzip", "request.log": "true"})
	if err != nil {
		t.Fatal(err)
	}
	next := load(t, "ssl.key.password=new", "log.level=warn", "producer.client.id=p", "producer.compression.type=zstd", "producer.compression.zstd.level=6")
	got, changed, restart := running.Reload(next)
	if want := []string{"request.log", "producer.compression.type", "producer.compression.zstd.level"}; !slices.Equal(changed, want) {
		t.Errorf("changed: got %v, want %v", changed, want)
	}
	if want := []string{"ssl.key.password", "producer.client.id", "producer.acks"}; !slices.Equal(restart, want) {
		t.Errorf("for a restart: got %v, want %v", restart, want)
	}
	// A setting that was changed at run time, and that the sources do not set, has the sources'
	// value.
	if got.Producer.Compression != kafka.Zstd || got.Producer.Level != 6 || got.Server.RequestLog || got.LogLevel != slog.LevelWarn {
		t.Errorf("got %s at %d, request log %v, level %v", got.Producer.Compression, got.Producer.Level, got.Server.RequestLog, got.LogLevel)
	}
	if got.Producer.Acks != 1 || shown(got, "producer.acks") != "1 --set" || shown(got, "producer.client.id") != "absent" {
		t.Errorf("a setting that needs a restart was taken over: %q, %q", shown(got, "producer.acks"), shown(got, "producer.client.id"))
	}
	if shown(got, "producer.compression.type") != "zstd --set" || shown(got, "request.log") != "false default" {
		t.Errorf("shown as %q, %q", shown(got, "producer.compression.type"), shown(got, "request.log"))
	}
	if _, changed, restart = got.Reload(next); len(changed) > 0 || len(restart) != 3 {
		t.Errorf("the same again: changed %v, for a restart %v", changed, restart)
	}
}
