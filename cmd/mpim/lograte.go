package main

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections/archive"
	"mpim/schema"
	"mpim/streams"
)

// fullAt is the part of maxmemory above which appends are refused.
const fullAt = streams.DefaultFullAt

// logStat is what `log stat --json` prints.
type logStat struct {
	streams.Stat
	Partitions []logPartition `json:"partitions"`
	// AppendsPerSecond is that of the last minute.
	AppendsPerSecond float64 `json:"appends_per_second"`
	// MemoryLeftSeconds is how long the memory lasts at this rate; nil where there is no limit or nothing is appended.
	MemoryLeftSeconds *float64 `json:"memory_left_seconds"`
}

// logPartition is a partition with what of it is no longer in Redis, and what is in the archive.
type logPartition struct {
	streams.PartitionStat
	ArchivedTo int64 `json:"archived_to"`
	TrimmedTo  int64 `json:"trimmed_to"`
}

// readStat describes the log and how fast it grows.
func (s *stores) readStat(ctx context.Context) (logStat, error) {
	stat, err := streams.ReadStat(ctx, s.redis, s.server, s.identity)
	described := logStat{Stat: stat}
	var archived map[int]archive.PartitionState
	if err == nil && s.db != nil {
		var missing error
		if archived, missing = s.archivedTo(ctx); missing != nil {
			s.logger.Warn("how far the archive is cannot be told", slog.Any("error", missing))
		}
	}
	for _, p := range stat.Partitions {
		one := logPartition{PartitionStat: p, TrimmedTo: p.Head, ArchivedTo: archived[p.Partition].VerifiedTo}
		if p.Entries > 0 {
			one.TrimmedTo = p.First - 1
		}
		described.Partitions = append(described.Partitions, one)
	}
	if err != nil {
		return described, err
	}
	if described.AppendsPerSecond, err = s.appendRate(ctx); err != nil {
		return described, err
	}
	if growth := described.growth(); growth > 0 && stat.MaxMemory > 0 {
		left := max(0, (fullAt*float64(stat.MaxMemory)-float64(stat.UsedMemory))/growth)
		described.MemoryLeftSeconds = &left
	}
	return described, nil
}

// growth is how many bytes the log takes a second.
func (s logStat) growth() float64 {
	if s.Entries == 0 {
		return 0
	}
	return s.AppendsPerSecond * float64(s.Bytes) / float64(s.Entries)
}

const (
	rateWindow = time.Minute
	// rateSample is how many of a partition's newest entries are looked at.
	rateSample = 200
)

// appendRate measures the last minute by the ids of the newest entries, which are the server's milliseconds.
func (s *stores) appendRate(ctx context.Context) (float64, error) {
	now, err := s.redis.Time(ctx).Result()
	if err != nil {
		return 0, err
	}
	since := strconv.FormatInt(now.Add(-rateWindow).UnixMilli(), 10)
	replies := make([]*redis.XMessageSliceCmd, s.identity.Partitions)
	if _, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for partition := range replies {
			replies[partition] = p.XRevRangeN(ctx, schema.PartitionKey(partition, "log"), "+", since, rateSample)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	total := 0.0
	for _, reply := range replies {
		entries := reply.Val()
		span := rateWindow
		if len(entries) == rateSample {
			span = max(now.Sub(timeOfID(entries[rateSample-1].ID)), time.Millisecond)
		}
		total += float64(len(entries)) / span.Seconds()
	}
	return total, nil
}

// timeOfID returns the time in a stream id, "milliseconds-number".
func timeOfID(id string) time.Time {
	for n := range len(id) {
		if id[n] == '-' {
			id = id[:n]
			break
		}
	}
	ms, _ := strconv.ParseInt(id, 10, 64) // ids of Redis are numbers
	return time.UnixMilli(ms)
}
