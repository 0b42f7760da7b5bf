package streams

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

const (
	// requestLife is how long a request is remembered.
	requestLife = 24 * time.Hour
	// subhashBound is how many requests one sub-hash may hold: all of them together then take about 1 GiB.
	subhashBound = 102
	// sweepPage is how many sub-hashes are read in one pipeline.
	sweepPage = 64
)

// Subhashes returns how many idempotency sub-hashes a partition has.
func Subhashes(partitions int) int { return requestSubhashes / partitions }

// Sweeper forgets requests that are older than a day, and the oldest of a sub-hash that has too many. It reads a few
// sub-hashes at a time: expiring everything at once would stall the server.
type Sweeper struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Partitions is the log's.
	Partitions int
}

// Sweep looks at the sub-hashes from one index up to another, not included, and returns how many requests it dropped.
func (s Sweeper) Sweep(ctx context.Context, partition int, now time.Time, from, to int) (dropped int64, err error) {
	for start := from; start < to; start += sweepPage {
		n, err := s.page(ctx, partition, now, start, min(start+sweepPage, to))
		if err != nil {
			return dropped, unreachable(err)
		}
		dropped += n
	}
	return dropped, nil
}

func (s Sweeper) page(ctx context.Context, partition int, now time.Time, from, to int) (int64, error) {
	keys := make([]string, 0, to-from)
	for n := from; n < to; n++ {
		keys = append(keys, schema.PartitionKey(partition, "idem:"+strconv.Itoa(n)))
	}
	hashes := make([]*redis.MapStringStringCmd, len(keys))
	if _, err := s.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			hashes[i] = p.HGetAll(ctx, key)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	var deletions []*redis.IntCmd
	_, err := s.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			if fields := expired(hashes[i].Val(), now); len(fields) > 0 {
				deletions = append(deletions, p.HDel(ctx, key, fields...))
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	var dropped int64
	for _, deletion := range deletions {
		dropped += deletion.Val()
	}
	return dropped, nil
}

// expired returns the fields that are to go.
func expired(hash map[string]string, now time.Time) []string {
	type entry struct {
		field string
		at    time.Time
	}
	var old []string
	live := make([]entry, 0, len(hash))
	for field, value := range hash {
		kept, err := decodeRequest(value)
		if err != nil || now.Sub(kept.at) > requestLife {
			old = append(old, field)
			continue
		}
		live = append(live, entry{field, kept.at})
	}
	if len(live) > subhashBound {
		slices.SortFunc(live, func(a, b entry) int { return a.at.Compare(b.at) })
		for _, e := range live[:len(live)-subhashBound] {
			old = append(old, e.field)
		}
	}
	return old
}
