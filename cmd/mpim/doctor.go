package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mpim/handlers/push"
	"mpim/projections"
	"mpim/projections/builds"
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
	d := &doctor{invocation: i}
	d.examine()
	if c.JSON {
		if err := json.NewEncoder(i.stdout).Encode(d.findings); err != nil {
			return err
		}
	} else {
		d.print(i.stdout)
	}
	for _, f := range d.findings {
		if !f.OK {
			return errProblemsFound
		}
	}
	return nil
}

// doctor gathers findings. What cannot be examined because of an earlier finding is left out.
type doctor struct {
	*invocation
	findings []finding
}

// checkTime bounds one check, so that a server that swallows packets is found out.
const checkTime = 5 * time.Second

// add notes what was found, or the error and what to do about it. It returns whether all is well.
func (d *doctor) add(check, found, do string, err error) bool {
	f := finding{Check: check, OK: err == nil, Found: found}
	if err != nil {
		f.Found, f.Do = err.Error(), do
	}
	d.findings = append(d.findings, f)
	return err == nil
}

func (d *doctor) print(w io.Writer) {
	ok, fail, normal := "", "", ""
	if isTerminal(w) {
		ok, fail, normal = "\x1b[32m", "\x1b[31m", "\x1b[0m"
	}
	for _, f := range d.findings {
		mark := ok + "ok  " + normal
		if !f.OK {
			mark = fail + "FAIL" + normal
		}
		fmt.Fprintf(w, "%s %-10s %s\n", mark, f.Check, f.Found)
		if f.Do != "" {
			fmt.Fprintf(w, "     %-10s -> %s\n", "", f.Do)
		}
	}
}

// examine runs the checks in the order in which they need each other.
func (d *doctor) examine() {
	d.add("version", readVersion().String(), "", nil)
	var missing error
	if d.settings.AuthKey == "" {
		missing = errors.New("no signing key is set: gateways do not start without one")
	}
	d.add("settings", "a signing key is set", "set MPIM_AUTH_KEY, the same for every gateway, to what `openssl rand -hex 32` prints", missing)
	s := &stores{registry: newRegistry(), keep: d.settings.LogKeep, logger: d.logger}
	inRedis, sqlAnswers := d.examineRedis(s), d.examineDatabase(s)
	if s.redis != nil {
		defer func() { _ = s.redis.Close() }()
	}
	if s.db != nil {
		defer func() { _ = s.db.Close() }()
	}
	if !inRedis {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	var err error
	what := "Redis and SQL agree on the log"
	if sqlAnswers {
		err = s.openLog(ctx)
	} else {
		what = "Redis holds one; SQL could not be asked whether it is the same"
		s.identity, err = streams.ReadIdentity(ctx, s.redis)
	}
	advice := "run `mpim migrate up` where everything is new, `mpim log repair` where Redis has less than it had (a worker does that by itself); otherwise check that MPIM_REDIS_URL and MPIM_DATABASE_URL belong together"
	if !d.add("log", what, advice, err) {
		return
	}
	d.examineLog(s)
	d.examineRequests(s)
	worked := d.examineWorkers(s)
	d.examineProjections(s, sqlAnswers, worked)
	if sqlAnswers {
		d.examineCache(s, worked)
		d.examineWebhooks(s, worked)
		d.examineDeadLetters(s)
	}
}

func (d *doctor) examineRedis(s *stores) bool {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	var err error
	if s.redis, err = streams.Connect(d.settings.RedisURL, redisPool); err == nil {
		s.server = streams.RedisServer{Client: s.redis}
		if err = s.redis.Ping(ctx).Err(); err != nil {
			err = fmt.Errorf("%s does not answer: %w", redacted(d.settings.RedisURL), err)
		}
	}
	if !d.add("redis", redacted(d.settings.RedisURL)+" answers", "start Redis, or set MPIM_REDIS_URL", err) {
		return false
	}
	settings, err := s.server.Settings(ctx)
	if err == nil {
		err = settings.Check(d.settings.Durability)
	}
	d.add("safety", fmt.Sprintf("Redis %s, appendonly yes, appendfsync %s, %s: enough for durability %s",
		settings.Version, settings.AppendFsync, settings.MaxMemoryPolicy, d.settings.Durability), "change redis.conf as it says", err)
	d.examineMemory(ctx, s)
	skew, err := streams.ClockSkew(ctx, s.redis)
	if err == nil && skew.Abs() > time.Second {
		err = fmt.Errorf("the clocks of this machine and of Redis differ by %s", skew.Round(time.Millisecond))
	}
	d.add("clock", "agrees with that of Redis to "+skew.Abs().Round(time.Millisecond).String(), "synchronise the clocks (NTP): events carry the gateways' times", err)
	return true
}

func (d *doctor) examineMemory(ctx context.Context, s *stores) {
	used, limit, err := s.server.Memory(ctx)
	if err == nil && limit > 0 && float64(used) > fullAt*float64(limit) {
		err = fmt.Errorf("%s of %s are used: appends are refused above %.0f %%", bytesOf(used), bytesOf(limit), fullAt*100)
	}
	found := bytesOf(used) + " used; maxmemory is not set, so nothing stops it before the machine is full"
	if limit > 0 {
		found = fmt.Sprintf("%s of %s used", bytesOf(used), bytesOf(limit))
	}
	d.add("memory", found, "raise maxmemory: CONFIG SET maxmemory takes effect at once", err)
}

func (d *doctor) examineDatabase(s *stores) bool {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	err := s.openDatabase(ctx, d.settings)
	found := ""
	if err == nil {
		found = s.db.String() + " answers"
		err = s.db.Ping(ctx)
	}
	if !d.add("database", found, "start it, or set MPIM_DATABASE_URL", err) {
		return false
	}
	list, err := database.NewMigrations(s.db, migrations.Files)
	if err == nil {
		err = list.Check(ctx)
	}
	return d.add("schema", "is what this binary needs", "run `mpim migrate up`, or install the mpim that the schema needs", err)
}

func (d *doctor) examineLog(s *stores) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	stat, err := s.readStat(ctx)
	found := fmt.Sprintf("%d events, %s, in %d partitions, %.1f appended a second", stat.Entries, bytesOf(stat.Bytes), len(stat.Partitions), stat.AppendsPerSecond)
	if stat.MemoryLeftSeconds != nil {
		left := time.Duration(*stat.MemoryLeftSeconds) * time.Second
		found += ", memory for " + left.String() + " at this rate"
		if err == nil && left < time.Hour {
			err = errors.New(found)
		}
	}
	d.add("stream", found, "raise maxmemory", err)
	if sentences := closedPartitions(stat.Partitions); sentences != nil {
		err = errors.New(strings.Join(sentences, "; "))
		d.add("partitions", "", "what it says; `mpim log stat` shows each partition", err)
		return
	}
	d.add("partitions", "all take appends", "", nil)
}

