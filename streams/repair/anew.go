package repair

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
	"mpim/streams"
	"mpim/streams/fold"
)

// anew writes a partition from nothing: the window of the log and the requests of the last day as the archive has them, and what
// all of history comes to. It begins from the start whenever it was cut off.
func (w *work) anew(ctx context.Context, p Plan) error {
	if err := w.clear(ctx, p.Partition); err != nil {
		return err
	}
	if p.End == 0 {
		return nil
	}
	window, since, err := w.window(ctx, p)
	if err != nil {
		return err
	}
	folded := fold.New()
	if err := w.rewrite(ctx, p, folded, window, since); err != nil {
		return err
	}
	for change := range folded.All() {
		if err := w.write(ctx, p.Partition, portion{from: p.End, to: p.End, changes: []fold.Change{change}}); err != nil {
			return err
		}
	}
	return w.skip(ctx, p.Partition)
}

// rewrite folds all of a partition and writes its events behind the beginning of the window, and the requests since a time.
func (w *work) rewrite(ctx context.Context, p Plan, folded *fold.Partition, window int64, since time.Time) error {
	next := portion{}
	size := 0
	for commit, err := range fold.Commits(w.archived(ctx, p.Partition, 0, p.End)) {
		if err != nil {
			return err
		}
		for _, r := range commit {
			if err := folded.Add(r); err != nil {
				return err
			}
			if r.Seq > window {
				next.entries = append(next.entries, entryOf(r))
				size += len(r.Metadata) + len(r.Payload)
				next.to = r.Seq
			}
		}
		if remembered, ok := w.recall(commit, since); ok {
			next.requests = append(next.requests, remembered)
		}
		if len(next.entries) >= portionEvents || len(next.requests) >= portionEvents || size >= portionBytes {
			if err := w.write(ctx, p.Partition, next); err != nil {
				return err
			}
			next, size = portion{from: next.to, to: next.to}, 0
		}
		w.step(len(commit))
	}
	return w.write(ctx, p.Partition, next)
}

// window returns behind which event the log is kept in Redis, which is never empty, and since when requests are remembered.
func (w *work) window(ctx context.Context, p Plan) (after int64, since time.Time, err error) {
	if since, err = w.remembered(ctx); err != nil {
		return 0, since, err
	}
	now := since.Add(streams.RequestLife)
	if after, err = w.Archive.Before(ctx, p.Partition, now.Add(-w.Keep)); err != nil {
		return 0, since, err
	}
	return min(after, p.End-1), since, nil
}

// clear takes away all that the log has in a partition, and sets its counter to nothing.
func (w *work) clear(ctx context.Context, partition int) error {
	key := schema.PartitionKey(partition, "meta")
	seq, err := w.Client.HGet(ctx, key, "seq").Int64()
	if err != nil {
		return fmt.Errorf("counter of partition %d: %w", partition, err)
	}
	if err := w.write(ctx, partition, portion{from: seq, to: 0}); err != nil {
		return err
	}
	keys := []string{schema.PartitionKey(partition, "log"), schema.PartitionKey(partition, "due")}
	for n := range streams.Subhashes(w.identity.Partitions) {
		keys = append(keys, schema.PartitionKey(partition, "idem:"+strconv.Itoa(n)))
	}
	for _, prefix := range []string{"agg:", "appender:"} {
		found, err := w.scan(ctx, schema.PartitionKey(partition, prefix))
		if err != nil {
			return err
		}
		keys = append(keys, found...)
	}
	for len(keys) > 0 {
		n := min(len(keys), 500)
		// A repairer that was paused may find what the next one has written.
		err := clearScript.Run(ctx, w.Client, append([]string{key}, keys[:n]...), w.identity.ID, w.identity.Epoch, w.token).Err()
		if err != nil {
			return fmt.Errorf("clear partition %d: %w", partition, err)
		}
		keys = keys[n:]
	}
	return nil
}

// scan returns the keys that begin with a prefix, on whichever server they are.
func (w *work) scan(ctx context.Context, prefix string) ([]string, error) {
	var client redis.Cmdable = w.Client
	if cluster, ok := w.Client.(*redis.ClusterClient); ok {
		node, err := cluster.MasterForKey(ctx, prefix)
		if err != nil {
			return nil, fmt.Errorf("find the server of %s: %w", prefix, err)
		}
		client = node
	}
	var keys []string
	all := client.Scan(ctx, 0, prefix+"*", 2000).Iterator()
	for all.Next(ctx) {
		keys = append(keys, all.Val())
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("list the keys of %s: %w", prefix, err)
	}
	return keys, nil
}

// skip puts the groups that were made while the stream was empty behind what was written back: a side effect is not caused
// again. Projections set theirs by their checkpoints.
func (w *work) skip(ctx context.Context, partition int) error {
	key := schema.PartitionKey(partition, "log")
	groups, err := w.Client.XInfoGroups(ctx, key).Result()
	if err != nil {
		return fmt.Errorf("look at the groups of partition %d: %w", partition, err)
	}
	for _, g := range groups {
		if g.LastDeliveredID != "0-0" {
			continue
		}
		if err := w.Client.XGroupSetID(ctx, key, g.Name, "$").Err(); err != nil {
			return fmt.Errorf("set the group %s of partition %d: %w", g.Name, partition, err)
		}
	}
	return nil
}
