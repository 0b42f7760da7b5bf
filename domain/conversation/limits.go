package conversation

import "time"

// Limits are what an installation allows. A limit of 0 is off.
type Limits struct {
	// TextBytes bounds what a message says: its text, the fields of a file, the data of a custom body.
	TextBytes int
	// ClientID bounds the ids that clients give their requests, in characters.
	ClientID int
	// GroupMembers bounds the members of a group. It is never above MaxGroupMembers, nor off.
	GroupMembers int
	// EditWindow and RecallWindow are how long after sending a sender may edit and recall.
	EditWindow   time.Duration
	RecallWindow time.Duration
}

// DefaultLimits returns the limits of the client protocol.
func DefaultLimits() Limits {
	return Limits{
		TextBytes:    16 << 10,
		ClientID:     64,
		GroupMembers: 10_000,
		EditWindow:   24 * time.Hour,
		RecallWindow: 24 * time.Hour,
	}
}

// Limits that no installation raises.
const (
	MaxGroupMembers = 100_000
	// MaxFirstMembers bounds a group's first members, so that the event which lists them stays below the largest frame.
	MaxFirstMembers = 10_000
	// MaxTitle is in characters, MaxURL too.
	MaxTitle = 128
	MaxURL   = 2048
	// MaxAnnouncement is in characters.
	MaxAnnouncement = 4096
	// MaxWindows bounds how often one user joins and leaves a group: a state must not grow without end.
	MaxWindows = 256
	// MaxSessions is how many sessions' acknowledgements a user's cursors hold, as many as a user has sessions.
	MaxSessions = 50
	// MaxMentions bounds whom one message names: each costs a look-up, and a write in the inbox.
	MaxMentions = 256
	// MaxEmojiBytes bounds a reaction.
	MaxEmojiBytes = 32
	// MaxExpiry is for how long a message that expires may stand.
	MaxExpiry = 10 * 365 * 24 * time.Hour
	// MaxDelay is how far ahead a message is scheduled, and MaxWaiting how many of one user wait for one conversation.
	MaxDelay   = 366 * 24 * time.Hour
	MaxWaiting = 100
	// LargeGroup is the number of members above which delivered receipts are kept outside the log; see MoveReceipt.
	LargeGroup = 200
)

func (l Limits) groupMembers() int {
	if l.GroupMembers <= 0 || l.GroupMembers > MaxGroupMembers {
		return MaxGroupMembers
	}
	return l.GroupMembers
}
