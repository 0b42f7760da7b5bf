package conversation

import (
	"time"

	"mpim/domain"
)

// Command is something that is asked of a group.
//
//sumtype:decl
type Command interface {
	// By returns who asks, and when.
	By() domain.Stamp
	command()
}

// MessageCommand is a command that groups and pairs share.
//
//sumtype:decl
type MessageCommand interface {
	Command
	message()
}

// CreateGroup makes a group with the actor as its owner.
type CreateGroup struct {
	domain.Stamp
	// ClientID is empty where the request has none.
	ClientID string
	Title    string
	// Members are added with the group; the actor and doubles among them count once. That they exist was checked.
	Members   []domain.UserID
	AvatarURL string
	// Join is Invite, Open, or empty for Invite.
	Join   string
	Limits Limits
}

// Who may add members and come in, in CreateGroup.Join.
const (
	// Invite lets admins and the owner add members.
	Invite = "invite"
	// Open lets every member add others, and everybody join.
	Open = "open"
)

// AddMembers brings users into a group, at most domain.MaxCommitEvents at once. Who is a member already stays one. That
// the users exist was checked.
type AddMembers struct {
	domain.Stamp
	Users  []domain.UserID
	Limits Limits
}

// RemoveMember puts a user out of a group.
type RemoveMember struct {
	domain.Stamp
	User domain.UserID
}

// Leave takes the actor out of a group.
type Leave struct {
	domain.Stamp
}

// Join brings the actor into an open group. That the actor exists was checked.
type Join struct {
	domain.Stamp
	Limits Limits
}

// Update changes the members that are given.
type Update struct {
	domain.Stamp
	Title        *string
	AvatarURL    *string
	Join         *string
	Announcement *string
	// Muted keeps all but admins from sending.
	Muted *bool
	// History is Joined or All.
	History *string
}

// What members see of what was before them, in Update.History.
const (
	// Joined shows a member what was said since it came.
	Joined = "joined"
	// All shows present members everything.
	All = "all"
)

// SetRole gives a member another role. Who makes another the owner becomes an admin.
type SetRole struct {
	domain.Stamp
	User domain.UserID
	Role domain.Role
}

// Mute keeps a member from sending until then; the zero time lifts it.
type Mute struct {
	domain.Stamp
	User  domain.UserID
	Until time.Time
}

// Dissolve ends a group for all its members.
type Dissolve struct {
	domain.Stamp
}

// SendMessage says something.
type SendMessage struct {
	domain.Stamp
	// ClientID is required.
	ClientID string
	Body     domain.Body
	// ReplyTo is the message that this one answers, 0 for none, and Answered what is known of that.
	ReplyTo  domain.Seq
	Answered Facts
	// Mentions are user ids or domain.MentionAll.
	Mentions []string
	// ExpiresIn is how long the message stands; 0 for ever.
	ExpiresIn time.Duration
	Limits    Limits
}

// EditMessage gives a message another body.
type EditMessage struct {
	domain.Stamp
	Message domain.Seq
	Facts   Facts
	Body    domain.Body
	Limits  Limits
}

// RecallMessage takes a message back.
type RecallMessage struct {
	domain.Stamp
	Message domain.Seq
	Facts   Facts
	Limits  Limits
}

// React puts an emoji of the actor on a message, or takes it off.
type React struct {
	domain.Stamp
	Message domain.Seq
	Facts   Facts
	Emoji   string
	Removed bool
	// Already says that it is known to be as asked. It may be false although it is: the same reaction twice is one.
	Already bool
}

// ExpireMessage ends a message whose time is up. The system gives it.
type ExpireMessage struct {
	domain.Stamp
	Message domain.Seq
}

// Facts is what is known about a message beside the decision state, from wherever the event that sent it is at hand. The
// zero value says that no message has the sequence.
type Facts struct {
	Sender domain.UserID
	At     time.Time
	// ExpiresAt is when the message goes by itself; zero for never.
	ExpiresAt time.Time
	// Recalled says that the message was recalled or has expired. It may be behind: false although the message is gone by
	// now, never the other way.
	Recalled bool
}

