package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mpim/projections/database"
	"mpim/schema/migrations"
	"mpim/streams"
	"mpim/streams/lease"
)

type doctorCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// finding is what the doctor says about one thing.
type finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	// Found is what is so, Do what to do about it.
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
}

// Run checks everything that can be reached, and exits with 1 where something is wrong.
func (c *doctorCommand) Run(i *invocation) error {
	findings := examine(i)
	healthy := true
	for _, f := range findings {
		healthy = healthy && f.OK
	}
	if c.JSON {
		if err := json.NewEncoder(i.stdout).Encode(findings); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			mark := "ok  "
			if !f.OK {
				mark = "FAIL"
			}
			fmt.Fprintf(i.stdout, "%s %-12s %s\n", mark, f.Check, f.Found)
			if f.Do != "" {
				fmt.Fprintf(i.stdout, "     %-12s -> %s\n", "", f.Do)
			}
		}
	}
	if !healthy {
		return errProblemsFound
	}
	return nil
}

// examine runs the checks in the order in which they need each other.
func examine(i *invocation) []finding {
	var findings []finding
	add := func(check, found, do string, err error) bool {
		f := finding{Check: check, OK: err == nil, Found: found}
		if err != nil {
			f.Found, f.Do = err.Error(), do
		}
		findings = append(findings, f)
		return err == nil
	}
	if len(i.settings.AuthKey) == 0 {
		add("settings", "", "set MPIM_AUTH_KEY, the same for every gateway, such as `openssl rand -hex 32` prints", errors.New("gateways have no signing key"))
	} else {
		add("settings", "a signing key is set", "", nil)
	}
	s, err := openStores(i.ctx, i.settings, i.logger)
	if !add("redis", "answers at "+redacted(i.settings.RedisURL), "start it, or set MPIM_REDIS_URL and MPIM_DATABASE_URL", err) {
		return findings
	}
	defer func() { _ = s.Close() }()
	examineRedis(i, s, add)
	if !add("database", s.db.String(), "start it, or set MPIM_DATABASE_URL", s.db.Ping(i.ctx)) {
		return findings
	}
	list, err := database.NewMigrations(s.db, migrations.Files)
	if err == nil {
		err = list.Check(i.ctx)
	}
	if !add("schema", "is what this binary needs", "run `mpim migrate up`, or install a newer binary", err) {
		return findings
	}
	if !add("log", "Redis and SQL agree on the log", "see the error", s.openLog(i.ctx)) {
		return findings
	}
	examineWork(i, s, add)
	return findings
}

func examineRedis(i *invocation, s *stores, add func(check, found, do string, err error) bool) {
	settings, err := s.server.Settings(i.ctx)
	if err == nil {
		err = settings.Check(i.settings.Durability)
	}
	add("safety", fmt.Sprintf("Redis %s, appendfsync %s, %s", settings.Version, settings.AppendFsync, settings.MaxMemoryPolicy), "change redis.conf as it says", err)

	used, limit, err := s.server.Memory(i.ctx)
	if err == nil && limit > 0 && float64(used) > 0.85*float64(limit) {
		err = fmt.Errorf("%s of %s are used: appends are refused above 85 %%", bytesOf(used), bytesOf(limit))
	}
	found := bytesOf(used) + " used, no limit set"
	if limit > 0 {
		found = fmt.Sprintf("%s of %s used", bytesOf(used), bytesOf(limit))
	}
	add("memory", found, "raise maxmemory", err)

	skew, err := clockSkew(i.ctx, s)
	if err == nil && skew.Abs() > time.Second {
		err = fmt.Errorf("this machine's clock and that of Redis differ by %s", skew.Round(time.Millisecond))
	}
	add("clock", "agrees with that of Redis to "+skew.Abs().Round(time.Millisecond).String(), "synchronise the clocks (NTP): events carry the gateways' times", err)
}

// clockSkew is how far the clock of Redis is ahead.
func clockSkew(ctx context.Context, s *stores) (time.Duration, error) {
	before := time.Now()
	at, err := s.redis.Time(ctx).Result()
	return at.Sub(before.Add(time.Since(before) / 2)), err
}

// lagBound is above which a projection's lag is a problem.
const lagBound = 10 * time.Second

func examineWork(i *invocation, s *stores, add func(check, found, do string, err error) bool) {
	workers, err := lease.Workers(i.ctx, s.redis, 0)
	if err == nil && len(workers) == 0 {
		err = errors.New("no worker is running")
	}
	add("workers", fmt.Sprintf("%d running", len(workers)), "start `mpim worker`: messages are taken, but neither shown nor pushed", err)
	lines, err := s.projectionLines(i.ctx, time.Now())
	if err != nil {
		add("projections", "", "see the error", err)
	}
	for _, line := range lines {
		var problem error
		switch {
		case line.Parked > 0:
			problem = fmt.Errorf("%d events are parked: these conversations stand still in it", line.Parked)
		case line.LagSeconds > lagBound.Seconds():
			problem = fmt.Errorf("%d events and %.0f s behind", line.LagEvents, line.LagSeconds)
		}
		add(line.Name, fmt.Sprintf("%d events behind", line.LagEvents), "look at the workers' logs", problem)
	}
	stat, err := streams.ReadStat(i.ctx, s.redis, s.server, s.identity)
	add("stream", fmt.Sprintf("%d events, %s, in %d partitions", stat.Entries, bytesOf(stat.Bytes), len(stat.Partitions)), "see the error", err)
}
