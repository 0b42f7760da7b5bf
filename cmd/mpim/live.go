package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"mpim/handlers/api"
)

// settingsPause lies between two looks at the configuration file.
const settingsPause = time.Second

// live puts settings in force that changed while the process runs: on SIGHUP, and when the configuration file has
// changed. It reads everything again as at the start, so flags and variables still win over the file. What cannot change
// without a restart it names and leaves as it is; a file that cannot be used it names, and changes nothing.
type live struct {
	sys    system
	logger *slog.Logger
	level  *slog.LevelVar
	rates  func(api.Rates)
	// cacheBytes is the bound of a cache beside the log.
	cacheBytes *atomic.Int64
	// inForce is what was read last.
	inForce *commandLine
	// again says that what is in force may be older than the file.
	again   bool
	hangups chan os.Signal
}

// newLive returns what watches the settings of a long-lived command. Rates takes new ones; nil where there are none. Again says
// that the command has been running, so that they may have changed since they were read. From now on SIGHUP does not end the
// process.
func (i *invocation) newLive(rates func(api.Rates), again bool) *live {
	l := &live{
		sys: i.sys, logger: i.logger, level: i.settings.level, rates: rates, cacheBytes: i.settings.cacheBytes, hangups: make(chan os.Signal, 1), again: again,
		inForce: &commandLine{parsed: i.parsed, env: i.env, values: i.values},
	}
	signal.Notify(l.hangups, syscall.SIGHUP)
	return l
}

// Run watches until the context ends.
func (l *live) Run(ctx context.Context) error {
	defer signal.Stop(l.hangups)
	ticker := time.NewTicker(settingsPause)
	defer ticker.Stop()
	before := l.stamp()
	if l.again {
		l.reload("the log was opened anew")
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.hangups:
			before = l.stamp()
			l.reload("SIGHUP")
		case <-ticker.C:
			if now := l.stamp(); now != before {
				before = now
				l.reload("file")
			}
		}
	}
}

// stamp changes when the file does. One that is missing for a moment, as while it is replaced, has not changed.
func (l *live) stamp() (stamp struct {
	size int64
	at   time.Time
},
) {
	if l.inForce.env.file == "" {
		return stamp
	}
	if info, err := os.Stat(l.inForce.env.file); err == nil {
		stamp.size, stamp.at = info.Size(), info.ModTime()
	}
	return stamp
}

// reload reads all settings and puts in force what changed.
func (l *live) reload(cause string) {
	next, err := parse(l.sys)
	if err != nil {
		l.logger.Error("settings cannot be read again; those before stay in force", slog.String("cause", cause), slog.Any("error", err))
		return
	}
	changed := l.changes(next)
	l.inForce = next
	settings := &next.cli.Settings
	if slices.Contains(changed, "log-level") {
		l.level.Set(settings.LogLevel)
	}
	if slices.Contains(changed, "cache-bytes") && l.cacheBytes != nil {
		l.cacheBytes.Store(int64(settings.CacheBytes))
	}
	if l.rates != nil {
		l.rates(settings.rates())
	}
	if len(changed) == 0 {
		l.logger.Info("settings were read again; nothing live changed", slog.String("cause", cause))
	}
}

// changes logs each setting that differs, and returns those that are live.
func (l *live) changes(next *commandLine) []string {
	var changed []string
	for _, flag := range next.parsed.Flags() {
		before, after := l.inForce.values[flag.Name], next.values[flag.Name]
		if len(flag.Envs) == 0 || before == after {
			continue
		}
		if !flag.Tag.Has("live") {
			l.logger.Warn("this setting changed in the file, and needs a restart to take effect", slog.String("setting", flag.Name))
			continue
		}
		changed = append(changed, flag.Name)
		// Said at the level of warnings, so that it is seen at almost every level.
		l.logger.Warn("setting changed", slog.String("setting", flag.Name), slog.String("from", before), slog.String("to", after))
	}
	return changed
}