// examineRequests tells when requests are forgotten so early that one which is sent again may be done twice.
func (d *doctor) examineRequests(s *stores) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	dropped, err := streams.DroppedEarly(ctx, s.redis, s.identity.Partitions)
	if err == nil && dropped > 0 {
		err = fmt.Errorf("%d requests were forgotten before a day had passed, because there were too many: one sent again so late would be done twice", dropped)
	}
	d.add("requests", "each is remembered for a day", "send less than about 26 million requests a day to one log", err)
}

// examineWorkers returns whether there are any.
func (d *doctor) examineWorkers(s *stores) bool {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	workers, err := lease.Workers(ctx, s.redis, 0)
	if err == nil && len(workers) == 0 {
		err = errors.New("no worker is running: messages are taken, but neither shown in lists nor pushed")
	}
	if !d.add("workers", fmt.Sprintf("%d running", len(workers)), "start `mpim worker`", err) {
		return false
	}
	d.add(push.Consumer, "every partition has an owner", "start a worker that runs it", s.held(ctx, push.Consumer))
	return true
}

// lagBound is above which a projection's lag is a problem.
const lagBound = 10 * time.Second

func (d *doctor) examineProjections(s *stores, sqlAnswers, worked bool) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	heads, err := s.reader().Heads(ctx)
	if err != nil {
		d.add("projections", "", "start Redis again and look at its log", err)
		return
	}
	if sqlAnswers {
		d.examineArchive(s, heads, worked)
		d.examineAudit(s)
	}
	statuses, err := s.statuses(ctx, false)
	if err != nil && sqlAnswers { // else it was said before
		d.add("projections", "", "look at the server that holds them", err)
	}
	for _, status := range statuses {
		events, behind, err := s.lag(ctx, status.Status, heads, time.Now())
		if err != nil {
			d.add(status.Name, "", "see the error", err)
			continue
		}
		do, err := examineStatus(status.Status, heads, behind)
		if err == nil && worked {
			do, err = "start a worker that runs it", s.held(ctx, builds.Consumer(status.Name, status.Version))
		}
		d.add(status.Name, fmt.Sprintf("version %d, %d events applied, %d behind", status.Version, status.Applied(), events), do, err)
	}
}

// examineStatus returns what is wrong with a projection, and what to do about it.
func examineStatus(status projections.Status, heads []int64, behind time.Duration) (do string, err error) {
	for _, p := range status.Partitions {
		if p.Partition < len(heads) && p.Checkpoint.Seq > heads[p.Partition] {
			return "Redis has lost events that were acknowledged: a worker repairs the log by itself; else run `mpim log repair`",
				fmt.Errorf("it has seen event %d of partition %d, and Redis ends at %d", p.Checkpoint.Seq, p.Partition, heads[p.Partition])
		}
	}
	switch {
	case status.Parked > 0:
		return "`mpim parked list` says which and why; retry or discard them", fmt.Errorf("%d events are parked: their conversations stand still in it", status.Parked)
	case behind > lagBound:
		return "look at the workers' logs and load; start another worker", fmt.Errorf("the oldest event that it has yet to see waits for %.0f s", behind.Seconds())
	}
	return "", nil
}
