package members

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
)

var errLater = errors.New("later")

// Queries reads who belongs to which conversation. Its errors are of kind Unavailable where Redis is out of reach.
type Queries struct{ client redis.UniversalClient }

// NewQueries returns queries on the live state.
func NewQueries(client redis.UniversalClient) *Queries { return &Queries{client: client} }

// Membership is one user's part in one conversation.
type Membership struct {
	Conversation domain.ConversationID
	// Role is the last one that the user had.
	Role domain.Role
	// Windows are what the user may see. Windows.Open() says whether the user is a member now.
	Windows domain.Windows
}

// Left says that the user was a member and is none now.
func (m Membership) Left() bool { return !m.Windows.Open() }

// Member is one member of a conversation.
type Member struct {
	User     domain.UserID
	Role     domain.Role
	JoinedAt time.Time
	// MutedUntil is zero for a member that may send.
	MutedUntil time.Time
	// Windows are what the member may see. A former member has closed ones only.
	Windows domain.Windows
}

// Roster is everybody who is or was a member of a conversation.
type Roster struct {
	Conversation domain.ConversationID
	// Seq is a partition sequence: every event of the conversation up to it is in Members, and maybe some after it. Folding
	// the events above it once more changes nothing that stands already, because windows say where they open and close.
	Seq     int64
	Members []Member
}

// Conversations returns every conversation that the user is or was a member of, in no order.
func (q *Queries) Conversations(ctx context.Context, user domain.UserID) ([]Membership, error) {
	return nil, errLater
}

// List returns at most limit members that come after the given user in the order of their ids, without former ones. It
// starts at the first for "". The user of the last one is where the next page goes on.
func (q *Queries) List(ctx context.Context, id domain.ConversationID, after domain.UserID, limit int) ([]Member, error) {
	return nil, errLater
}

// Counts returns how many members each of the conversations has now.
func (q *Queries) Counts(ctx context.Context, ids []domain.ConversationID) ([]int64, error) {
	return nil, errLater
}

// Roster returns all members of a conversation at a known version, former ones included.
func (q *Queries) Roster(ctx context.Context, id domain.ConversationID) (Roster, error) {
	return Roster{}, errLater
}

// UserSeq returns how many changes there were to the user's contacts, blocks, profile and settings.
func (q *Queries) UserSeq(ctx context.Context, user domain.UserID) (int64, error) {
	return 0, errLater
}
