package presence

import (
	"context"

	"mpim/domain"
)

// Connected says of each of the users, in their order, whether the log knows an open socket, in one round trip. What a user
// chose to be seen as makes no difference, and neither does the time for which one whose connection was lost still shows as
// online.
func (q *Queries) Connected(ctx context.Context, users []domain.UserID) ([]bool, error) {
	byPartition := make(map[int][]domain.UserID)
	for _, id := range users {
		if partition, ok := id.Partition(); ok {
			byPartition[partition] = append(byPartition[partition], id)
		}
	}
	known, err := loadLive(ctx, q.live, byPartition)
	if err != nil {
		return nil, unavailable(err)
	}
	connected := make([]bool, len(users))
	for i, id := range users {
		connected[i] = len(known.users[id].connections) > 0
	}
	return connected, nil
}
