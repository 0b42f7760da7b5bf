package history

import (
	"time"

	"mpim/domain"
)

// Keys of rows in a fold.
type (
	numberedKey struct {
		conversation string
		seq          int64
	}
	memberKey   struct{ conversation, user string }
	reactionKey struct {
		numberedKey
		user, emoji string
	}
)

// fold is what a run of events makes of the rows they touch. It begins with the rows as they are stored (load), goes over
// the events in order (apply), and ends with the rows that changed (write), each of them once however many events
// changed it.
type fold struct {
	store *store

	conversations map[string]*conversationRow
	// members holds the open interval of each member, and intervals all that are in memory.
	members   map[memberKey]*memberRow
	intervals []*memberRow
	// dissolved closes the intervals that are not in memory.
	dissolved []*change
	messages  map[numberedKey]*messageRow
	revisions []*revisionRow
	// emptied are messages whose stored revisions lose their bodies.
	emptied []numberedKey
	// erased are those of whom stored messages and revisions lose their bodies.
	erased []*change
	// reactions holds the open ones, and reacted all that are in memory.
	reactions map[reactionKey]*reactionRow
	reacted   []*reactionRow
}

func newFold(s *store) *fold {
	return &fold{
		store:         s,
		conversations: make(map[string]*conversationRow),
		members:       make(map[memberKey]*memberRow),
		messages:      make(map[numberedKey]*messageRow),
		reactions:     make(map[reactionKey]*reactionRow),
	}
}

// apply folds one event. Events that name what is not there change nothing: the log has them, and what they name was
// either never appended or lies before this build begins.
func (f *fold) apply(c *change) {
	switch {
	case c.sent != nil:
		f.sent(c)
		return
	case c.edited != nil:
		f.edited(c)
		return
	case c.erases != "":
		f.erase(c)
		return
	}
	switch fact := c.fact.(type) {
	case *domain.ConversationCreated:
		f.created(c, fact)
	case *domain.ConversationUpdated:
		f.updated(c, fact)
	case *domain.ConversationDissolved:
		f.dissolve(c)
	case *domain.MemberAdded:
		f.begin(c, fact.User, domain.Member, time.Time{})
	case *domain.MemberJoined:
		f.begin(c, fact.User, domain.Member, time.Time{})
	case *domain.MemberLeft:
		f.end(c, fact.User)
	case *domain.MemberRemoved:
		f.end(c, fact.User)
	case *domain.MemberRoleChanged:
		if was := f.end(c, fact.User); was != nil {
			f.begin(c, fact.User, fact.Role, was.MutedUntil)
		}
	case *domain.MemberMuted:
		if was := f.end(c, fact.User); was != nil {
			f.begin(c, fact.User, domain.Role(was.Role), instant(fact.Until))
		}
	case *domain.MessageRecalled:
		f.recalled(c, int64(fact.Message))
	case *domain.MessageExpired:
		f.expired(c, int64(fact.Message))
	case *domain.MessageReacted:
		f.react(c, fact)
	default: // decode lets no other through
	}
}

func (f *fold) created(c *change, fact *domain.ConversationCreated) {
	f.conversations[c.conversation] = &conversationRow{
		Conversation: c.conversation, Kind: fact.Kind, Title: []byte(fact.Title), AvatarURL: []byte(fact.AvatarURL),
		Announcement: []byte{}, JoinRule: fact.Join,
		CreatedBy: string(c.Actor), CreatedAt: c.At, UpdatedAt: c.At, mark: mark{changed: true},
	}
	for _, m := range fact.Members {
		f.begin(c, m.User, m.Role, time.Time{})
	}
}

func (f *fold) updated(c *change, fact *domain.ConversationUpdated) {
	row := f.conversations[c.conversation]
	if row == nil {
		return
	}
	row.UpdatedAt, row.mark.changed = c.At, true
	setBytes(&row.Title, fact.Title)
	setBytes(&row.AvatarURL, fact.AvatarURL)
	setBytes(&row.Announcement, fact.Announcement)
	set(&row.JoinRule, fact.Join)
	set(&row.HistoryRule, fact.History)
	set(&row.Muted, fact.Muted)
}

func (f *fold) dissolve(c *change) {
	if row := f.conversations[c.conversation]; row != nil {
		row.DissolvedAt, row.UpdatedAt, row.mark.changed = c.At, c.At, true
	}
	for key := range f.members {
		if key.conversation == c.conversation {
			f.end(c, domain.UserID(key.user))
		}
	}
	f.dissolved = append(f.dissolved, c)
}

