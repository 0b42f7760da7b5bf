package bus

import (
	"context"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// Publish publishes messages on gateways' channels in one round trip, in order. It returns those that were not
// published, with the reason, so that they can be sent again; a message whose answer was lost is among them, and may
// arrive twice.
func (b *Bus) Publish(ctx context.Context, messages []schema.Outgoing) (failed []schema.Outgoing, err error) {
	if len(messages) == 0 {
		return nil, nil
	}
	replies := make([]*redis.IntCmd, len(messages))
	_, err = b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, m := range messages {
			replies[i] = p.Publish(ctx, m.Channel(), m.Payload)
		}
		return nil
	})
	if err == nil {
		return nil, nil
	}
	for i, reply := range replies {
		if reply.Err() != nil {
			failed = append(failed, messages[i])
		}
	}
	return failed, unreachable(err)
}

// PublishStatuses publishes the status of users of a partition. It may be lost.
func (b *Bus) PublishStatuses(ctx context.Context, partition int, statuses []schema.Status) error {
	payload, err := schema.EncodeStatuses(statuses)
	if err != nil {
		return err
	}
	if err := b.client.Publish(ctx, schema.StatusChannel(partition), payload).Err(); err != nil {
		return unreachable(err)
	}
	return nil
}
