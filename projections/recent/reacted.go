package recent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"mpim/domain"
)

// reactedWithin is how many events before the last are searched for a reaction.
const reactedWithin = 256

// Reacted says whether an emoji of a user stands on a message, in a conversation that has come to head. It is not known
// where neither the user's reaction nor the message is among the last events.
func (q *Queries) Reacted(
	ctx context.Context, id domain.ConversationID, message, head domain.Seq, user domain.UserID, emoji string,
) (stands, known bool, err error) {
	after := max(message, head-reactedWithin)
	found, err := q.Since(ctx, id, after, reactedWithin)
	if err != nil {
		return false, false, err
	}
	for _, e := range slices.Backward(found.Events) {
		if !e.is(domain.TypeMessageReacted) {
			continue
		}
		h, err := e.Header()
		if err != nil {
			return false, false, err
		}
		var data domain.MessageReacted
		if err := json.Unmarshal(h.Data, &data); err != nil {
			return false, false, fmt.Errorf("recent event %d of %s is damaged: %w", e.Seq, id, err)
		}
		if h.Actor == user && data.Message == message && data.Emoji == emoji {
			return !data.Removed, true, nil
		}
	}
	return false, after == message && (found.Whole || head == message), nil
}
