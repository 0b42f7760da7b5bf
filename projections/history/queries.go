package history

import (
	"context"
	"errors"

	"mpim/domain"
)

// Queries reads the live build. Its errors are of kind Unavailable where the database is out of reach or has no live build,
// and otherwise as each method says.
type Queries struct{}

var errLater = errors.New("later")

// Page returns the messages of a range that the viewer may see, in ascending order, as the viewer reads them. An error is
// of kind InvalidArgument where both ends are given or the limit is out of bounds.
func (q *Queries) Page(ctx context.Context, id domain.ConversationID, view View, r Range) ([]Message, error) {
	return nil, errLater
}

// Message returns one message and its later bodies up to the last that the viewer may see, oldest first. An error is of kind
// NotFound where there is no such message in the viewer's windows.
func (q *Queries) Message(ctx context.Context, id domain.ConversationID, seq domain.Seq, view View) (Message, []Edit, error) {
	return Message{}, nil, errLater
}

// Facts returns what edit, recall, react and reply are decided on. An error is of kind NotFound where the sequence is no
// message, or one that this projection has not seen yet.
func (q *Queries) Facts(ctx context.Context, id domain.ConversationID, seq domain.Seq) (Facts, error) {
	return Facts{}, errLater
}
