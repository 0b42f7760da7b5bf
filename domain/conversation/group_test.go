package conversation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/domain/conversation"
)

func users(n int) []domain.UserID {
	list := make([]domain.UserID, n)
	for i := range list {
		list[i] = placement.User(fmt.Sprintf("user %d", i))
	}
	return list
}

func TestCreateGroupIsRefused(t *testing.T) {
	good := conversation.CreateGroup{Stamp: by(ann), Title: "Tea", Limits: limits}
	for _, test := range []struct {
		name   string
		change func(*conversation.CreateGroup)
		want   domain.Code
	}{
		{"without a title", func(c *conversation.CreateGroup) { c.Title = " " }, domain.InvalidArgument},
		{"title too long", func(c *conversation.CreateGroup) { c.Title = strings.Repeat("x", 129) }, domain.TooLarge},
		{"title with NUL", func(c *conversation.CreateGroup) { c.Title = "a\x00" }, domain.InvalidArgument},
		{"title that is not UTF-8", func(c *conversation.CreateGroup) { c.Title = "a\xff" }, domain.InvalidArgument},
		{"title with a line break", func(c *conversation.CreateGroup) { c.Title = "a\nb" }, domain.InvalidArgument},
		{"title that turns what follows", func(c *conversation.CreateGroup) { c.Title = "a\u202eb" }, domain.InvalidArgument},
		{"avatar that runs", func(c *conversation.CreateGroup) { c.AvatarURL = "javascript:alert(1)" }, domain.InvalidArgument},
		{"avatar that is not UTF-8", func(c *conversation.CreateGroup) { c.AvatarURL = "a\xff" }, domain.InvalidArgument},
		{"avatar too long", func(c *conversation.CreateGroup) { c.AvatarURL = strings.Repeat("x", 2049) }, domain.TooLarge},
		{"unknown join", func(c *conversation.CreateGroup) { c.Join = "closed" }, domain.InvalidArgument},
		{"no user", func(c *conversation.CreateGroup) { c.Members = []domain.UserID{"bob"} }, domain.NotFound},
		{"a conversation for a user", func(c *conversation.CreateGroup) {
			c.Members = []domain.UserID{domain.UserID(placement.Pair(ann, bob))}
		}, domain.NotFound},
		{"client id too long", func(c *conversation.CreateGroup) { c.ClientID = strings.Repeat("x", 65) }, domain.InvalidArgument},
		{"too many members", func(c *conversation.CreateGroup) { c.Members, c.Limits.GroupMembers = users(3), 3 }, domain.TooLarge},
		{"too many for one event", func(c *conversation.CreateGroup) {
			c.Members, c.Limits.GroupMembers = users(conversation.MaxFirstMembers), 0
		}, domain.TooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := good
			test.change(&c)
			refuse(t, newLog(), c, test.want)
		})
	}
}

func TestCreateGroup(t *testing.T) {
	l := newLog()
	give(t, l, conversation.CreateGroup{
		Stamp: by(ann), ClientID: strings.Repeat("安", 64), Title: " Tea ", AvatarURL: "https://a.example/1",
		Members: []domain.UserID{bob, ann, bob}, Limits: limits,
	})
	want := conversation.Header{
		Kind: domain.GroupConversation, CreatedAt: start, Title: "Tea", AvatarURL: "https://a.example/1",
		Join: conversation.Invite, MemberCount: 2,
	}
	s := l.State()
	if fmt.Sprint(s.Header) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", s.Header, want)
	}
	if s.Role(ann) != domain.Owner || s.Role(bob) != domain.Member || s.Role(eve) != "" || s.Peer(ann) != "" {
		t.Errorf("roles are %q, %q, %q", s.Role(ann), s.Role(bob), s.Role(eve))
	}
}

func TestGroupLimits(t *testing.T) {
	l := group(t)
	add := conversation.AddMembers{Stamp: by(ann), Limits: limits}

	add.Users = users(domain.MaxCommitEvents + 1)
	refuse(t, l, add, domain.TooLarge)
	add.Users = nil
	refuse(t, l, add, domain.InvalidArgument)
	add.Users = []domain.UserID{"bob"}
	refuse(t, l, add, domain.NotFound)

	add.Users, add.Limits.GroupMembers = users(3), 3
	refuse(t, l, add, domain.TooLarge)
	add.Users = users(2)
	give(t, l, add)
	// A full group is as full as it was: adding those who are in it is no change.
	if events := give(t, l, add); len(events) != 0 {
		t.Errorf("got %v", events)
	}
}

