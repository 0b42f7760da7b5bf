package bus

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// memberFields matches the fields of a conversation's decision state that hold a member each.
const memberFields = "m:*"

// Members returns of each conversation the part of its decision state that says who its members are and were: header,
// last sequence and member fields. It is at least as new as everything in the log when the call began. Members may be
// newer than the sequence, never older.
//
// Cursors, of which there are as many and which are longer, are not read. It takes one round trip, and more for groups
// of hundreds.
func (b *Bus) Members(ctx context.Context, conversations []domain.ConversationID) ([]domain.Fields, error) {
	states := make([]domain.Fields, len(conversations))
	headers := make([]*redis.SliceCmd, len(conversations))
	pages := make([]*redis.ScanCmd, len(conversations))
	keys := make([]string, len(conversations))
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range conversations {
			partition, _ := c.Partition()
			keys[i] = schema.PartitionKey(partition, aggregatePrefix+string(c))
			// In this order: the sequence must not be newer than the members.
			headers[i] = p.HMGet(ctx, keys[i], domain.HeaderField, domain.SeqField)
			if c.IsGroup() {
				pages[i] = p.HScan(ctx, keys[i], 0, memberFields, pageSize)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, unreachable(err)
	}
	for i := range states {
		states[i] = make(domain.Fields)
		for n, field := range []string{domain.HeaderField, domain.SeqField} {
			if value, ok := headers[i].Val()[n].(string); ok {
				states[i][field] = value
			}
		}
		if pages[i] != nil {
			if err := b.scanMembers(ctx, keys[i], pages[i], states[i]); err != nil {
				return nil, err
			}
		}
	}
	return states, nil
}

// scanMembers takes the first page of a scan and reads the others.
func (b *Bus) scanMembers(ctx context.Context, key string, first *redis.ScanCmd, into domain.Fields) error {
	page, cursor := first.Val()
	for {
		for i := 0; i+1 < len(page); i += 2 {
			into[page[i]] = page[i+1]
		}
		if cursor == 0 {
			return nil
		}
		var err error
		if page, cursor, err = b.client.HScan(ctx, key, cursor, memberFields, pageSize).Result(); err != nil {
			return unreachable(err)
		}
	}
}
