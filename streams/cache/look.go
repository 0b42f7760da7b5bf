package cache

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// Stat is what a cache holds.
type Stat struct {
	// Entries are how many there are of each kind.
	Entries map[Kind]int64 `json:"entries"`
	// Bytes is what they take, on a server that is shared with the log; 0 elsewhere.
	Bytes int64 `json:"bytes"`
	// Hot is how many entries are known to be asked for often.
	Hot int64 `json:"hot"`
}

// scanned is how many keys a scan looks at in one call.
const scanned = 1000

// each calls do with the ids of a kind, some at a time, some of them maybe twice.
func (c *Cache) each(ctx context.Context, kind Kind, do func(ids []string) error) error {
	for cursor := uint64(0); ; {
		keys, next, err := c.config.Client.Scan(ctx, cursor, string(kind)+":{*", scanned).Result()
		if err != nil {
			return fmt.Errorf("scan the cache: %w", err)
		}
		var ids []string
		for _, key := range keys {
			if _, id, ok := parseKey(key); ok {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			if err := do(ids); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Stat counts what the cache holds, by looking at all keys of its server.
func (c *Cache) Stat(ctx context.Context) (s Stat, err error) {
	s.Entries = make(map[Kind]int64)
	for _, kind := range Kinds {
		s.Entries[kind] = 0
		if err := c.each(ctx, kind, func(ids []string) error {
			s.Entries[kind] += int64(len(ids))
			return nil
		}); err != nil {
			return s, err
		}
	}
	if c.config.Bound != nil {
		if s.Bytes, err = c.sum(ctx); err != nil {
			return s, err
		}
	}
	if c.config.Hot != nil {
		s.Hot, err = c.config.Hot.ZCard(ctx, hotKey).Result()
	}
	return s, err
}

// Difference is an entry that is not what SQL has.
type Difference struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`
}

// settle is how long an entry may be behind SQL before it counts as different.
const settle = time.Second

// Verify compares every entry with what its load returns, and again after a second where they differ. Those that still do are
// returned, and forgotten where repair is set.
func (c *Cache) Verify(ctx context.Context, loads map[Kind]Load, repair bool) (checked int, different []Difference, err error) {
	for _, kind := range Kinds {
		err := c.each(ctx, kind, func(ids []string) error {
			checked += len(ids)
			wrong, err := c.differ(ctx, kind, ids, loads[kind])
			if err != nil || len(wrong) == 0 {
				return err
			}
			timer := time.NewTimer(settle)
			defer timer.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
			}
			if wrong, err = c.differ(ctx, kind, wrong, loads[kind]); err != nil {
				return err
			}
			for _, id := range wrong {
				different = append(different, Difference{kind, id})
			}
			if repair {
				return c.Forget(ctx, kind, wrong)
			}
			return nil
		})
		if err != nil {
			return checked, different, err
		}
	}
	return checked, different, nil
}

// differ returns the ids whose entries are not what load returns.
func (c *Cache) differ(ctx context.Context, kind Kind, ids []string, load Load) (wrong []string, err error) {
	for len(ids) > 0 {
		some := ids[:min(warmBatch, len(ids))]
		ids = ids[len(some):]
		kept, err := c.read(ctx, keysOf(kind, some))
		if err != nil {
			return nil, err
		}
		want, err := load(ctx, some)
		if err != nil {
			return nil, err
		}
		for i, id := range some {
			value, stored := strings.CutPrefix(kept[i], string(valueMark))
			if stored && !bytes.Equal([]byte(value), want[id]) {
				wrong = append(wrong, id)
			}
		}
	}
	return wrong, nil
}
