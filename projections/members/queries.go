package members

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// Queries reads who belongs to which conversation. Its errors are of kind Unavailable where Redis is out of reach, and of
// kind NotFound where an id is none.
type Queries struct{ live *checkpoint.Live }

// NewQueries returns queries on the live build.
func NewQueries(client redis.UniversalClient) *Queries {
	return &Queries{live: checkpoint.NewLive(client, Name)}
}

// Roster is everybody who is or was a member of a conversation.
type Roster struct {
	Conversation domain.ConversationID
	// Seq is a partition sequence: every event of the conversation up to it is in Members, and maybe some after it. Folding
	// the events above it once more changes nothing that stands already, because windows say where they open and close.
	Seq     int64
	Members []Member
}

// Conversations returns every conversation that the user is or was a member of, in the order of their ids.
func (q *Queries) Conversations(ctx context.Context, user domain.UserID) ([]Membership, error) {
	fields, err := q.hash(ctx, userName, user)
	if err != nil {
		return nil, err
	}
	all := make([]Membership, 0, len(fields))
	for field, value := range fields {
		if strings.HasPrefix(field, "~") {
			continue
		}
		s, err := parseState(value)
		if err != nil {
			return nil, fmt.Errorf("conversation %s of %s: %w", field, user, err)
		}
		all = append(all, Membership{Conversation: domain.ConversationID(field), Role: s.role, Windows: s.windows})
	}
	slices.SortFunc(all, func(a, b Membership) int {
		return strings.Compare(string(a.Conversation), string(b.Conversation))
	})
	return all, nil
}

// hash returns all of a hash that a user has in the live build.
func (q *Queries) hash(ctx context.Context, name string, user domain.UserID) (fields map[string]string, err error) {
	err = q.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) error {
		var command *redis.MapStringStringCmd
		err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			command = p.HGetAll(ctx, r.OutsideKey(name, string(user)))
			return nil
		})
		fields = command.Val()
		return err
	})
	if err != nil {
		return nil, unavailable(err)
	}
	return fields, nil
}

// List returns at most limit members that come after the given user in the order of their ids, without former ones. It
// starts at the first for "". The user of the last one is where the next page goes on.
func (q *Queries) List(
	ctx context.Context, id domain.ConversationID, after domain.UserID, limit int,
) (members []Member, err error) {
	if _, ok := id.Partition(); !ok {
		return nil, domain.Errorf(domain.NotFound, "there is no such conversation")
	}
	if !id.IsGroup() {
		return q.listPair(ctx, id, after, limit)
	}
	err = q.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) (err error) {
		members, err = listGroup(ctx, r, id, after, limit)
		return err
	})
	return members, err
}

func listGroup(
	ctx context.Context, r *checkpoint.Reading, id domain.ConversationID, after domain.UserID, limit int,
) ([]Member, error) {
	var page *redis.StringSliceCmd
	err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		page = p.ZRangeByLex(ctx, r.OutsideKey(orderName, string(id)), &redis.ZRangeBy{
			Min: "(" + string(after), Max: "+", Count: int64(limit),
		})
		return nil
	})
	if err != nil {
		return nil, unavailable(err)
	}
	users := page.Val()
	if len(users) == 0 {
		return nil, nil
	}
	var fields *redis.SliceCmd
	err = r.Pipelined(ctx, func(p redis.Pipeliner) error {
		fields = p.HMGet(ctx, r.OutsideKey(rosterName, string(id)), users...)
		return nil
	})
	if err != nil {
		return nil, unavailable(err)
	}
	values := fields.Val()
	members := make([]Member, 0, len(users))
	for i, value := range values {
		text, _ := value.(string)
		s, err := parseState(text)
		if err != nil {
			return nil, fmt.Errorf("member %s of %s: %w", users[i], id, err)
		}
		members = append(members, s.member(domain.UserID(users[i])))
	}
	return members, nil
}

// listPair lists the two of a pair, who need no order of their own.
func (q *Queries) listPair(ctx context.Context, id domain.ConversationID, after domain.UserID, limit int) ([]Member, error) {
	roster, err := q.Roster(ctx, id)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(roster.Members, func(m Member) bool { return m.User <= after })
	return all[:min(limit, len(all))], nil
}

