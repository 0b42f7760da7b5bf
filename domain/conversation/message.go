package conversation

import (
	"time"

	"mpim/domain"
)

func decideEdit(s State, c EditMessage) ([]domain.Fact, error) {
	if err := s.concerns(c.Actor, c.Message, c.Facts); err != nil {
		return nil, err
	}
	if c.Facts.Sender != c.Actor {
		return nil, domain.Errorf(domain.PermissionDenied, "only its sender edits a message")
	}
	if c.Facts.gone(c.At) {
		return nil, domain.Errorf(domain.FailedPrecondition, "the message was recalled or has expired")
	}
	if over(c.Facts.At, c.At, c.Limits.EditWindow) {
		return nil, domain.Errorf(domain.FailedPrecondition, "the message is older than the %v within which it can be edited",
			c.Limits.EditWindow)
	}
	if err := checkBody(c.Body, c.Limits); err != nil {
		return nil, err
	}
	return []domain.Fact{&domain.MessageEdited{Message: c.Message, Body: c.Body}}, nil
}

func decideRecall(s State, c RecallMessage) ([]domain.Fact, error) {
	if err := s.concerns(c.Actor, c.Message, c.Facts); err != nil {
		return nil, err
	}
	admin := governs(s.Role(c.Actor))
	if c.Facts.Sender != c.Actor && !admin {
		return nil, domain.Errorf(domain.PermissionDenied, "only its sender or an admin recalls a message")
	}
	if c.Facts.Recalled {
		return nil, nil
	}
	if !admin && over(c.Facts.At, c.At, c.Limits.RecallWindow) {
		return nil, domain.Errorf(domain.FailedPrecondition, "the message is older than the %v within which it can be recalled",
			c.Limits.RecallWindow)
	}
	return []domain.Fact{&domain.MessageRecalled{Message: c.Message}}, nil
}

func decideReact(s State, c React) ([]domain.Fact, error) {
	if err := s.concerns(c.Actor, c.Message, c.Facts); err != nil {
		return nil, err
	}
	switch {
	case c.Emoji == "":
		return nil, domain.Errorf(domain.InvalidArgument, "emoji is empty")
	case len(c.Emoji) > MaxEmojiBytes:
		return nil, domain.Errorf(domain.TooLarge, "an emoji has at most %d bytes", MaxEmojiBytes)
	}
	if err := domain.CheckName("emoji", c.Emoji, 0); err != nil {
		return nil, err
	}
	if c.Facts.gone(c.At) {
		if c.Removed {
			return nil, nil // its reactions went with it
		}
		return nil, domain.Errorf(domain.FailedPrecondition, "the message was recalled or has expired")
	}
	if c.Already {
		return nil, nil
	}
	return []domain.Fact{&domain.MessageReacted{Message: c.Message, Emoji: c.Emoji, Removed: c.Removed}}, nil
}

// decideExpire is asked by the timer that the message set. Whether the message was recalled meanwhile makes no
// difference: it is gone either way.
func decideExpire(s State, c ExpireMessage) ([]domain.Fact, error) {
	if !s.Exists() || c.Message < 1 || c.Message > s.Head {
		return nil, nil
	}
	return []domain.Fact{&domain.MessageExpired{Message: c.Message}}, nil
}

// concerns refuses a change to a message by who is no member, who does not see it, and to one that is none.
func (s State) concerns(user domain.UserID, message domain.Seq, facts Facts) error {
	if err := s.present(user); err != nil {
		return err
	}
	if message < 1 {
		return domain.Errorf(domain.InvalidArgument, "seq begins at 1")
	}
	// Said before whether there is a message, so that nobody learns what lies outside its windows.
	if !s.Windows(user).Contains(message) {
		return domain.Errorf(domain.PermissionDenied, "the message lies outside what you may see")
	}
	if facts.Sender == "" {
		return domain.Errorf(domain.NotFound, "there is no such message")
	}
	return nil
}

// gone says whether there is nothing left of the message to change.
func (f Facts) gone(now time.Time) bool {
	return f.Recalled || !f.ExpiresAt.IsZero() && !f.ExpiresAt.After(now)
}

// over says whether the window that opened with sent is over at now.
func over(sent, now time.Time, window time.Duration) bool {
	return window > 0 && now.Sub(sent) > window
}
