package repair

import (
	"context"
	_ "embed" // for the scripts
	"encoding/hex"
	"fmt"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/fold"
)

var (
	//go:embed lua/close.lua
	closeLua string
	//go:embed lua/write.lua
	writeLua string
	//go:embed lua/clear.lua
	clearLua string
	//go:embed lua/open.lua
	openLua string

	closeScript = redis.NewScript(closeLua)
	writeScript = redis.NewScript(writeLua)
	clearScript = redis.NewScript(clearLua)
	openScript  = redis.NewScript(openLua)
)

// close closes every partition under the new epoch, and makes those that are gone.
func (w *work) close(ctx context.Context) error {
	metas, err := w.metas(ctx, w.identity.Partitions)
	if err != nil {
		return err
	}
	for n, m := range metas {
		err := closeScript.Run(ctx, w.Client, []string{schema.PartitionKey(n, "meta")},
			w.identity.ID, hex.EncodeToString(w.identity.Key[:]), w.identity.Partitions, w.identity.Epoch, w.token, m.last).Err()
		if err != nil {
			return fmt.Errorf("close partition %d: %w", n, err)
		}
	}
	return nil
}

// open opens every partition.
func (w *work) open(ctx context.Context, run string) error {
	for n := range w.identity.Partitions {
		err := openScript.Run(ctx, w.Client, []string{schema.PartitionKey(n, "meta"), schema.PartitionKey(n, "seen")},
			w.identity.ID, w.identity.Epoch, w.token, run).Err()
		if err != nil {
			return fmt.Errorf("open partition %d: %w", n, err)
		}
	}
	return nil
}

// entry is an event at its address; "*" for the next one.
type entry struct {
	address           string
	id                domain.EventID
	metadata, payload []byte
}

// portion is what one call of the script writes.
type portion struct {
	// from is the sequence that the partition has, to the one that it gets.
	from, to int64
	entries  []entry
	changes  []fold.Change
	requests []streams.Remembered
	// meta are fields of the partition's meta; an empty value deletes one.
	meta []domain.Field
}

func (w *work) write(ctx context.Context, partition int, p portion) error {
	keys := []string{schema.PartitionKey(partition, "log"), schema.PartitionKey(partition, "meta"), schema.PartitionKey(partition, "due")}
	args := []any{w.identity.ID, w.identity.Epoch, w.token, p.from, p.to, len(p.entries), 0, 0, 0, len(p.requests), len(p.meta)}
	for _, e := range p.entries {
		args = append(args, e.address, string(e.id), e.metadata, e.payload)
	}
	var timers []domain.Timer
	var cancels []string
	aggregates := 0
	for _, c := range p.changes {
		timers, cancels = append(timers, c.Timers...), append(cancels, c.Cancels...)
		if len(c.Set)+len(c.Delete) == 0 {
			continue
		}
		aggregates++
		keys = append(keys, schema.PartitionKey(partition, "agg:"+c.Aggregate.ID))
		args = append(args, len(c.Set), len(c.Delete))
		for _, f := range c.Set {
			args = append(args, f.Name, f.Value)
		}
		for _, name := range c.Delete {
			args = append(args, name)
		}
	}
	for _, t := range timers {
		args = append(args, t.At.UnixMilli(), t.Name)
	}
	for _, name := range cancels {
		args = append(args, name)
	}
	for _, r := range p.requests {
		key, field, value := r.Entry(w.identity.Partitions, partition)
		keys = append(keys, key)
		args = append(args, field, value)
	}
	for _, f := range p.meta {
		args = append(args, f.Name, f.Value)
	}
	args[6], args[7], args[8] = aggregates, len(timers), len(cancels)
	if err := writeScript.Run(ctx, w.Client, keys, args...).Err(); err != nil {
		return fmt.Errorf("write events %d to %d: %w", p.from+1, p.to, err)
	}
	return nil
}