// Counts returns how many members each of the conversations has now, in one round trip.
func (q *Queries) Counts(ctx context.Context, ids []domain.ConversationID) ([]int64, error) {
	commands := make([]*redis.IntCmd, len(ids))
	err := q.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) error {
		return r.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range ids {
				if id.IsGroup() {
					commands[i] = p.ZCard(ctx, r.OutsideKey(orderName, string(id)))
				} else {
					commands[i] = p.HLen(ctx, r.OutsideKey(rosterName, string(id)))
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, unavailable(err)
	}
	counts := make([]int64, len(ids))
	for i, command := range commands {
		counts[i] = command.Val()
		if !ids[i].IsGroup() {
			counts[i] = min(max(counts[i]-1, 0), 2) // all but the guards
		}
	}
	return counts, nil
}

// Roster returns all members of a conversation at a known version, former ones included, in the order of their ids.
func (q *Queries) Roster(ctx context.Context, id domain.ConversationID) (Roster, error) {
	partition, ok := id.Partition()
	if !ok {
		return Roster{}, domain.Errorf(domain.NotFound, "there is no such conversation")
	}
	var roster Roster
	err := q.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) (err error) {
		roster, err = readRoster(ctx, r, partition, id)
		return err
	})
	if err != nil {
		return Roster{}, unavailable(err)
	}
	return roster, nil
}

func readRoster(ctx context.Context, r *checkpoint.Reading, partition int, id domain.ConversationID) (Roster, error) {
	// The checkpoint first: what it has passed was written before it moved.
	passed, err := r.Positions(ctx, []int{partition})
	if err != nil {
		return Roster{}, err
	}
	roster := Roster{Conversation: id, Seq: passed[0]}
	members := make(map[domain.UserID]Member) // a scan may return a field twice
	var ended domain.Seq
	page := func(ctx context.Context, key string, cursor uint64) (*redis.ScanCmd, error) {
		var command *redis.ScanCmd
		err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			command = p.HScan(ctx, key, cursor, "", rosterPage)
			return nil
		})
		return command, err
	}
	err = scanRoster(ctx, page, r.OutsideKey(rosterName, string(id)), func(field, value string) error {
		user := domain.UserID(field)
		if field == dissolvedField {
			ended = domain.Seq(parseInt(value))
		}
		if _, ok := user.Partition(); !ok {
			return nil
		}
		s, err := parseState(value)
		members[user] = s.member(user)
		return err
	})
	if err != nil {
		return Roster{}, err
	}
	for _, m := range members {
		if ended > 0 {
			m.Windows = m.Windows.Closed(ended)
		}
		roster.Members = append(roster.Members, m)
	}
	slices.SortFunc(roster.Members, func(a, b Member) int { return strings.Compare(string(a.User), string(b.User)) })
	return roster, nil
}

// rosterPage is how many fields of a roster are read at once.
const rosterPage = 1000

// scanRoster calls do for each field of a roster, some maybe twice. A roster of 100,000 is read in pieces, so that Redis is
// not held up.
func scanRoster(
	ctx context.Context, page func(ctx context.Context, key string, cursor uint64) (*redis.ScanCmd, error),
	key string, do func(field, value string) error,
) error {
	for cursor := uint64(0); ; {
		command, err := page(ctx, key, cursor)
		if err != nil {
			return err
		}
		pairs, next := command.Val()
		for pair := range slices.Chunk(pairs, 2) {
			if err := do(pair[0], pair[1]); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// UserSeq returns how many changes there were to the user's contacts, blocks, profile and settings.
func (q *Queries) UserSeq(ctx context.Context, user domain.UserID) (int64, error) {
	fields, err := q.hash(ctx, seqName, user)
	if err != nil {
		return 0, err
	}
	var sum int64
	for field, value := range fields {
		if strings.HasPrefix(field, "~") {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("user_seq of %s: %w", user, err)
		}
		sum += n
	}
	return sum, nil
}

func unavailable(err error) error {
	return domain.Wrap(domain.Unavailable, err, "memberships cannot be read now")
}
