package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"mpim/projections/checkpoint"
)

// Dump returns what is kept of a partition in one form whatever way it came about: each field by conversation and name.
func (p *Projection) Dump(ctx context.Context, partition int) (map[string]string, error) {
	dump := make(map[string]string)
	prefix := p.Key(partition, inboxPrefix)
	keys, err := p.Keys(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		id := strings.TrimPrefix(key, prefix)
		fields, err := p.Client().HGetAll(ctx, key).Result()
		if err != nil {
			return nil, checkpoint.Outside(fmt.Errorf("read %s: %w", key, err))
		}
		for name, value := range fields {
			dump[id+" "+name] = value
		}
		last, err := p.Client().Get(ctx, p.Key(partition, lastPrefix+id)).Result()
		switch {
		case err == nil:
			dump[id+" last"] = last
		case !errors.Is(err, redis.Nil):
			return nil, checkpoint.Outside(fmt.Errorf("read the last message of %s: %w", id, err))
		}
	}
	keys, err = p.Keys(ctx, p.Key(partition, settingsName("")))
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		fields, err := p.Client().HGetAll(ctx, key).Result()
		if err != nil {
			return nil, checkpoint.Outside(fmt.Errorf("read %s: %w", key, err))
		}
		for name, value := range fields {
			dump[strings.TrimPrefix(key, p.Key(partition, ""))+" "+name] = value
		}
	}
	return dump, nil
}
