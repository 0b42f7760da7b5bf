package inbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// event is a record that matters to this projection, decoded.
type event struct {
	*schema.Record
	fact domain.Fact
	in   *conversation
}

// fold goes over the records twice: first to see which last messages it has to read, then to fold.
func (p *Projection) fold(ctx context.Context, records []*schema.Record, w *checkpoint.Writes) error {
	events, conversations, err := p.sort(records)
	if err != nil {
		return err
	}
	if err := p.settings(records, w); err != nil {
		return err
	}
	if err := p.load(ctx, events); err != nil {
		return err
	}
	for _, e := range events {
		e.in.apply(e)
	}
	for _, c := range conversations {
		if err := c.write(w); err != nil {
			return err
		}
	}
	return nil
}

// sort decodes the records and finds their conversations, in the order in which they first come.
func (p *Projection) sort(records []*schema.Record) (events []event, all []*conversation, err error) {
	byID := make(map[domain.ConversationID]*conversation)
	for _, r := range records {
		id := r.Conversation()
		if id == "" || r.ConversationSeq == 0 && r.Type != domain.TypeReceiptMoved && r.Type != domain.TypeAccountErased {
			continue
		}
		c := byID[id]
		if c == nil {
			c = &conversation{
				key:     p.Key(r.Partition, inboxPrefix+string(id)),
				lastKey: p.Key(r.Partition, lastPrefix+string(id)),
			}
			byID[id] = c
			all = append(all, c)
		}
		e := event{Record: r, in: c}
		if p.Handles(r.Type) {
			if e.fact, err = r.Fact(); err != nil {
				return nil, nil, err
			}
		}
		events = append(events, e)
	}
	return events, all, nil
}

// load reads the last messages that are changed by these events and were not sent by them.
func (p *Projection) load(ctx context.Context, events []event) error {
	var keys []string
	var owners []*conversation
	for _, e := range events {
		switch e.fact.(type) {
		case *domain.MessageSent:
			e.in.known = true
		case *domain.MessageEdited, *domain.MessageRecalled, *domain.MessageExpired, *domain.AccountErased:
			if !e.in.known {
				e.in.known = true
				keys = append(keys, e.in.lastKey)
				owners = append(owners, e.in)
			}
		default:
			// Nothing else changes a message.
		}
	}
	if len(keys) == 0 {
		return nil
	}
	values, err := p.Client().MGet(ctx, keys...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return checkpoint.Outside(fmt.Errorf("read last messages: %w", err))
	}
	for i, value := range values {
		text, found := value.(string)
		if !found {
			continue
		}
		if owners[i].last, err = parseMessage(text); err != nil {
			return err
		}
	}
	return nil
}

// conversation is what a fold does to one conversation.
type conversation struct {
	key, lastKey string

	head    domain.Seq
	ordinal int64
	// fields are names and values of the hash that are set.
	fields []string
	// users are those whose cursors move, in the order in which they first do.
	users  []domain.UserID
	moving map[domain.UserID]*moves
	// marks are what sessions acknowledged, in order.
	marks []mark
	// mentioned are the fields of mentions that grow, in the order in which they first do.
	mentioned []string
	mentions  map[string][]string
	reacted   []reaction

	// last is the last message. Known says that it is, or will be during the fold.
	last    *Message
	known   bool
	changed bool
}

// cursor is a sequence and how many messages stand at or below it. It only rises.
type cursor struct {
	seq     domain.Seq
	ordinal int64
}

func (c *cursor) raise(seq domain.Seq, ordinal int64) {
	if seq > c.seq {
		c.seq, c.ordinal = seq, ordinal
	}
}

// cursors are those that move rarely, in the order in which they are stored.
type cursors [3]cursor

const (
	delivered = iota
	joined
	left
)

// moves are how the cursors of one user move.
type moves struct {
	read cursor
	// sent says that the user sent something, so that read is above all it was before.
	sent bool
	// receipt is up to where a receipt said so.
	receipt domain.Seq
	rest    cursors
}

