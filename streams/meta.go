package streams

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// meta is what a partition says of itself. Numbers that are missing are 0.
type meta struct {
	id, run    string
	epoch, seq int64
	// opened is where it was opened in the run, -1 where it was not.
	opened int64
	// forked is the highest sequence that anybody saw of what is lost, -1 where nothing is.
	forked              int64
	complete, repairing bool
}

// metaFields are what readMetas reads, in the order of parseMeta.
var metaFields = []string{"id", "epoch", "run", "seq", "opened", "complete", "forked", "repairing"}

// readMetas returns what all partitions say of themselves, in one round trip.
func readMetas(ctx context.Context, at redis.Cmdable, partitions int) ([]meta, error) {
	replies := make([]*redis.SliceCmd, partitions)
	_, err := at.Pipelined(ctx, func(p redis.Pipeliner) error {
		for partition := range replies {
			replies[partition] = p.HMGet(ctx, schema.PartitionKey(partition, metaName), metaFields...)
		}
		return nil
	})
	if err != nil {
		return nil, unreachable(err)
	}
	metas := make([]meta, partitions)
	for partition, reply := range replies {
		if metas[partition], err = parseMeta(reply.Val()); err != nil {
			return nil, fmt.Errorf("partition %d: %w", partition, err)
		}
	}
	return metas, nil
}

func parseMeta(values []any) (m meta, err error) {
	text := make([]string, len(metaFields))
	for i := range min(len(text), len(values)) {
		text[i], _ = values[i].(string)
	}
	m = meta{id: text[0], run: text[2], complete: text[5] == "1", opened: -1, forked: -1, repairing: text[7] != ""}
	for i, target := range map[int]*int64{1: &m.epoch, 3: &m.seq, 4: &m.opened, 6: &m.forked} {
		if text[i] == "" {
			continue
		}
		if *target, err = strconv.ParseInt(text[i], 10, 64); err != nil {
			return m, fmt.Errorf("%s: %w", metaFields[i], err)
		}
	}
	return m, nil
}

// belongs says whether the partition is one of the log.
func (m meta) belongs(i Identity) bool { return m.id == i.ID }

// MarkForked marks a partition as having lost what somebody saw, up to seen, so that it takes no appends until it was repaired. It
// is for who has no Log; a process that appends uses the method. Nothing is marked in another log, or where it was
// repaired since the epoch of the identity.
func MarkForked(ctx context.Context, client redis.Cmdable, server Server, identity Identity, partition int, seen int64) error {
	if partition < 0 || partition >= identity.Partitions {
		return domain.Errorf(domain.Internal, "the log has no partition %d", partition)
	}
	keys := []string{schema.PartitionKey(partition, metaName)}
	if err := client.Eval(ctx, server.Always(forkLua), keys, identity.ID, identity.Epoch, seen).Err(); err != nil {
		return unreachable(err)
	}
	return nil
}
