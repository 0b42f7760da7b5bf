package inbox

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// Muted says of each of the users, in their order, whether it muted the conversation, in one round trip.
func (q *Queries) Muted(ctx context.Context, conversation domain.ConversationID, users []domain.UserID) ([]bool, error) {
	replies := make([]*redis.StringCmd, len(users))
	err := q.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) error {
		return r.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, user := range users {
				if partition, ok := user.Partition(); ok {
					replies[i] = p.HGet(ctx, r.Key(partition, settingsName(user)), mutedField+string(conversation))
				}
			}
			return nil
		})
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable(err)
	}
	muted := make([]bool, len(users))
	for i, reply := range replies {
		muted[i] = reply != nil && reply.Val() != ""
	}
	return muted, nil
}
