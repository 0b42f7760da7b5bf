package streams

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// State says whether a partition takes appends.
type State string

// The states of a partition.
const (
	// Open takes appends.
	Open State = "open"
	// Asking takes none since the server runs anew, until all who live have said how far they had seen it.
	Asking State = "asking"
	// Forked takes none, because it has lost what somebody saw, until it was repaired.
	Forked State = "forked"
	// Repairing takes none while it is being repaired.
	Repairing State = "repairing"
	// Gone is one of which Redis knows nothing, or that belongs to another log.
	Gone State = "gone"
)

// Standing is a partition's state, and what it waits for.
type Standing struct {
	State State `json:"state"`
	// WaitsFor are the processes that have yet to say how far they had seen it.
	WaitsFor []string `json:"waits_for,omitempty"`
	// LostTo is the highest sequence that somebody saw of what is lost, 0 where nothing is.
	LostTo int64 `json:"lost_to,omitempty"`
}

// ReadStandings returns how the partitions of a log stand. It changes nothing.
func ReadStandings(ctx context.Context, client redis.UniversalClient, server Server, identity Identity) ([]Standing, error) {
	run, _ := server.RunID(ctx, client) // the store of `mpim dev` has none
	metas, err := readMetas(ctx, client, identity.Partitions)
	if err != nil {
		return nil, err
	}
	alive, err := readAlive(ctx, client)
	if err != nil {
		return nil, err
	}
	standings := make([]Standing, len(metas))
	for partition, m := range metas {
		standings[partition] = m.standing(identity, run)
		if standings[partition].State != Asking {
			continue
		}
		said, err := client.HKeys(ctx, schema.PartitionKey(partition, seenName)).Result()
		if err != nil {
			return nil, unreachable(err)
		}
		for _, life := range alive {
			// What was said in another run does not count.
			if m.run != run || !slices.Contains(said, life) {
				standings[partition].WaitsFor = append(standings[partition].WaitsFor, life)
			}
		}
	}
	return standings, nil
}

func (m meta) standing(identity Identity, run string) Standing {
	switch {
	case !m.belongs(identity):
		return Standing{State: Gone}
	case m.repairing:
		return Standing{State: Repairing}
	case m.forked >= 0:
		return Standing{State: Forked, LostTo: m.forked}
	case !m.complete || run != "" && m.run != run:
		return Standing{State: Asking}
	}
	return Standing{State: Open}
}

// readAlive returns who is registered as an appender and gave a sign not long ago, in order.
func readAlive(ctx context.Context, client redis.UniversalClient) ([]string, error) {
	signs, err := client.HGetAll(ctx, appendersKey).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	now, err := client.Time(ctx).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	var alive []string
	for life, text := range signs {
		at, err := strconv.ParseInt(text, 10, 64)
		if err == nil && !strings.HasPrefix(life, "~") && at >= now.Add(-DefaultAlive).UnixMilli() {
			alive = append(alive, life)
		}
	}
	slices.Sort(alive)
	return alive, nil
}

// Partitions writes numbers of partitions as people do: "partition 3", "partitions 0–2 and 7".
func Partitions(numbers []int) string {
	numbers = slices.Sorted(slices.Values(numbers))
	var runs []string
	for from := 0; from < len(numbers); {
		to := from
		for to+1 < len(numbers) && numbers[to+1] == numbers[to]+1 {
			to++
		}
		run := strconv.Itoa(numbers[from])
		if to > from {
			run = fmt.Sprintf("%d–%d", numbers[from], numbers[to])
		}
		runs = append(runs, run)
		from = to + 1
	}
	switch n := len(runs); {
	case len(numbers) == 1:
		return "partition " + runs[0]
	case n > 1:
		return "partitions " + strings.Join(runs[:n-1], ", ") + " and " + runs[n-1]
	default:
		return "partitions " + strings.Join(runs, "")
	}
}
