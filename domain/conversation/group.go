package conversation

import (
	"strings"

	"mpim/domain"
)

func decideCreateGroup(s State, c CreateGroup) ([]domain.Fact, error) {
	if s.Exists() {
		return nil, domain.Errorf(domain.Conflict, "this group exists already")
	}
	join := c.Join
	if join == "" {
		join = Invite
	}
	if err := checkGroup(c, join); err != nil {
		return nil, err
	}
	created := &domain.ConversationCreated{
		Kind: domain.GroupConversation, Title: strings.TrimSpace(c.Title), AvatarURL: c.AvatarURL, Join: join,
		Members: []domain.MemberRole{{User: c.Actor, Role: domain.Owner}},
	}
	users, err := distinct(c.Members)
	if err != nil {
		return nil, err
	}
	for _, user := range users {
		if user != c.Actor {
			created.Members = append(created.Members, domain.MemberRole{User: user, Role: domain.Member})
		}
	}
	if limit := min(c.Limits.groupMembers(), MaxFirstMembers); len(created.Members) > limit {
		return nil, domain.Errorf(domain.TooLarge, "a group begins with at most %d members", limit)
	}
	return []domain.Fact{created}, nil
}

func checkGroup(c CreateGroup, join string) error {
	if err := checkJoin(join); err != nil {
		return err
	}
	if err := checkTitle(c.Title); err != nil {
		return err
	}
	if err := domain.CheckURL("avatar_url", c.AvatarURL, MaxURL); err != nil {
		return err
	}
	if c.ClientID == "" {
		return nil
	}
	return CheckClientID(c.ClientID, c.Limits)
}

func checkJoin(join string) error {
	if join != Invite && join != Open {
		return domain.Errorf(domain.InvalidArgument, "join is %q or %q", Invite, Open)
	}
	return nil
}

func checkTitle(title string) error {
	if strings.TrimSpace(title) == "" {
		return domain.Errorf(domain.InvalidArgument, "title is empty")
	}
	return domain.CheckName("title", title, MaxTitle)
}

// distinct returns the users without doubles, in the order in which they first come.
func distinct(users []domain.UserID) ([]domain.UserID, error) {
	seen := make(map[domain.UserID]bool, len(users))
	var once []domain.UserID
	for _, user := range users {
		if _, ok := user.Partition(); !ok {
			return nil, domain.Errorf(domain.NotFound, "there is no such user")
		}
		if !seen[user] {
			seen[user] = true
			once = append(once, user)
		}
	}
	return once, nil
}

func decideAddMembers(s State, c AddMembers) ([]domain.Fact, error) {
	if err := s.present(c.Actor); err != nil {
		return nil, err
	}
	if s.Join != Open && !governs(s.Role(c.Actor)) {
		return nil, domain.Errorf(domain.PermissionDenied, "only admins add members to this group")
	}
	users, err := distinct(c.Users)
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, domain.Errorf(domain.InvalidArgument, "users is empty")
	}
	var facts []domain.Fact
	added := 0
	for _, user := range users {
		if s.Windows(user).Open() {
			continue
		}
		in, err := s.enters(user, &domain.MemberAdded{User: user}, c.Stamp)
		if err != nil {
			return nil, err
		}
		facts = append(facts, in...)
		added++
	}
	if len(facts) > domain.MaxCommitEvents {
		return nil, domain.Errorf(domain.TooLarge, "at most %d members are added at once", domain.MaxCommitEvents)
	}
	if err := s.room(added, c.Limits); err != nil {
		return nil, err
	}
	return facts, nil
}

// enters returns what lets a user in. A mute stays with who goes and comes again: otherwise going would end it.
func (s State) enters(user domain.UserID, entry domain.Fact, by domain.Stamp) ([]domain.Fact, error) {
	m := s.Members[user]
	if len(m.Windows) >= MaxWindows {
		return nil, domain.Errorf(domain.FailedPrecondition, "%s came and went %d times and cannot come again", user, MaxWindows)
	}
	if !m.MutedUntil.After(by.At) {
		return []domain.Fact{entry}, nil
	}
	return []domain.Fact{entry, &domain.MemberMuted{User: user, Until: new(domain.NewInstant(m.MutedUntil))}}, nil
}

// room refuses more members than a group may have.
func (s State) room(more int, limits Limits) error {
	if limit := limits.groupMembers(); more > 0 && s.MemberCount+more > limit {
		return domain.Errorf(domain.TooLarge, "a group has at most %d members", limit)
	}
	return nil
}

func decideJoin(s State, c Join) ([]domain.Fact, error) {
	windows := s.Windows(c.Actor)
	if windows.Open() {
		return nil, nil
	}
	// A group that everybody has left is nobody's any more.
	if s.Join != Open || s.Dissolved != 0 || s.MemberCount == 0 {
		if _, err := s.See(c.Actor); err != nil {
			return nil, err
		}
		return nil, domain.Errorf(domain.PermissionDenied, "nobody joins this group by oneself")
	}
	if err := s.room(1, c.Limits); err != nil {
		return nil, err
	}
	return s.enters(c.Actor, &domain.MemberJoined{User: c.Actor}, c.Stamp)
}

func decideRemoveMember(s State, c RemoveMember) ([]domain.Fact, error) {
	if err := s.present(c.Actor); err != nil {
		return nil, err
	}
	role := s.Role(c.Actor)
	if !governs(role) {
		return nil, domain.Errorf(domain.PermissionDenied, "only admins remove members")
	}
	if c.User == c.Actor {
		return nil, domain.Errorf(domain.InvalidArgument, "to go yourself, leave the group")
	}
	windows := s.Windows(c.User)
	switch {
	case len(windows) == 0:
		return nil, noSuchMember()
	case !windows.Open():
		return nil, nil
	case role == domain.Admin && governs(s.Role(c.User)):
		return nil, domain.Errorf(domain.PermissionDenied, "an admin removes neither admins nor the owner")
	}
	return []domain.Fact{&domain.MemberRemoved{User: c.User}}, nil
}

func decideLeave(s State, c Leave) ([]domain.Fact, error) {
	windows, err := s.See(c.Actor)
	if err != nil {
		return nil, err
	}
	if !windows.Open() {
		return nil, nil
	}
	if s.Role(c.Actor) == domain.Owner && s.MemberCount > 1 {
		return nil, domain.Errorf(domain.FailedPrecondition, "hand the group over to another member before you leave it")
	}
	return []domain.Fact{&domain.MemberLeft{User: c.Actor}}, nil
}
