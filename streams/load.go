package streams

import (
	"context"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
)

// Load returns the named fields of an aggregate's decision state, all of them for nil.
func (l *Log) Load(ctx context.Context, a domain.Aggregate, fields []string) (domain.Fields, error) {
	partition, ok := a.Partition()
	if !ok || partition >= l.config.Identity.Partitions {
		return domain.Fields{}, nil
	}
	key := aggregateKey(partition, a)
	if fields == nil {
		all, err := l.config.Client.HGetAll(ctx, key).Result()
		if err != nil {
			return nil, unreachable(err)
		}
		return all, nil
	}
	values, err := l.config.Client.HMGet(ctx, key, fields...).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	return present(fields, values), nil
}

// LoadAll is Load of named fields of several aggregates, in their order and in one round trip. They are read one after the
// other: what is appended meanwhile may be in the later ones and not in the earlier.
func (l *Log) LoadAll(ctx context.Context, wanted []domain.Wanted) ([]domain.Fields, error) {
	loaded := make([]domain.Fields, len(wanted))
	replies := make([]*redis.SliceCmd, len(wanted))
	_, err := l.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, w := range wanted {
			partition, ok := w.Aggregate.Partition()
			if ok && partition < l.config.Identity.Partitions && len(w.Fields) > 0 {
				replies[i] = p.HMGet(ctx, aggregateKey(partition, w.Aggregate), w.Fields...)
			}
		}
		return nil
	})
	if err != nil {
		return nil, unreachable(err)
	}
	for i, reply := range replies {
		loaded[i] = domain.Fields{}
		if reply != nil {
			loaded[i] = present(wanted[i].Fields, reply.Val())
		}
	}
	return loaded, nil
}

// present returns the fields that have a value.
func present(fields []string, values []any) domain.Fields {
	loaded := make(domain.Fields, len(fields))
	for i, value := range values {
		if text, ok := value.(string); ok {
			loaded[fields[i]] = text
		}
	}
	return loaded
}
