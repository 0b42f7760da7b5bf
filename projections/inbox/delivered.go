package inbox

import (
	"context"
	"strconv"

	"mpim/domain"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// deliveredKey is a hash beside the fold's, of the same fields.
func deliveredKey(partition int, id domain.ConversationID) string {
	return schema.PartitionKey(partition, "delivered:"+string(id))
}

// Delivered keeps what a session of a user has acknowledged, for groups so large that it is kept without an event. It
// never goes back, and is no part of the projection: nothing brings it back where Redis is emptied, and clients then
// receive again what they have.
func (q *Queries) Delivered(
	ctx context.Context, id domain.ConversationID, user domain.UserID, session domain.SessionID, seq domain.Seq,
) error {
	partition, ok := id.Partition()
	if !ok {
		return domain.Errorf(domain.NotFound, "there is no such conversation")
	}
	var d checkpoint.Direct
	key := deliveredKey(partition, id)
	d.Do("MERGE", key, cursorField+string(user), strconv.FormatInt(int64(seq), 10), "0")
	if session != "" {
		d.Do("MARK", key, markArgs(mark{user, session, seq})...)
	}
	if err := d.Send(ctx, q.client); err != nil {
		return domain.Wrap(domain.Unavailable, err, "the receipt cannot be kept now")
	}
	return nil
}