type mark struct {
	user    domain.UserID
	session domain.SessionID
	seq     domain.Seq
}

func (c *conversation) of(user domain.UserID) *moves {
	m := c.moving[user]
	if m == nil {
		m = new(moves)
		if c.moving == nil {
			c.moving = make(map[domain.UserID]*moves)
		}
		c.moving[user] = m
		c.users = append(c.users, user)
	}
	return m
}

func (c *conversation) set(field, value string) { c.fields = append(c.fields, field, value) }

func (c *conversation) apply(e event) {
	if e.ConversationSeq > 0 {
		c.head, c.ordinal = e.ConversationSeq, e.Ordinal
	}
	switch fact := e.fact.(type) {
	case *domain.ConversationCreated:
		c.create(e, fact)
	case *domain.ConversationUpdated:
		c.update(fact)
	case *domain.ConversationDissolved:
		c.set(dissolvedField, pair(int64(e.ConversationSeq), e.Ordinal))
	case *domain.MemberAdded:
		c.of(fact.User).rest[joined].raise(e.ConversationSeq, e.Ordinal)
	case *domain.MemberJoined:
		c.of(fact.User).rest[joined].raise(e.ConversationSeq, e.Ordinal)
	case *domain.MemberLeft:
		c.of(fact.User).rest[left].raise(e.ConversationSeq, e.Ordinal)
	case *domain.MemberRemoved:
		c.of(fact.User).rest[left].raise(e.ConversationSeq, e.Ordinal)
	case *domain.MessageSent:
		c.send(e, fact)
	case *domain.MessageEdited:
		c.change(fact.Message, e, func(m *Message) { m.body, m.EditedAt = &fact.Body, e.At })
	case *domain.MessageRecalled:
		c.change(fact.Message, e, func(m *Message) { m.gone, m.RecalledAt = true, e.At })
	case *domain.MessageExpired:
		c.change(fact.Message, e, func(m *Message) { m.gone = true })
	case *domain.AccountErased:
		if c.last != nil && c.last.Sender == e.Actor {
			c.last.erase()
			c.changed = true
		}
	case *domain.MessageReacted:
		c.reacted = append(c.reacted, reaction{e.Actor, e.ConversationSeq, fact})
	case *domain.ReceiptMoved:
		c.of(e.Actor).rest[delivered].raise(fact.DeliveredSeq, fact.DeliveredOrdinal)
		c.of(e.Actor).read.raise(fact.ReadSeq, fact.ReadOrdinal)
		c.of(e.Actor).receipt = max(c.of(e.Actor).receipt, fact.ReadSeq)
		if fact.Session != "" && fact.DeliveredSeq > 0 {
			c.marks = append(c.marks, mark{e.Actor, domain.Acknowledger(fact.Session, fact.Epoch), fact.DeliveredSeq})
		}
	default:
		// Roles and mutes take a sequence and change nothing else here.
	}
}

func (c *conversation) create(e event, fact *domain.ConversationCreated) {
	c.set(kindField, fact.Kind)
	c.set(updatedField, strconv.FormatInt(e.At.UnixMilli(), 10))
	for _, f := range [...]struct{ name, value string }{
		{titleField, fact.Title}, {avatarField, fact.AvatarURL}, {joinField, fact.Join},
	} {
		if f.value != "" {
			c.set(f.name, f.value)
		}
	}
	if fact.Kind == domain.DirectConversation && len(fact.Members) == 2 {
		c.set(peersField, string(fact.Members[0].User)+" "+string(fact.Members[1].User))
	}
}

func (c *conversation) update(fact *domain.ConversationUpdated) {
	for _, f := range [...]struct {
		name  string
		value *string
	}{
		{titleField, fact.Title},
		{avatarField, fact.AvatarURL},
		{joinField, fact.Join},
		{announcementField, fact.Announcement},
	} {
		if f.value != nil {
			c.set(f.name, *f.value)
		}
	}
}

