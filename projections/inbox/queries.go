package inbox

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// MaxUnread is the count of unread messages, or of mentions, that means "as many or more". Lower ones are exact.
const MaxUnread = 1000

// Queries reads inboxes. Its errors are of kind Unavailable where Redis is out of reach, and of kind NotFound where an id
// is none.
type Queries struct {
	client redis.UniversalClient
	live   *checkpoint.Live
}

// NewQueries returns queries on the live build.
func NewQueries(client redis.UniversalClient) *Queries {
	return &Queries{client, checkpoint.NewLive(client, Name)}
}

// Entry is one conversation as one user's list shows it.
type Entry struct {
	Conversation domain.ConversationID
	// Kind is domain.DirectConversation or domain.GroupConversation; empty for a conversation that is not known here.
	Kind                                 string
	Title, AvatarURL, Join, Announcement string
	// Peers are the two users of a direct conversation.
	Peers []domain.UserID
	// HeadSeq is the last sequence that the user may see: the conversation's, or that of the event with which the user went.
	HeadSeq domain.Seq
	// Ordinal is how many messages there are up to HeadSeq.
	Ordinal int64
	// UpdatedAt is when the last message was sent, or the conversation was created where there is none.
	UpdatedAt time.Time
	// Last is the last message of the conversation as it stands; nil where there is none. Whether the user may see it is
	// for Within to say.
	Last *Message
	// DeliveredSeq and ReadSeq are the user's cursors; sending moves ReadSeq, and what is read was delivered.
	DeliveredSeq, ReadSeq domain.Seq
	// AcknowledgedSeq is what the session has acknowledged as received; 0 for nothing.
	AcknowledgedSeq domain.Seq
	// Unread counts the messages of others after the higher of ReadSeq and the sequence the user joined at, Mentions those
	// of them that name the user or all. Both count up to MaxUnread.
	Unread, Mentions int
	// Pinned and Muted are the user's own settings.
	Pinned, Muted bool
}

// Within returns the entry as somebody with these windows sees it: without a last message that lies outside of them, or
// that was edited after the window it lies in was closed. What is in such a message's stead is for history to say.
func (e Entry) Within(windows domain.Windows) Entry {
	if e.Last == nil {
		return e
	}
	for _, w := range windows {
		if w.Contains(e.Last.Seq) && (w.Contains(e.Last.ChangedSeq) || e.Last.Gone()) {
			return e
		}
	}
	e.Last = nil
	return e
}

// Cursor is how far one member has come.
type Cursor struct {
	User                  domain.UserID
	DeliveredSeq, ReadSeq domain.Seq
}

// Entries returns the conversations as the user's list shows them, in the order of ids. It takes one round trip.
func (q *Queries) Entries(
	ctx context.Context, user domain.UserID, session domain.SessionID, ids []domain.ConversationID,
) ([]Entry, error) {
	fields := []string{
		headField, updatedField, kindField, titleField, avatarField, joinField, announcementField, peersField, dissolvedField,
		cursorField + string(user), marksField + string(user), mentionsField + string(user), allField, readField + string(user),
		tallyField, reactedField + string(user),
	}
	rows := make([]entryRow, len(ids))
	var settings *redis.SliceCmd
	err := q.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) error {
		return r.Pipelined(ctx, func(p redis.Pipeliner) error {
			settings = readSettings(ctx, p, r, user, ids)
			for i, id := range ids {
				partition, ok := id.Partition()
				if !ok {
					return domain.Errorf(domain.NotFound, "there is no such conversation")
				}
				rows[i].hash = p.HMGet(ctx, r.Key(partition, inboxPrefix+string(id)), fields...)
				rows[i].last = p.Get(ctx, r.Key(partition, lastPrefix+string(id)))
				if id.IsGroup() {
					rows[i].unlogged = p.HMGet(ctx, deliveredKey(partition, id), fields[9:11]...)
				}
			}
			return nil
		})
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable(err)
	}
	entries := make([]Entry, len(ids))
	for i, id := range ids {
		if entries[i], err = rows[i].entry(id, session); err != nil {
			return nil, err
		}
		entries[i].set(settings, i)
	}
	return entries, nil
}

// entryRow is what is read for one entry.
type entryRow struct {
	hash     *redis.SliceCmd
	last     *redis.StringCmd
	unlogged *redis.SliceCmd // nil for a pair
}

