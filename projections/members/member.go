package members

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
)

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

// state is a member as folds change it. The zero value is somebody who never was one.
type state struct {
	role     domain.Role
	joinedAt int64 // Unix milliseconds
	mutedTo  int64 // Unix milliseconds, 0 for none
	windows  domain.Windows
}

func (s *state) open(at time.Time, role domain.Role, seq domain.Seq) {
	if s.windows.Open() {
		return
	}
	*s = state{role: role, joinedAt: at.UnixMilli(), windows: s.windows.Opened(seq)}
}

// String returns the stored form: role, when the member joined, when it may send again or nothing, windows, as in
// "member;1767312245678;;3-17,42-".
func (s state) String() string {
	muted := ""
	if s.mutedTo != 0 {
		muted = strconv.FormatInt(s.mutedTo, 10)
	}
	return string(s.role) + ";" + strconv.FormatInt(s.joinedAt, 10) + ";" + muted + ";" + s.windows.String()
}

// parseState reads what String writes; "" is somebody who never was a member.
func parseState(text string) (s state, err error) {
	if text == "" {
		return s, nil
	}
	parts := strings.Split(text, ";")
	if len(parts) != 4 {
		return s, fmt.Errorf("%q is no member", text)
	}
	s.role = domain.Role(parts[0])
	if s.joinedAt, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return s, fmt.Errorf("%q is no member", text)
	}
	if parts[2] != "" {
		if s.mutedTo, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
			return s, fmt.Errorf("%q is no member", text)
		}
	}
	s.windows, err = domain.ParseWindows(parts[3])
	return s, err
}

func (s state) member(user domain.UserID) Member {
	m := Member{User: user, Role: s.role, JoinedAt: time.UnixMilli(s.joinedAt).UTC(), Windows: s.windows}
	if s.mutedTo != 0 {
		m.MutedUntil = time.UnixMilli(s.mutedTo).UTC()
	}
	return m
}
