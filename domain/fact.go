package domain

import (
	"encoding/json"
)

// EventType names a kind of event, as stored and as clients see it. It is never taken from a Go type's name.
type EventType string

// Fact is the data of one event: what happened, in the past tense.
//
//sumtype:decl
type Fact interface {
	// EventType returns the stored name.
	EventType() EventType
	// Sequenced says whether the event takes a sequence in its conversation.
	Sequenced() bool
	fact()
}

// sequenced and unsequenced make a struct a fact but for its name.
type (
	sequenced   struct{}
	unsequenced struct{}
)

// Sequenced returns true: clients count these events.
func (sequenced) Sequenced() bool { return true }

// Sequenced returns false: these events stand beside the conversation.
func (unsequenced) Sequenced() bool { return false }

func (sequenced) fact()   {}
func (unsequenced) fact() {}

// Kinds of conversations.
const (
	DirectConversation = "direct"
	GroupConversation  = "group"
)

// Role is what a member may do.
type Role string

// The roles, from the strongest. Both sides of a pair are members.
const (
	Owner  Role = "owner"
	Admin  Role = "admin"
	Member Role = "member"
)

// MemberRole is a member with its role.
type MemberRole struct {
	User UserID `json:"user"`
	Role Role   `json:"role"`
}

// Body types.
const (
	TextBody   = "text"
	FileBody   = "file"
	CustomBody = "custom"
)