// begin opens an interval for a user that has none open.
func (f *fold) begin(c *change, user domain.UserID, role domain.Role, mutedUntil time.Time) {
	key := memberKey{c.conversation, string(user)}
	if f.members[key] != nil {
		return
	}
	row := &memberRow{
		Conversation: c.conversation, User: string(user), FromSeq: c.seq, FromAt: c.At, Began: string(c.Type),
		Role: string(role), MutedUntil: mutedUntil, mark: mark{changed: true},
	}
	f.members[key] = row
	f.intervals = append(f.intervals, row)
}

// end closes the open interval of a user and returns it; nil where there is none.
func (f *fold) end(c *change, user domain.UserID) *memberRow {
	key := memberKey{c.conversation, string(user)}
	row := f.members[key]
	if row == nil {
		return nil
	}
	row.ToSeq, row.ToAt, row.Ended, row.mark.changed = c.seq, c.At, string(c.Type), true
	delete(f.members, key)
	return row
}

func (f *fold) sent(c *change) {
	row := &messageRow{
		Conversation: c.conversation, Seq: c.seq, Ordinal: c.Ordinal, Event: string(c.ID), Sender: string(c.Actor),
		At: c.At, Kind: c.sent.kind, ClientID: []byte(c.sent.ClientID), ReplyTo: c.sent.ReplyTo,
		ExpiresAt: value(c.sent.ExpiresAt), Body: c.sent.Body, mark: mark{changed: true},
	}
	if m := c.sent.Mentions; len(m) > 0 && string(m) != "null" {
		row.Mentions = m
	}
	f.messages[numberedKey{c.conversation, c.seq}] = row
}

func (f *fold) edited(c *change) {
	row := f.messages[numberedKey{c.conversation, c.edited.Message}]
	if row == nil || row.gone() {
		return
	}
	if row.EditedSeq == 0 {
		f.revisions = append(f.revisions, &revisionRow{
			Conversation: c.conversation, Message: row.Seq, Seq: row.Seq, Event: row.Event, At: row.At, Body: row.Body,
		})
	}
	f.revisions = append(f.revisions, &revisionRow{
		Conversation: c.conversation, Message: row.Seq, Seq: c.seq, Event: string(c.ID), At: c.At, Body: c.edited.Body,
	})
	row.Body, row.Kind, row.EditedSeq, row.EditedAt = c.edited.Body, c.edited.kind, c.seq, c.At
	row.mark.changed = true
}

func (f *fold) recalled(c *change, message int64) {
	if row := f.messages[numberedKey{c.conversation, message}]; row != nil && !row.gone() {
		row.RecalledAt, row.RecalledBy = c.At, string(c.Actor)
		f.empty(row)
	}
}

func (f *fold) expired(c *change, message int64) {
	if row := f.messages[numberedKey{c.conversation, message}]; row != nil && !row.gone() {
		row.ExpiredAt = c.At
		f.empty(row)
	}
}

// empty takes the body from a message and from all its revisions.
func (f *fold) empty(row *messageRow) {
	row.Body, row.mark.changed = nil, true
	if row.EditedSeq == 0 {
		return
	}
	for _, r := range f.revisions {
		if r.Conversation == row.Conversation && r.Message == row.Seq {
			r.Body = nil
		}
	}
	f.emptied = append(f.emptied, numberedKey{row.Conversation, row.Seq})
}

func (f *fold) react(c *change, fact *domain.MessageReacted) {
	message := numberedKey{c.conversation, int64(fact.Message)}
	if row := f.messages[message]; row == nil || row.gone() {
		return
	}
	key := reactionKey{message, string(c.Actor), fact.Emoji}
	row := f.reactions[key]
	switch {
	case fact.Removed && row != nil:
		row.ToSeq, row.ToAt, row.mark.changed = c.seq, c.At, true
		delete(f.reactions, key)
	case !fact.Removed && row == nil:
		row = &reactionRow{
			Conversation: c.conversation, Message: message.seq, User: string(c.Actor), Emoji: []byte(fact.Emoji),
			FromSeq: c.seq, FromAt: c.At, mark: mark{changed: true},
		}
		f.reactions[key] = row
		f.reacted = append(f.reacted, row)
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func setBytes(to *[]byte, from *string) {
	if from != nil {
		*to = []byte(*from)
	}
}

func instant(i *domain.Instant) time.Time {
	if i == nil {
		return time.Time{}
	}
	return value(&i.Time)
}

func value(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
