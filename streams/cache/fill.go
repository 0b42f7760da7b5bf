package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/redis/go-redis/v9"
)

// flight is one entry that this process is getting, for all who wait for it.
type flight struct {
	done  chan struct{}
	value []byte
	err   error
}

// fly gets entries that are missing, each once however many ask for it here.
func (c *Cache) fly(ctx context.Context, kind Kind, ids []string, load Load) (map[string][]byte, error) {
	flights := make(map[string]*flight, len(ids))
	var own []string
	c.mu.Lock()
	for _, id := range ids {
		key := kind.Key(id)
		f := c.flights[key]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			c.flights[key] = f
			own = append(own, id)
		}
		flights[id] = f
	}
	c.mu.Unlock()
	if len(own) > 0 {
		go c.land(context.WithoutCancel(ctx), kind, own, load)
	}
	found := make(map[string][]byte, len(ids))
	var failed error
	for id, f := range flights {
		select {
		case <-f.done:
		case <-ctx.Done():
			return found, ctx.Err()
		}
		if f.err != nil {
			failed = f.err
		} else if f.value != nil {
			found[id] = f.value
		}
	}
	return found, failed
}

// land gets entries and tells all who wait for them.
func (c *Cache) land(ctx context.Context, kind Kind, ids []string, load Load) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	var values map[string][]byte
	err := errors.New("the load panicked")
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range ids {
			key := kind.Key(id)
			f := c.flights[key]
			f.value, f.err = values[id], err
			close(f.done)
			delete(c.flights, key)
		}
	}()
	values, err = c.fill(ctx, kind, ids, load)
}

// fill claims what is missing, loads it and puts it. What others fill it waits for.
func (c *Cache) fill(ctx context.Context, kind Kind, ids []string, load Load) (map[string][]byte, error) {
	claim := c.claim()
	stands, err := c.claimAll(ctx, kind, ids, claim)
	if err != nil { // such as a server that is full: whoever asks gets an answer, which is not kept
		c.metrics.fills.WithLabelValues(string(kind), "failed").Add(float64(len(ids)))
		return load(ctx, ids)
	}
	found := make(map[string][]byte, len(ids))
	var mine, others []string
	for i, id := range ids {
		switch {
		case stands[i] == "":
			mine = append(mine, id)
		case stands[i][0] == valueMark:
			found[id] = []byte(stands[i][1:])
		default:
			others = append(others, id)
		}
	}
	if len(mine) > 0 {
		loaded, err := load(ctx, mine)
		if err != nil {
			c.put(ctx, kind, mine, nil, claim)
			return found, err
		}
		c.put(ctx, kind, mine, loaded, claim)
		maps.Copy(found, loaded)
	}
	return found, c.await(ctx, kind, others, load, found)
}

// await waits until others have filled entries, for a while, and loads the rest.
func (c *Cache) await(ctx context.Context, kind Kind, ids []string, load Load, found map[string][]byte) error {
	limit := time.NewTimer(waitOthers)
	defer limit.Stop()
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for len(ids) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return c.loadInto(ctx, ids, load, found)
		case <-ticker.C:
		}
		values, err := c.read(ctx, keysOf(kind, ids))
		if err != nil {
			return c.loadInto(ctx, ids, load, found)
		}
		var waiting, gone []string
		for i, id := range ids {
			switch {
			case values[i] == "": // there is no such thing, or the claim was lost
				gone = append(gone, id)
			case values[i][0] == valueMark:
				found[id] = []byte(values[i][1:])
			default:
				waiting = append(waiting, id)
			}
		}
		if err := c.loadInto(ctx, gone, load, found); err != nil {
			return err
		}
		ids = waiting
	}
	return nil
}

func (c *Cache) loadInto(ctx context.Context, ids []string, load Load, found map[string][]byte) error {
	if len(ids) == 0 {
		return nil
	}
	loaded, err := load(ctx, ids)
	maps.Copy(found, loaded)
	return err
}

