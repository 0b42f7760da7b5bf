package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"mpim/streams/cache"
)

type cacheCommand struct {
	Stat   cacheStatCommand   `cmd:"" help:"Entries of each kind, bytes and bound."`
	Verify cacheVerifyCommand `cmd:"" help:"Compare every entry with SQL."`
	Warm   cacheWarmCommand   `cmd:"" help:"Load what is asked for most and is missing, the hottest first."`
}

// withCache calls do with the cache of a log that Redis and SQL agree on.
func (i *invocation) withCache(do func(s *stores, c *caching) error) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.openLog(i.ctx); err != nil {
		return err
	}
	c, err := s.openCache(i.settings)
	if err != nil {
		return err
	}
	if err := c.client.Ping(i.ctx).Err(); err != nil {
		return fmt.Errorf("the cache does not answer (%w): set MPIM_REDIS_CACHE_URL; without it requests are answered from SQL", err)
	}
	return do(s, c)
}

type cacheStatCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// cacheStatLine is what `cache stat --json` prints.
type cacheStatLine struct {
	// Server is "shared" with the log, or "own".
	Server string          `json:"server"`
	Bytes  int64           `json:"bytes"`
	Bound  int64           `json:"bound"`
	Hot    int64           `json:"hot"`
	Kinds  []cacheKindLine `json:"kinds"`
}

type cacheKindLine struct {
	Kind       cache.Kind `json:"kind"`
	Entries    int64      `json:"entries"`
	TTLSeconds int        `json:"ttl_seconds"`
}

// Run describes the cache.
func (c *cacheStatCommand) Run(i *invocation) error {
	return i.withCache(func(_ *stores, cached *caching) error {
		stat, err := cached.cache.Stat(i.ctx)
		if err != nil {
			return explain("cache stat", err)
		}
		line := cacheStatLine{Server: "own", Bytes: stat.Bytes, Hot: stat.Hot}
		if i.settings.RedisCacheURL == "" || i.settings.RedisCacheURL == i.settings.RedisURL {
			line.Server, line.Bound = "shared", i.settings.cacheBytes.Load()
		}
		for _, kind := range cache.Kinds {
			line.Kinds = append(line.Kinds, cacheKindLine{kind, stat.Entries[kind], int(kind.TTL().Seconds())})
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(line)
		}
		table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "KIND\tENTRIES\tLIVE FOR")
		for _, kind := range line.Kinds {
			fmt.Fprintf(table, "%s\t%d\t%d s\n", kind.Kind, kind.Entries, kind.TTLSeconds)
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if line.Server == "shared" {
			fmt.Fprintf(i.stdout, "%s of %s, beside the log\n", bytesOf(line.Bytes), bytesOf(line.Bound))
		}
		return nil
	})
}

type cacheVerifyCommand struct {
	JSON   bool `help:"Print one JSON document."`
	Repair bool `help:"Forget entries that differ; they are loaded anew when they are asked for."`
	Yes    bool `help:"Nothing is asked; taken for the sake of scripts." hidden:""`
}

// Run compares the cache with SQL.
func (c *cacheVerifyCommand) Run(i *invocation) error {
	return i.withCache(func(_ *stores, cached *caching) error {
		checked, different, err := cached.cache.Verify(i.ctx, cached.loads(), c.Repair)
		if err != nil {
			return explain("cache verify", err)
		}
		if c.JSON {
			if different == nil {
				different = []cache.Difference{}
			}
			err = json.NewEncoder(i.stdout).Encode(map[string]any{"ok": len(different) == 0, "checked": checked, "different": different})
		} else {
			for _, d := range different {
				fmt.Fprintf(i.stdout, "%s differs\n", d.Kind.Key(d.ID))
			}
			if len(different) == 0 {
				fmt.Fprintf(i.stdout, "ok: %d entries are what SQL has\n", checked)
			}
		}
		if err == nil && len(different) > 0 {
			return errProblemsFound
		}
		return err
	})
}

type cacheWarmCommand struct {
	JSON bool `help:"Print one JSON document."`
	Yes  bool `help:"Nothing is asked; taken for the sake of scripts." hidden:""`
}

// Run warms the cache.
func (c *cacheWarmCommand) Run(i *invocation) error {
	return i.withCache(func(_ *stores, cached *caching) error {
		stored, err := cached.cache.Warm(i.ctx, cached.loads())
		if err != nil {
			return explain("cache warm", err)
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(map[string]int{"stored": stored})
		}
		fmt.Fprintf(i.stdout, "%d entries were loaded\n", stored)
		return nil
	})
}
