package domain

// The stored names of all events.
const (
	TypeConversationCreated    EventType = "conversation.created"
	TypeConversationUpdated    EventType = "conversation.updated"
	TypeConversationDissolved  EventType = "conversation.dissolved"
	TypeMemberAdded            EventType = "member.added"
	TypeMemberJoined           EventType = "member.joined"
	TypeMemberLeft             EventType = "member.left"
	TypeMemberRemoved          EventType = "member.removed"
	TypeMemberRoleChanged      EventType = "member.role"
	TypeMemberMuted            EventType = "member.muted"
	TypeMessageSent            EventType = "message.sent"
	TypeMessageEdited          EventType = "message.edited"
	TypeMessageRecalled        EventType = "message.recalled"
	TypeMessageReacted         EventType = "message.reacted"
	TypeMessageExpired         EventType = "message.expired"
	TypeReceiptMoved           EventType = "receipt.moved"
	TypeAccountRegistered      EventType = "account.registered"
	TypeAccountUpdated         EventType = "account.updated"
	TypeAccountPasswordChanged EventType = "account.password_changed"
	TypeAccountSuspended       EventType = "account.suspended"
	TypeAccountRestored        EventType = "account.restored"
	TypeAccountErased          EventType = "account.erased"
	TypeSessionCreated         EventType = "session.created"
	TypeSessionRefreshed       EventType = "session.refreshed"
	TypeSessionRevoked         EventType = "session.revoked"
	TypeSessionConnected       EventType = "session.connected"
	TypeSessionDisconnected    EventType = "session.disconnected"
	TypeSettingsChanged        EventType = "settings.changed"
	TypeContactRequested       EventType = "contact.requested"
	TypeContactAccepted        EventType = "contact.accepted"
	TypeContactDeclined        EventType = "contact.declined"
	TypeContactRemoved         EventType = "contact.removed"
	TypeContactRemarked        EventType = "contact.remarked"
	TypeUserBlocked            EventType = "user.blocked"
	TypeUserUnblocked          EventType = "user.unblocked"
	TypeScheduleCreated        EventType = "schedule.created"
	TypeScheduleCancelled      EventType = "schedule.cancelled"
	TypeScheduleFired          EventType = "schedule.fired"
	TypeScheduleFailed         EventType = "schedule.failed"
	TypeNoticePublished        EventType = "notice.published"
	TypeLogRepaired            EventType = "log.repaired"
)

// EventType returns conversation.created.
func (*ConversationCreated) EventType() EventType { return TypeConversationCreated }

// EventType returns conversation.updated.
func (*ConversationUpdated) EventType() EventType { return TypeConversationUpdated }

// EventType returns conversation.dissolved.
func (*ConversationDissolved) EventType() EventType { return TypeConversationDissolved }

// EventType returns member.added.
func (*MemberAdded) EventType() EventType { return TypeMemberAdded }

// EventType returns member.joined.
func (*MemberJoined) EventType() EventType { return TypeMemberJoined }

// EventType returns member.left.
func (*MemberLeft) EventType() EventType { return TypeMemberLeft }

// EventType returns member.removed.
func (*MemberRemoved) EventType() EventType { return TypeMemberRemoved }

// EventType returns member.role.
func (*MemberRoleChanged) EventType() EventType { return TypeMemberRoleChanged }

// EventType returns member.muted.
func (*MemberMuted) EventType() EventType { return TypeMemberMuted }

// EventType returns message.sent.
func (*MessageSent) EventType() EventType { return TypeMessageSent }

// EventType returns message.edited.
func (*MessageEdited) EventType() EventType { return TypeMessageEdited }

// EventType returns message.recalled.
func (*MessageRecalled) EventType() EventType { return TypeMessageRecalled }

// EventType returns message.reacted.
func (*MessageReacted) EventType() EventType { return TypeMessageReacted }

// EventType returns message.expired.
func (*MessageExpired) EventType() EventType { return TypeMessageExpired }

// EventType returns receipt.moved.
func (*ReceiptMoved) EventType() EventType { return TypeReceiptMoved }

// EventType returns account.registered.
func (*AccountRegistered) EventType() EventType { return TypeAccountRegistered }

// EventType returns account.updated.
func (*AccountUpdated) EventType() EventType { return TypeAccountUpdated }

// EventType returns account.password_changed.
func (*AccountPasswordChanged) EventType() EventType { return TypeAccountPasswordChanged }

// EventType returns account.suspended.
func (*AccountSuspended) EventType() EventType { return TypeAccountSuspended }

// EventType returns account.restored.
func (*AccountRestored) EventType() EventType { return TypeAccountRestored }

// EventType returns account.erased.
func (*AccountErased) EventType() EventType { return TypeAccountErased }

// EventType returns session.created.
func (*SessionCreated) EventType() EventType { return TypeSessionCreated }

// EventType returns session.refreshed.
func (*SessionRefreshed) EventType() EventType { return TypeSessionRefreshed }

// EventType returns session.revoked.
func (*SessionRevoked) EventType() EventType { return TypeSessionRevoked }

// EventType returns session.connected.
func (*SessionConnected) EventType() EventType { return TypeSessionConnected }

// EventType returns session.disconnected.
func (*SessionDisconnected) EventType() EventType { return TypeSessionDisconnected }

// EventType returns settings.changed.
func (*SettingsChanged) EventType() EventType { return TypeSettingsChanged }

// EventType returns contact.requested.
func (*ContactRequested) EventType() EventType { return TypeContactRequested }

// EventType returns contact.accepted.
func (*ContactAccepted) EventType() EventType { return TypeContactAccepted }

// EventType returns contact.declined.
func (*ContactDeclined) EventType() EventType { return TypeContactDeclined }

// EventType returns contact.removed.
func (*ContactRemoved) EventType() EventType { return TypeContactRemoved }

// EventType returns contact.remarked.
func (*ContactRemarked) EventType() EventType { return TypeContactRemarked }

// EventType returns user.blocked.
func (*UserBlocked) EventType() EventType { return TypeUserBlocked }

// EventType returns user.unblocked.
func (*UserUnblocked) EventType() EventType { return TypeUserUnblocked }

// EventType returns schedule.created.
func (*ScheduleCreated) EventType() EventType { return TypeScheduleCreated }

// EventType returns schedule.cancelled.
func (*ScheduleCancelled) EventType() EventType { return TypeScheduleCancelled }

// EventType returns schedule.fired.
func (*ScheduleFired) EventType() EventType { return TypeScheduleFired }

// EventType returns schedule.failed.
func (*ScheduleFailed) EventType() EventType { return TypeScheduleFailed }

// EventType returns notice.published.
func (*NoticePublished) EventType() EventType { return TypeNoticePublished }

// EventType returns log.repaired.
func (*LogRepaired) EventType() EventType { return TypeLogRepaired }