// Body is what a message says. Type tells which of the other members stand.
type Body struct {
	Type string `json:"type"`
	Text string `json:"text,omitempty"`
	URL  string `json:"url,omitempty"`
	Name string `json:"name,omitempty"`
	// Size is that of a file, in bytes; nil where an empty one was stored before it was written down, too.
	Size *int64          `json:"size,omitempty"`
	MIME string          `json:"mime,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
}

// Sized returns the body, if it is of a file, with the size that it has where none was said: 0.
func (b Body) Sized() Body {
	if b.Type == FileBody && b.Size == nil {
		b.Size = new(int64)
	}
	return b
}

// MentionAll in a message's mentions means every member.
const MentionAll = "all"

// What a member's tag mpim says of it: "secret", that it never leaves the log; "sealed", that it is personal, and stored so that
// it becomes unreadable with the key of whom it belongs to.

// Facts of conversations.
type (
	// ConversationCreated starts a group or a pair with its first members, each seeing everything from here on.
	ConversationCreated struct {
		sequenced
		Kind      string       `json:"kind"`
		Title     string       `json:"title,omitempty"`
		AvatarURL string       `json:"avatar_url,omitempty"`
		Join      string       `json:"join,omitempty"`
		Members   []MemberRole `json:"members"`
	}
	// ConversationUpdated changes the members that stand.
	ConversationUpdated struct {
		sequenced
		Title        *string `json:"title,omitempty"`
		AvatarURL    *string `json:"avatar_url,omitempty"`
		Join         *string `json:"join,omitempty"`
		Announcement *string `json:"announcement,omitempty"`
		Muted        *bool   `json:"muted,omitempty"`
		History      *string `json:"history,omitempty"`
	}
	// ConversationDissolved ends a group and closes every window.
	ConversationDissolved struct{ sequenced }
	// MemberAdded opens a window for User, brought in by the actor.
	MemberAdded struct {
		sequenced
		User UserID `json:"user"`
	}
	// MemberJoined opens a window for User, who came by itself.
	MemberJoined struct {
		sequenced
		User UserID `json:"user"`
	}
	// MemberLeft closes the window of User, who went by itself.
	MemberLeft struct {
		sequenced
		User UserID `json:"user"`
	}
	// MemberRemoved closes the window of User, put out by the actor.
	MemberRemoved struct {
		sequenced
		User UserID `json:"user"`
	}
	// MemberRoleChanged gives User another role.
	MemberRoleChanged struct {
		sequenced
		User UserID `json:"user"`
		Role Role   `json:"role"`
	}
	// MemberMuted keeps User from sending until then; nil lifts it.
	MemberMuted struct {
		sequenced
		User  UserID   `json:"user"`
		Until *Instant `json:"until"`
	}
	// MessageSent is a message of the actor.
	MessageSent struct {
		sequenced
		ClientID string   `json:"client_id"`
		Body     Body     `json:"body" mpim:"sealed"`
		ReplyTo  Seq      `json:"reply_to,omitempty"`
		Mentions []string `json:"mentions,omitempty"`
		// ExpiresAt is when the message goes by itself; nil for never.
		ExpiresAt *Instant `json:"expires_at,omitempty"`
	}
	// MessageEdited gives the message with sequence Message another body.
	MessageEdited struct {
		sequenced
		Message Seq  `json:"message"`
		Body    Body `json:"body" mpim:"sealed"`
	}
	// MessageRecalled takes a message back for ever.
	MessageRecalled struct {
		sequenced
		Message Seq `json:"message"`
	}
	// MessageReacted puts the actor's emoji on a message, or takes it off.
	MessageReacted struct {
		sequenced
		Message Seq    `json:"message"`
		Emoji   string `json:"emoji"`
		Removed bool   `json:"removed"`
	}
	// MessageExpired ends a message whose time was up.
	MessageExpired struct {
		sequenced
		Message Seq `json:"message"`
	}
	// ReceiptMoved moves the actor's cursors; a zero sequence leaves that cursor where it is. The ordinals say how many
	// messages stand at or below the sequences. DeliveredSeq is what Session has now; the user's own cursor is the
	// highest of all its sessions, so it may stand above. Epoch is the log's, 0 for the first; see Acknowledger.
	ReceiptMoved struct {
		unsequenced
		Session          SessionID `json:"session,omitempty"`
		DeliveredSeq     Seq       `json:"delivered_seq,omitempty"`
		DeliveredOrdinal int64     `json:"delivered_ordinal,omitempty"`
		ReadSeq          Seq       `json:"read_seq,omitempty"`
		ReadOrdinal      int64     `json:"read_ordinal,omitempty"`
		Epoch            int64     `json:"epoch,omitempty"`
	}
)

// Facts of accounts and sessions.
type (
	// AccountRegistered creates the account and takes its name.
	AccountRegistered struct {
		unsequenced
		Username    string `json:"username" mpim:"sealed"`
		DisplayName string `json:"display_name" mpim:"sealed"`
		// PasswordHash is in the PHC string format of argon2id. It never leaves the log but to check a password.
		PasswordHash string `json:"password_hash" mpim:"secret,sealed"`
	}
	// AccountUpdated changes the members that stand.
	AccountUpdated struct {
		unsequenced
		DisplayName *string `json:"display_name,omitempty" mpim:"sealed"`
		AvatarURL   *string `json:"avatar_url,omitempty" mpim:"sealed"`
		// Strangers is from whom the user takes direct messages: "anyone" or "contacts".
		Strangers *string `json:"strangers,omitempty"`
		// Administrator says whether the user may do what administrators do.
		Administrator *bool `json:"administrator,omitempty"`
	}
	// AccountPasswordChanged replaces the password.
	AccountPasswordChanged struct {
		unsequenced
		PasswordHash string `json:"password_hash" mpim:"secret,sealed"`
	}
	// AccountSuspended keeps the user out.
	AccountSuspended struct {
		unsequenced
		Reason string `json:"reason,omitempty" mpim:"sealed"`
	}
	// AccountRestored lets a suspended user in again.
	AccountRestored struct{ unsequenced }
	// AccountErased ends the account and its readable data. It is appended to the account, and then, with the user as its actor,
	// to every conversation or pair where that user wrote something, so that whoever folds it takes the texts away there.
	AccountErased struct {
		unsequenced
		// Peer is the other of a pair, where the two said something as contacts.
		Peer UserID `json:"peer,omitempty"`
	}
	// SessionCreated is a login.
	SessionCreated struct {
		unsequenced
		Session    SessionID `json:"session"`
		DeviceID   string    `json:"device_id,omitempty"`
		DeviceName string    `json:"device_name,omitempty" mpim:"sealed"`
		// RefreshHash is SHA-256 of the refresh token's secret, in hexadecimal.
		RefreshHash string `json:"refresh_hash" mpim:"secret"`
	}
	// SessionRefreshed replaces the session's refresh token.
	SessionRefreshed struct {
		unsequenced
		Session     SessionID `json:"session"`
		RefreshHash string    `json:"refresh_hash" mpim:"secret"`
	}
	// SessionRevoked ends a login.
	SessionRevoked struct {
		unsequenced
		Session SessionID `json:"session"`
		// Reason is "logout", "replaced", "limit", "reused", "password", "suspended", "administrator" or "erased".
		Reason string `json:"reason,omitempty"`
	}
	// SessionConnected opens a socket.
	SessionConnected struct {
		unsequenced
		Session    SessionID    `json:"session"`
		Connection ConnectionID `json:"connection"`
		Gateway    string       `json:"gateway"`
		Client     string       `json:"client,omitempty"`
	}
	// SessionDisconnected ends a socket.
	SessionDisconnected struct {
		unsequenced
		Session    SessionID    `json:"session"`
		Connection ConnectionID `json:"connection"`
		Gateway    string       `json:"gateway"`
		// Reason is "closed" (with a close frame), "lost" (without one) or "expired" (its gateway fell silent).
		Reason string `json:"reason"`
	}
	// SettingsChanged changes how the actor sees one conversation.
	SettingsChanged struct {
		unsequenced
		Conversation ConversationID `json:"conversation"`
		Pinned       *bool          `json:"pinned,omitempty"`
		Muted        *bool          `json:"muted,omitempty"`
	}
)

// Facts of contacts; User is the other side.
type (
	// ContactRequested asks User.
	ContactRequested struct {
		unsequenced
		User    UserID `json:"user"`
		Message string `json:"message,omitempty" mpim:"sealed"`
	}
	// ContactAccepted accepts what User asked.
	ContactAccepted struct {
		unsequenced
		User UserID `json:"user"`
	}
	// ContactDeclined declines what User asked.
	ContactDeclined struct {
		unsequenced
		User UserID `json:"user"`
	}
	// ContactRemoved ends the contact on both sides.
	ContactRemoved struct {
		unsequenced
		User UserID `json:"user"`
	}
	// ContactRemarked notes something about User for the actor alone.
	ContactRemarked struct {
		unsequenced
		User   UserID `json:"user"`
		Remark string `json:"remark" mpim:"sealed"`
	}
	// UserBlocked keeps User from writing to the actor.
	UserBlocked struct {
		unsequenced
		User UserID `json:"user"`
	}
	// UserUnblocked lets User write again.
	UserUnblocked struct {
		unsequenced
		User UserID `json:"user"`
	}
)

// Facts of timers, notices and the log itself.
type (
	// ScheduleCreated is a message to be sent later.
	ScheduleCreated struct {
		unsequenced
		Scheduled ScheduledID `json:"scheduled"`
		// User is the other of a pair, where that and not the conversation was named: the conversation may not exist yet.
		User      UserID  `json:"user,omitempty"`
		ClientID  string  `json:"client_id"`
		Body      Body    `json:"body" mpim:"sealed"`
		DeliverAt Instant `json:"deliver_at"`
	}
	// ScheduleCancelled takes a scheduled message back.
	ScheduleCancelled struct {
		unsequenced
		Scheduled ScheduledID `json:"scheduled"`
	}
	// ScheduleFired says that a scheduled message was sent, in the same commit and right before it. Message is its sequence,
	// which is pending when it is decided.
	ScheduleFired struct {
		unsequenced
		Scheduled ScheduledID `json:"scheduled"`
		Message   Seq         `json:"message"`
	}
	// ScheduleFailed says why a scheduled message could not be sent.
	ScheduleFailed struct {
		unsequenced
		Scheduled ScheduledID `json:"scheduled"`
		Code      Code        `json:"code"`
	}
	// NoticePublished is a notice of the system. To is "all", or an object with users or a conversation.
	NoticePublished struct {
		unsequenced
		Title    string          `json:"title"`
		Text     string          `json:"text"`
		To       json.RawMessage `json:"to"`
		Priority string          `json:"priority,omitempty"`
	}
	// LogRepaired says that Redis had come back without the events of a partition from From to To. The last Lost of them are gone,
	// and those before were written back. Sequences of what is gone are used again.
	LogRepaired struct {
		unsequenced
		From int64 `json:"from"`
		To   int64 `json:"to"`
		Lost int64 `json:"lost"`
	}
)