func (c *conversation) send(e event, fact *domain.MessageSent) {
	c.set(updatedField, strconv.FormatInt(e.At.UnixMilli(), 10))
	sender := c.of(e.Actor)
	sender.read.raise(e.ConversationSeq, e.Ordinal)
	sender.sent = true
	c.last, c.changed = newMessage(e, fact), true
	for _, field := range mentionFields(fact.Mentions) {
		if c.mentions == nil {
			c.mentions = make(map[string][]string)
		}
		if c.mentions[field] == nil {
			c.mentioned = append(c.mentioned, field)
		}
		c.mentions[field] = append(c.mentions[field], strconv.FormatInt(int64(e.ConversationSeq), 10))
	}
}

// mentionFields returns the fields that count a message with these mentions. One that names everybody is counted once for
// each, whoever else it names.
func mentionFields(mentions []string) []string {
	fields := make([]string, 0, len(mentions))
	seen := make(map[string]bool, len(mentions))
	for _, user := range mentions {
		if user == domain.MentionAll {
			return []string{allField}
		}
		if !seen[user] {
			seen[user] = true
			fields = append(fields, mentionsField+user)
		}
	}
	return fields
}

// change does something to the last message, if it is the one and still there.
func (c *conversation) change(seq domain.Seq, e event, do func(*Message)) {
	if c.last == nil || c.last.Seq != seq || c.last.Gone() {
		return
	}
	do(c.last)
	c.last.ChangedSeq, c.changed = e.ConversationSeq, true
}

func (c *conversation) write(w *checkpoint.Writes) error {
	if c.head > 0 {
		c.set(headField, pair(int64(c.head), c.ordinal))
	}
	for _, user := range c.users {
		c.writeMoves(w, user, c.moving[user])
	}
	if len(c.fields) > 0 {
		w.HSet(c.key, c.fields...)
	}
	if c.changed {
		text, err := c.last.encode()
		if err != nil {
			return err
		}
		w.Do("SET", c.lastKey, text)
	}
	for _, field := range c.mentioned {
		w.Do("INSERT", c.key, append([]string{field, strconv.Itoa(MaxUnread)}, c.mentions[field]...)...)
	}
	for _, user := range c.users {
		// A receipt says that mentions were read. Who sends has read them too, but that is left to those who count: it
		// would cost every send a look-up.
		if at := c.moving[user]; at.receipt > 0 {
			w.Do("CUT", c.key, mentionsField+string(user), strconv.FormatInt(int64(at.receipt), 10))
		}
	}
	for _, r := range c.reacted {
		w.Do("TALLY", c.key, r.args()...)
	}
	for _, m := range c.marks {
		w.Do("MARK", c.key, markArgs(m)...)
	}
	return nil
}

func (c *conversation) writeMoves(w *checkpoint.Writes, user domain.UserID, m *moves) {
	switch {
	case m.sent:
		c.set(readField+string(user), pair(int64(m.read.seq), m.read.ordinal))
	case m.read.seq > 0:
		w.Do("MERGE", c.key, readField+string(user),
			strconv.FormatInt(int64(m.read.seq), 10), strconv.FormatInt(m.read.ordinal, 10))
	}
	if m.rest == (cursors{}) {
		return
	}
	args := make([]string, 0, 1+2*len(m.rest))
	args = append(args, cursorField+string(user))
	for _, at := range m.rest {
		args = append(args, strconv.FormatInt(int64(at.seq), 10), strconv.FormatInt(at.ordinal, 10))
	}
	w.Do("MERGE", c.key, args...)
}

func markArgs(m mark) []string {
	return []string{
		marksField + string(m.user), string(m.session), strconv.FormatInt(int64(m.seq), 10), strconv.Itoa(maxSessions),
	}
}

// maxSessions is how many sessions a user has at most, so how many marks are kept.
const maxSessions = 50

func pair(a, b int64) string { return strconv.FormatInt(a, 10) + " " + strconv.FormatInt(b, 10) }
