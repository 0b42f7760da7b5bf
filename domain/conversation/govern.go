package conversation

import (
	"strings"
	"time"

	"mpim/domain"
)

func decideUpdate(s State, c Update) ([]domain.Fact, error) {
	if err := s.governed(c.Actor, "only admins change the group"); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Title != nil {
		title := strings.TrimSpace(*c.Title)
		c.Title = &title
	}
	updated := &domain.ConversationUpdated{
		Title: changed(c.Title, s.Title), AvatarURL: changed(c.AvatarURL, s.AvatarURL), Join: changed(c.Join, s.Join),
		Announcement: changed(c.Announcement, s.Announcement), Muted: changed(c.Muted, s.Muted),
		History: changed(c.History, s.historyRule()),
	}
	if *updated == (domain.ConversationUpdated{}) {
		return nil, nil
	}
	return []domain.Fact{updated}, nil
}

// historyRule returns what members see of what was before them; a group begins with Joined, which is not stored.
func (s State) historyRule() string {
	if s.History == "" {
		return Joined
	}
	return s.History
}

// changed returns the value where it is given and another one.
func changed[T comparable](to *T, from T) *T {
	if to == nil || *to == from {
		return nil
	}
	return to
}

func (c Update) check() error {
	if c.Title != nil {
		if err := checkTitle(*c.Title); err != nil {
			return err
		}
	}
	if c.AvatarURL != nil {
		if err := domain.CheckURL("avatar_url", *c.AvatarURL, MaxURL); err != nil {
			return err
		}
	}
	if c.Join != nil {
		if err := checkJoin(*c.Join); err != nil {
			return err
		}
	}
	if c.Announcement != nil {
		if err := domain.CheckText("announcement", *c.Announcement, MaxAnnouncement); err != nil {
			return err
		}
	}
	if c.History != nil && *c.History != Joined && *c.History != All {
		return domain.Errorf(domain.InvalidArgument, "history is %q or %q", Joined, All)
	}
	return nil
}

func decideSetRole(s State, c SetRole) ([]domain.Fact, error) {
	if err := s.present(c.Actor); err != nil {
		return nil, err
	}
	if s.Role(c.Actor) != domain.Owner {
		if c.Role == domain.Owner && s.Role(c.Actor) == domain.Admin && s.Role(c.User) == domain.Owner {
			// Who hands the group over is an admin from then on, and may not have got the answer.
			return nil, nil
		}
		return nil, domain.Errorf(domain.PermissionDenied, "only the owner gives roles")
	}
	switch c.Role {
	case domain.Owner, domain.Admin, domain.Member:
	default:
		return nil, domain.Errorf(domain.InvalidArgument, "role is %q, %q or %q", domain.Owner, domain.Admin, domain.Member)
	}
	switch now := s.Role(c.User); {
	case now == "":
		return nil, noSuchMember()
	case now == c.Role:
		return nil, nil
	case c.User == c.Actor:
		return nil, domain.Errorf(domain.FailedPrecondition, "a group has an owner: make another member the owner")
	}
	facts := []domain.Fact{&domain.MemberRoleChanged{User: c.User, Role: c.Role}}
	if c.Role == domain.Owner {
		facts = append(facts, &domain.MemberRoleChanged{User: c.Actor, Role: domain.Admin})
	}
	return facts, nil
}

func noSuchMember() error { return domain.Errorf(domain.NotFound, "there is no such member") }

func decideMute(s State, c Mute) ([]domain.Fact, error) {
	if err := s.governed(c.Actor, "only admins mute members"); err != nil {
		return nil, err
	}
	// Years have four digits wherever times are written.
	if c.Until.UTC().Year() > 9999 {
		return nil, domain.Errorf(domain.InvalidArgument, "until lies beyond the year 9999")
	}
	switch s.Role(c.User) {
	case "":
		return nil, noSuchMember()
	case domain.Owner:
		return nil, domain.Errorf(domain.PermissionDenied, "nobody mutes the owner")
	case domain.Admin:
		if s.Role(c.Actor) != domain.Owner {
			return nil, domain.Errorf(domain.PermissionDenied, "only the owner mutes admins")
		}
	case domain.Member:
	}
	// One that is over already is none.
	var until time.Time
	if c.Until.After(c.At) {
		until = c.Until.UTC().Truncate(time.Millisecond)
	}
	was := s.Members[c.User].MutedUntil
	if until.Equal(was) || until.IsZero() && !was.After(c.At) {
		return nil, nil
	}
	muted := &domain.MemberMuted{User: c.User}
	if !until.IsZero() {
		muted.Until = new(domain.NewInstant(until))
	}
	return []domain.Fact{muted}, nil
}

func decideDissolve(s State, c Dissolve) ([]domain.Fact, error) {
	if _, err := s.See(c.Actor); err != nil {
		return nil, err
	}
	owner := s.Members[c.Actor].Role == domain.Owner
	if s.Dissolved != 0 && owner {
		return nil, nil
	}
	if err := s.present(c.Actor); err != nil {
		return nil, err
	}
	if !owner {
		return nil, domain.Errorf(domain.PermissionDenied, "only the owner dissolves the group")
	}
	return []domain.Fact{&domain.ConversationDissolved{}}, nil
}

// governed refuses who has not the rights of an admin.
func (s State) governed(user domain.UserID, refusal string) error {
	if err := s.present(user); err != nil {
		return err
	}
	if !governs(s.Role(user)) {
		return domain.Errorf(domain.PermissionDenied, "%s", refusal)
	}
	return nil
}