// claimAll claims what is missing and returns what stands at the others.
func (c *Cache) claimAll(ctx context.Context, kind Kind, ids []string, claim string) ([]string, error) {
	if c.full.Load() {
		return nil, errors.New("the cache may store nothing now")
	}
	replies, err := c.evalAll(ctx, claimLua, kind, ids, func(string) []any { return []any{claim, claimLife.Milliseconds()} })
	if err != nil {
		return nil, err
	}
	stands := make([]string, len(ids))
	for i, reply := range replies {
		stands[i], _ = reply.Text() // nil where it was claimed
	}
	return stands, nil
}

// evalAll runs a script for the key of each id, in one round trip. A nil reply is no error.
func (c *Cache) evalAll(ctx context.Context, script string, kind Kind, ids []string, args func(id string) []any) ([]*redis.Cmd, error) {
	replies := make([]*redis.Cmd, len(ids))
	_, err := c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			replies[i] = p.Eval(ctx, script, []string{kind.Key(id)}, args(id)...)
		}
		return nil
	})
	for _, reply := range replies {
		if one := reply.Err(); one != nil && !errors.Is(one, redis.Nil) {
			return replies, one
		}
	}
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return replies, err
}

// put puts values where the claim stands, and gives claims up that have no value. What cannot be put is not kept, and that
// is all.
func (c *Cache) put(ctx context.Context, kind Kind, ids []string, values map[string][]byte, claim string) {
	replies, err := c.evalAll(ctx, putLua, kind, ids, func(id string) []any {
		value := ""
		if v, ok := values[id]; ok {
			value = string(valueMark) + string(v)
		}
		return []any{claim, value, kind.TTL().Milliseconds()}
	})
	if err != nil {
		c.metrics.fills.WithLabelValues(string(kind), "failed").Add(float64(len(ids)))
		c.config.Logger.DebugContext(ctx, "cache entry cannot be put", slog.String("kind", string(kind)), slog.Any("error", err))
		return
	}
	var stored []string
	for i, reply := range replies {
		if n, err := reply.Int(); err == nil && n == 1 {
			stored = append(stored, ids[i])
		}
	}
	c.metrics.fills.WithLabelValues(string(kind), "stored").Add(float64(len(stored)))
	c.metrics.fills.WithLabelValues(string(kind), "refused").Add(float64(len(values) - len(stored)))
	c.note(ctx, kind, stored, values)
}

// Refresh loads entries anew that are there, or that somebody is filling; what is not there is left to the next who asks. It is
// called once SQL has what is new. An error leaves some as they were, or missing.
func (c *Cache) Refresh(ctx context.Context, kind Kind, ids []string, load Load) error {
	if len(ids) == 0 {
		return nil
	}
	claim := c.claim()
	replies, err := c.evalAll(ctx, seizeLua, kind, ids, func(string) []any { return []any{claim, claimLife.Milliseconds()} })
	if err != nil {
		// A server that is full takes no claim, but gives entries up.
		if c.Forget(ctx, kind, ids) == nil {
			return nil
		}
		return fmt.Errorf("refresh %s: %w", kind, err)
	}
	var there []string
	for i, reply := range replies {
		if n, err := reply.Int(); err == nil && n == 1 {
			there = append(there, ids[i])
		}
	}
	c.metrics.refreshed.WithLabelValues(string(kind)).Add(float64(len(there)))
	if len(there) == 0 {
		return nil
	}
	values, err := load(ctx, there)
	c.put(ctx, kind, there, values, claim) // without values it gives the claims up
	return err
}

// Clear removes all entries.
func (c *Cache) Clear(ctx context.Context) error {
	for _, kind := range Kinds {
		if err := c.each(ctx, kind, func(ids []string) error { return c.Forget(ctx, kind, ids) }); err != nil {
			return err
		}
	}
	return nil
}

// Forget removes entries.
func (c *Cache) Forget(ctx context.Context, kind Kind, ids []string) error {
	_, err := c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, id := range ids {
			p.Unlink(ctx, kind.Key(id))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget %s: %w", kind, err)
	}
	c.note(ctx, kind, ids, nil)
	return nil
}
