package conversation

import (
	"slices"
	"time"

	"mpim/domain"
)

func decideSend(s State, c SendMessage) ([]domain.Fact, error) {
	if err := s.speaks(c.Stamp); err != nil {
		return nil, err
	}
	if err := CheckClientID(c.ClientID, c.Limits); err != nil {
		return nil, err
	}
	if err := checkBody(c.Body, c.Limits); err != nil {
		return nil, err
	}
	if err := s.answers(c); err != nil {
		return nil, err
	}
	mentions, err := s.mentions(c)
	if err != nil {
		return nil, err
	}
	sent := &domain.MessageSent{ClientID: c.ClientID, Body: c.Body, ReplyTo: c.ReplyTo, Mentions: mentions}
	if sent.ExpiresAt, err = c.expiry(); err != nil {
		return nil, err
	}
	return []domain.Fact{sent}, nil
}

// speaks refuses who may not send: who is no member, who is muted, and of a muted group all but its admins.
func (s State) speaks(by domain.Stamp) error {
	if err := s.present(by.Actor); err != nil {
		return err
	}
	if until := s.mutedUntil(by); until != nil {
		return domain.Errorf(domain.PermissionDenied, "you are muted until %s", until.Format(time.RFC3339))
	}
	if s.Muted && !governs(s.Role(by.Actor)) {
		return domain.Errorf(domain.PermissionDenied, "only admins send to this group now")
	}
	return nil
}

// mutedUntil returns until when the actor is muted, nil where it is not. An owner never is: nobody could end it.
func (s State) mutedUntil(by domain.Stamp) *time.Time {
	m := s.Members[by.Actor]
	if m.Role == domain.Owner || !m.MutedUntil.After(by.At) {
		return nil
	}
	return &m.MutedUntil
}

// answers refuses a reply to what is no message that the sender sees.
func (s State) answers(c SendMessage) error {
	if c.ReplyTo == 0 {
		return nil
	}
	if err := s.concerns(c.Actor, c.ReplyTo, c.Answered); err != nil {
		return err
	}
	if c.Answered.gone(c.At) {
		return domain.Errorf(domain.FailedPrecondition, "the message that this answers was recalled or has expired")
	}
	return nil
}

// mentions returns whom a message names, each once. It refuses who is no member: nobody would tell them.
func (s State) mentions(c SendMessage) ([]string, error) {
	if len(c.Mentions) > MaxMentions {
		return nil, domain.Errorf(domain.TooLarge, "a message names at most %d members, or all", MaxMentions)
	}
	if slices.Contains(c.Mentions, domain.MentionAll) {
		if !governs(s.Role(c.Actor)) {
			return nil, domain.Errorf(domain.PermissionDenied, "only admins of a group mention all")
		}
		return []string{domain.MentionAll}, nil
	}
	var named []string
	for _, user := range c.Mentions {
		if !s.Windows(domain.UserID(user)).Open() {
			return nil, domain.Errorf(domain.InvalidArgument, "mentions name somebody who is no member")
		}
		if !slices.Contains(named, user) {
			named = append(named, user)
		}
	}
	return named, nil
}

// expiry returns when the message goes by itself, nil for never.
func (c SendMessage) expiry() (*domain.Instant, error) {
	switch {
	case c.ExpiresIn == 0:
		return nil, nil
	case c.ExpiresIn < 0 || c.ExpiresIn > MaxExpiry:
		return nil, domain.Errorf(domain.InvalidArgument, "a message expires in 1 to %d seconds", int64(MaxExpiry/time.Second))
	}
	return new(domain.NewInstant(c.At.Add(c.ExpiresIn))), nil
}