func TestNobodyComesAndGoesForEver(t *testing.T) {
	l := group(t, bob)
	for range conversation.MaxWindows - 1 {
		give(t, l, conversation.Leave{Stamp: by(bob)})
		give(t, l, conversation.AddMembers{Stamp: by(ann), Users: []domain.UserID{bob}, Limits: limits})
	}
	give(t, l, conversation.Leave{Stamp: by(bob)})
	refuse(t, l, conversation.AddMembers{Stamp: by(ann), Users: []domain.UserID{bob}, Limits: limits}, domain.FailedPrecondition)
}

// An admin recalls at any time, and who comes back is a plain member.
func TestAdmins(t *testing.T) {
	l := group(t, bob, eve)
	give(t, l, conversation.SetRole{Stamp: by(ann), User: bob, Role: domain.Admin})
	message := give(t, l, send(eve))[0]
	give(t, l, conversation.RecallMessage{
		Stamp: by(bob), Message: message.Seq, Facts: conversation.Facts{Sender: eve, At: start.AddDate(-1, 0, 0)}, Limits: limits,
	})
	give(t, l, conversation.RemoveMember{Stamp: by(ann), User: bob})
	give(t, l, conversation.AddMembers{Stamp: by(ann), Users: []domain.UserID{bob}, Limits: limits})
	if role := l.State().Role(bob); role != domain.Member {
		t.Errorf("bob came back as %s", role)
	}
}

// append1 appends an event that no command of this version makes, as a newer one would.
func append1(t *testing.T, l *log, e domain.Event) {
	t.Helper()
	if e.Data.Sequenced() {
		e.Seq = l.State().Head + 1
		l.Fields[domain.SeqField] = e.Seq.String()
	}
	s := conversation.Evolve(l.State(), e)
	for _, field := range conversation.Touched(e) {
		if value, present := conversation.Store(s, field); present {
			l.Fields[field] = value
		}
	}
	l.Events = append(l.Events, e)
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestEvolveHeedsEventsOfLaterVersions(t *testing.T) {
	l := group(t, bob)
	title, avatar, join, announcement, history, muted := "T", "https://a.example/2", conversation.Open, "news", "all", true
	until := domain.NewInstant(start.AddDate(0, 0, 1))
	for _, fact := range []domain.Fact{
		&domain.ConversationUpdated{Title: &title, AvatarURL: &avatar, Join: &join},
		&domain.ConversationUpdated{Announcement: &announcement, History: &history, Muted: &muted},
		&domain.MemberJoined{User: eve},
		&domain.MemberMuted{User: bob, Until: &until},
		&domain.MemberMuted{User: eve, Until: &until},
		&domain.MemberMuted{User: eve},
		&domain.MessageReacted{Message: 1, Emoji: "👍"},
		// Said twice, or of somebody who is not there, it changes nothing.
		&domain.MemberJoined{User: eve},
		&domain.MemberRemoved{User: placement.User("nobody")},
	} {
		append1(t, l, domain.Event{At: start, Actor: ann, Data: fact})
	}
	s := l.State()
	want := conversation.Header{
		Kind: domain.GroupConversation, CreatedAt: start, Title: title, AvatarURL: avatar, Announcement: announcement,
		Join: join, History: history, Muted: muted, MemberCount: 3,
	}
	if fmt.Sprint(s.Header) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", s.Header, want)
	}
	if !s.Members[bob].MutedUntil.Equal(until.Time) || !s.Members[eve].MutedUntil.IsZero() {
		t.Errorf("muted until %v, %v", s.Members[bob].MutedUntil, s.Members[eve].MutedUntil)
	}
}

// A command that touches a few members names those fields and no others, however large the group is.
func TestNeedsAreFew(t *testing.T) {
	for _, test := range []struct {
		command conversation.Command
		want    []string
	}{
		{send(ann), []string{"h", "m:" + string(ann)}},
		{conversation.Leave{Stamp: by(ann)}, []string{"h", "m:" + string(ann)}},
		{conversation.RemoveMember{Stamp: by(ann), User: bob}, []string{"h", "m:" + string(ann), "m:" + string(bob)}},
		{conversation.AddMembers{Stamp: by(ann), Users: []domain.UserID{bob}}, []string{"h", "m:" + string(ann), "m:" + string(bob)}},
		{conversation.MoveReceipt{Stamp: by(ann)}, []string{"c:" + string(ann), "h", "m:" + string(ann), "seq"}},
		{conversation.EditMessage{Stamp: by(ann)}, []string{"h", "m:" + string(ann)}},
		{conversation.CreateGroup{Stamp: by(ann), Members: users(1000)}, []string{"h"}},
	} {
		got := slices.Sorted(slices.Values(conversation.Needs(test.command)))
		slices.Sort(test.want)
		if !slices.Equal(got, test.want) {
			t.Errorf("%T needs %q, want %q", test.command, got, test.want)
		}
	}
}