// MoveReceipt says how far the actor has come. Cursors are cumulative and never go back; a sequence of 0 leaves its
// cursor alone.
type MoveReceipt struct {
	domain.Stamp
	// Session is the one that acknowledges what was delivered.
	Session domain.SessionID
	// Epoch is the log's; 0 for the first.
	Epoch int64
	// The ordinals say how many messages stand at or below the sequences.
	Delivered        domain.Seq
	DeliveredOrdinal int64
	Read             domain.Seq
	ReadOrdinal      int64
	// Unlogged is the number of members above which a group's delivered receipts become no events; 0 where they always
	// do. Whoever sets it keeps them elsewhere; see Unlogged.
	Unlogged int
}

func (CreateGroup) command()   {}
func (AddMembers) command()    {}
func (RemoveMember) command()  {}
func (Leave) command()         {}
func (Join) command()          {}
func (Update) command()        {}
func (SetRole) command()       {}
func (Mute) command()          {}
func (Dissolve) command()      {}
func (SendMessage) command()   {}
func (EditMessage) command()   {}
func (RecallMessage) command() {}
func (React) command()         {}
func (ExpireMessage) command() {}
func (MoveReceipt) command()   {}

func (SendMessage) message()   {}
func (EditMessage) message()   {}
func (RecallMessage) message() {}
func (React) message()         {}
func (ExpireMessage) message() {}
func (MoveReceipt) message()   {}

// Needs returns the fields that a group's command is decided on.
func Needs(c Command) []string {
	self := memberField(c.By().Actor)
	switch c := c.(type) {
	case CreateGroup:
		return []string{domain.HeaderField}
	case AddMembers:
		fields := []string{domain.HeaderField, self}
		for _, user := range c.Users {
			fields = append(fields, memberField(user))
		}
		return fields
	case RemoveMember:
		return []string{domain.HeaderField, self, memberField(c.User)}
	case SetRole:
		return []string{domain.HeaderField, self, memberField(c.User)}
	case Mute:
		return []string{domain.HeaderField, self, memberField(c.User)}
	case Leave, Join, Update, Dissolve:
		return []string{domain.HeaderField, self}
	case SendMessage:
		fields := append(MessageNeeds(c), self)
		for _, user := range c.Mentions[:min(len(c.Mentions), MaxMentions)] {
			fields = append(fields, memberField(domain.UserID(user)))
		}
		return fields
	case Unschedule:
		return MessageNeeds(c)
	case Erase:
		fields := append(MessageNeeds(c), domain.HeaderField, self)
		if c.Heir != "" {
			fields = append(fields, memberField(c.Heir))
		}
		return fields
	case MessageCommand:
		return append(MessageNeeds(c), self)
	default:
		return nil
	}
}

// MessageNeeds returns the fields that a command is decided on in groups and pairs alike.
func MessageNeeds(c MessageCommand) []string {
	switch c := c.(type) {
	case SendMessage, EditMessage, RecallMessage, React:
		return []string{domain.HeaderField}
	case ExpireMessage:
		return []string{domain.HeaderField, domain.SeqField}
	case ScheduleMessage:
		return []string{domain.HeaderField, WaitingField(c.Scheduled), queueField(c.Message.Actor)}
	case FireScheduled:
		return []string{domain.HeaderField, WaitingField(c.Scheduled), queueField(c.Actor)}
	case Unschedule:
		return []string{WaitingField(c.Scheduled), queueField(c.Actor)}
	case Erase:
		return c.needs()
	case MoveReceipt:
		return []string{domain.HeaderField, domain.SeqField, cursorField(c.Actor)}
	default:
		return nil
	}
}

// Fields returns what a group's State.See and State.Progress of one user are read from.
func Fields(user domain.UserID) []string { return append(PairFields(user), memberField(user)) }

// PairFields is Fields for a pair.
func PairFields(user domain.UserID) []string {
	return []string{domain.HeaderField, domain.SeqField, cursorField(user)}
}