func (r entryRow) entry(id domain.ConversationID, session domain.SessionID) (e Entry, err error) {
	v := texts(r.hash)
	e = Entry{
		Conversation: id, Kind: v[2], Title: v[3], AvatarURL: v[4], Join: v[5], Announcement: v[6],
		UpdatedAt: fromMilli(numberAt(v[1], 0)),
	}
	for peer := range strings.FieldsSeq(v[7]) {
		e.Peers = append(e.Peers, domain.UserID(peer))
	}
	mine, read := parseCursors(v[9]), parseCursor(v[13])
	top := parseCursor(v[0])
	if v[8] != "" {
		top = parseCursor(v[8])
	}
	if mine[left].seq > mine[joined].seq {
		top = mine[left]
	}
	e.HeadSeq, e.Ordinal = top.seq, top.ordinal
	e.ReadSeq = read.seq
	e.DeliveredSeq = max(mine[delivered].seq, read.seq)
	e.AcknowledgedSeq = markOf(v[10], session)
	if r.unlogged != nil {
		unlogged := texts(r.unlogged)
		e.DeliveredSeq = max(e.DeliveredSeq, parseCursor(unlogged[0]).seq)
		e.AcknowledgedSeq = max(e.AcknowledgedSeq, markOf(unlogged[1], session))
	}
	from := max(read.seq, mine[joined].seq)
	e.Unread = int(min(max(top.ordinal-max(read.ordinal, mine[joined].ordinal), 0), MaxUnread))
	e.Mentions = min(countBetween(v[11], from, top.seq)+countBetween(v[12], from, top.seq), e.Unread)
	if text := r.last.Val(); text != "" {
		if e.Last, err = parseMessage(text); err == nil {
			e.Last.expire(time.Now())
			e.Last.react(v[14], v[15])
		}
	}
	return e, err
}

// Cursors returns how far each of the users has come in a conversation, in their order.
func (q *Queries) Cursors(ctx context.Context, id domain.ConversationID, users []domain.UserID) ([]Cursor, error) {
	partition, ok := id.Partition()
	if !ok {
		return nil, domain.Errorf(domain.NotFound, "there is no such conversation")
	}
	if len(users) == 0 {
		return nil, nil
	}
	fields := make([]string, 0, 2*len(users))
	for _, user := range users {
		fields = append(fields, cursorField+string(user))
	}
	for _, user := range users {
		fields = append(fields, readField+string(user))
	}
	var logged, unlogged *redis.SliceCmd
	err := q.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) error {
		return r.Pipelined(ctx, func(p redis.Pipeliner) error {
			logged = p.HMGet(ctx, r.Key(partition, inboxPrefix+string(id)), fields...)
			unlogged = p.HMGet(ctx, deliveredKey(partition, id), fields[:len(users)]...)
			return nil
		})
	})
	if err != nil {
		return nil, unavailable(err)
	}
	all := make([]Cursor, len(users))
	known, more := texts(logged), texts(unlogged)
	for i, user := range users {
		read := parseCursor(known[len(users)+i])
		all[i] = Cursor{
			User: user, ReadSeq: read.seq,
			DeliveredSeq: max(parseCursors(known[i])[delivered].seq, read.seq, parseCursor(more[i]).seq),
		}
	}
	return all, nil
}

func unavailable(err error) error {
	if _, ok := errors.AsType[*domain.Error](err); ok {
		return err
	}
	return domain.Wrap(domain.Unavailable, err, "the inbox cannot be read now")
}

// texts returns the values of an HMGET; "" for those that are absent.
func texts(command *redis.SliceCmd) []string {
	values := command.Val()
	all := make([]string, len(values))
	for i, value := range values {
		all[i], _ = value.(string)
	}
	return all
}

// numberAt returns the number at an index of numbers that are separated by spaces; 0 where there is none.
func numberAt(text string, index int) int64 {
	for word := range strings.FieldsSeq(text) {
		if index == 0 {
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
		index--
	}
	return 0
}

func parseCursor(text string) cursor { return cursor{domain.Seq(numberAt(text, 0)), numberAt(text, 1)} }

func parseCursors(text string) (at cursors) {
	words := strings.Fields(text)
	for i := range at {
		if len(words) < 2*i+2 {
			break
		}
		at[i].seq, at[i].ordinal = domain.Seq(numberAt(words[2*i], 0)), numberAt(words[2*i+1], 0)
	}
	return at
}

// markOf returns what a session acknowledged.
func markOf(text string, session domain.SessionID) domain.Seq {
	words := strings.Fields(text)
	if i := slices.Index(words, string(session)); session != "" && i >= 0 && i+1 < len(words) {
		return domain.Seq(numberAt(words[i+1], 0))
	}
	return 0
}

// countBetween counts the numbers above from and up to to.
func countBetween(text string, from, to domain.Seq) int {
	count := 0
	for word := range strings.FieldsSeq(text) {
		if seq := domain.Seq(numberAt(word, 0)); seq > from && seq <= to {
			count++
		}
	}
	return count
}
