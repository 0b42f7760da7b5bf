package conversation_test

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/domain/conversation"
)

// Whatever a few people do in a group, in whatever order: the log finds the rules consistent (see domaintest), and the
// invariants hold.
func TestRandomCommands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLog()
		now := start
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "hours")) * time.Hour)
			if _, _, err := l.Give(anyCommand(t, l, now)); err != nil {
				t.Fatal(err)
			}
			checkInvariants(t, l)
		}
	})
}

func anyUser(t *rapid.T) domain.UserID {
	return placement.User("user" + strconv.Itoa(rapid.IntRange(0, 5).Draw(t, "user")))
}

func anyCommand(t *rapid.T, l *log, now time.Time) conversation.Command {
	stamp := domain.NewStamp(anyUser(t), now)
	limits := limits
	limits.GroupMembers = 4
	body := text(rapid.SampledFrom([]string{"", "hello", "\xff", "a\x00b"}).Draw(t, "text"))
	users := rapid.SliceOfN(rapid.Custom(anyUser), 0, 4)
	seq := rapid.Custom(func(t *rapid.T) domain.Seq {
		return domain.Seq(rapid.IntRange(-1, len(l.Events)+1).Draw(t, "seq"))
	})
	switch rapid.IntRange(0, 19).Draw(t, "command") {
	case 0:
		return conversation.CreateGroup{
			Stamp: stamp, Title: "Tea", Members: users.Draw(t, "members"), Limits: limits,
			Join: rapid.SampledFrom([]string{"", conversation.Open}).Draw(t, "join"),
		}
	case 1, 2:
		return conversation.AddMembers{Stamp: stamp, Users: users.Draw(t, "users"), Limits: limits}
	case 3:
		return conversation.RemoveMember{Stamp: stamp, User: anyUser(t)}
	case 4:
		return conversation.Leave{Stamp: stamp}
	case 5:
		message := seq.Draw(t, "message")
		return conversation.EditMessage{Stamp: stamp, Message: message, Facts: factsOf(l, message), Body: body, Limits: limits}
	case 6:
		message := seq.Draw(t, "message")
		return conversation.RecallMessage{Stamp: stamp, Message: message, Facts: factsOf(l, message), Limits: limits}
	case 7:
		return conversation.MoveReceipt{
			Stamp: stamp, Session: domain.SessionID(rapid.SampledFrom([]string{"s1", "s2", ""}).Draw(t, "session")),
			Delivered: seq.Draw(t, "delivered"), Read: seq.Draw(t, "read"), Unlogged: rapid.IntRange(0, 3).Draw(t, "unlogged"),
		}
	case 8:
		message := seq.Draw(t, "message")
		return conversation.React{
			Stamp: stamp, Message: message, Facts: factsOf(l, message), Emoji: "👍", Removed: rapid.Bool().Draw(t, "removed"),
		}
	case 9:
		return conversation.Join{Stamp: stamp, Limits: limits}
	case 10:
		return conversation.Update{
			Stamp: stamp, Muted: new(rapid.Bool().Draw(t, "muted")),
			Join:    new(rapid.SampledFrom([]string{conversation.Invite, conversation.Open}).Draw(t, "join")),
			History: new(rapid.SampledFrom([]string{conversation.Joined, conversation.All}).Draw(t, "history")),
		}
	case 11:
		return conversation.SetRole{
			Stamp: stamp, User: anyUser(t), Role: rapid.SampledFrom([]domain.Role{domain.Owner, domain.Admin, domain.Member}).Draw(t, "role"),
		}
	case 12:
		return conversation.Mute{
			Stamp: stamp, User: anyUser(t), Until: now.Add(time.Duration(rapid.IntRange(-1, 100).Draw(t, "muted")) * time.Hour),
		}
	case 13:
		if rapid.IntRange(0, 5).Draw(t, "dissolve") > 0 {
			return conversation.Leave{Stamp: stamp}
		}
		return conversation.Dissolve{Stamp: stamp}
	case 14, 15, 16:
		return anyScheduled(t, stamp, body)
	default:
		return anySend(t, l, stamp, body)
	}
}

func anyScheduled(t *rapid.T, stamp domain.Stamp, body domain.Body) conversation.Command {
	id := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "id")
	scheduled := placement.Scheduled(placement.Group(ann, "g"), stamp.Actor, id)
	switch rapid.IntRange(0, 3).Draw(t, "scheduled") {
	case 0:
		return conversation.Unschedule{Stamp: stamp, Scheduled: scheduled}
	case 1:
		return conversation.FireScheduled{Stamp: stamp, Scheduled: scheduled, Barred: rapid.Bool().Draw(t, "barred")}
	default:
		return conversation.ScheduleMessage{
			Scheduled: scheduled, DeliverAt: stamp.At.Add(time.Duration(rapid.IntRange(-1, 400).Draw(t, "days")) * 24 * time.Hour),
			Message: conversation.SendMessage{Stamp: stamp, ClientID: id, Body: body, Limits: limits},
		}
	}
}

func anySend(t *rapid.T, l *log, stamp domain.Stamp, body domain.Body) conversation.Command {
	c := conversation.SendMessage{Stamp: stamp, ClientID: "1", Body: body, Limits: limits}
	switch rapid.IntRange(0, 5).Draw(t, "with") {
	case 0:
		c.ReplyTo = domain.Seq(rapid.IntRange(-1, len(l.Events)+1).Draw(t, "reply"))
		c.Answered = factsOf(l, c.ReplyTo)
	case 1:
		c.Mentions = []string{string(anyUser(t)), string(anyUser(t))}
	case 2:
		c.Mentions = []string{domain.MentionAll}
	case 3:
		c.ExpiresIn = time.Duration(rapid.IntRange(-1, 100).Draw(t, "expires")) * time.Hour
	}
	return c
}

// factsOf finds what is known about a message, as the handler does.
func factsOf(l *log, seq domain.Seq) (facts conversation.Facts) {
	for _, e := range l.Events {
		if e.Seq != seq {
			continue
		}
		if sent, ok := e.Data.(*domain.MessageSent); ok {
			facts = conversation.Facts{Sender: e.Actor, At: e.At}
			if sent.ExpiresAt != nil {
				facts.ExpiresAt = sent.ExpiresAt.Time
			}
		}
	}
	for _, e := range l.Events {
		if recalled, ok := e.Data.(*domain.MessageRecalled); ok && recalled.Message == seq {
			facts.Recalled = true
		}
	}
	return facts
}

func checkInvariants(t *rapid.T, l *log) {
	s := l.State()
	if s.Dissolved != 0 {
		if s.MemberCount != 0 {
			t.Fatalf("a dissolved group has %d members", s.MemberCount)
		}
		for user := range s.Members {
			if windows := s.Windows(user); windows.Open() || windows.Last(s.Head) > s.Dissolved {
				t.Fatalf("%s sees %v of a group dissolved at %d", user, windows, s.Dissolved)
			}
		}
		checkActors(t, l)
		return
	}
	owners, members := 0, 0
	for user, member := range s.Members {
		// Reading the stored form refuses windows that overlap.
		if windows, err := domain.ParseWindows(member.Windows.String()); err != nil || len(windows) == 0 {
			t.Fatalf("%s has windows %v: %v", user, member.Windows, err)
		}
		if !member.Windows.Open() {
			continue
		}
		members++
		if member.Role == domain.Owner {
			owners++
		}
	}
	if members != s.MemberCount {
		t.Fatalf("%d members, counted as %d", members, s.MemberCount)
	}
	if members > 0 && owners != 1 {
		t.Fatalf("%d owners of %d members", owners, members)
	}
	if want := sequenced(l.Events); s.Head != want {
		t.Fatalf("head is %d after %d events with a sequence", s.Head, want)
	}
	waiting := 0
	for user, queue := range s.Queues {
		waiting += len(queue)
		for _, id := range queue {
			if s.Waiting[id].Sender != user {
				t.Fatalf("%s waits in the queue of %s", id, user)
			}
		}
	}
	if waiting != len(s.Waiting) {
		t.Fatalf("%d messages wait, %d in queues", len(s.Waiting), waiting)
	}
	for user, cursors := range s.Progress {
		if last := s.Windows(user).Last(s.Head); cursors.Read > s.Head || cursors.Delivered > last {
			t.Fatalf("%s stands at %s in a conversation that shows it %d", user, cursors, last)
		}
		for session, seq := range cursors.Acknowledged {
			if seq > cursors.Delivered {
				t.Fatalf("session %s of %s has %d, the user %d", session, user, seq, cursors.Delivered)
			}
		}
	}
	checkActors(t, l)
}

func sequenced(events []domain.Event) (n domain.Seq) {
	for _, e := range events {
		if e.Data.Sequenced() {
			n++
		}
	}
	return n
}

// checkActors replays membership the obvious way, and finds that nobody changed anything but members.
func checkActors(t *rapid.T, l *log) {
	in := map[domain.UserID]bool{}
	for _, e := range l.Events {
		switch fact := e.Data.(type) {
		case *domain.ConversationCreated:
			for _, m := range fact.Members {
				in[m.User] = true
			}
		case *domain.ReceiptMoved:
			if fact.ReadSeq > 0 && !in[e.Actor] {
				t.Fatalf("%s is gone and still reads", e.Actor)
			}
			continue
		case *domain.ScheduleFailed, *domain.ScheduleCancelled:
			continue
		default:
		}
		if joined, ok := e.Data.(*domain.MemberJoined); ok && !in[e.Actor] && joined.User == e.Actor {
			in[e.Actor] = true
			continue
		}
		if !in[e.Actor] {
			t.Fatalf("%s acts without being a member: %s", e.Actor, e.Data.EventType())
		}
		switch fact := e.Data.(type) {
		case *domain.MemberAdded:
			if in[fact.User] {
				t.Fatalf("%s was added twice", fact.User)
			}
			in[fact.User] = true
		case *domain.MemberRemoved:
			delete(in, fact.User)
		case *domain.MemberLeft:
			delete(in, fact.User)
		case *domain.ConversationDissolved:
			clear(in)
		default:
		}
	}
}

// Cursors never go back, whatever receipts come in whatever order.
func TestCursorsNeverGoBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s conversation.State
		for range rapid.IntRange(1, 200).Draw(t, "receipts") {
			before := s.Progress[ann]
			s = conversation.Evolve(s, domain.Event{At: start, Actor: ann, Data: &domain.ReceiptMoved{
				Session:      domain.SessionID("s" + strconv.Itoa(rapid.IntRange(0, 70).Draw(t, "session"))),
				DeliveredSeq: domain.Seq(rapid.IntRange(0, 100).Draw(t, "delivered")),
				ReadSeq:      domain.Seq(rapid.IntRange(0, 100).Draw(t, "read")),
			}})
			after := s.Progress[ann]
			if after.Delivered < before.Delivered || after.Read < before.Read {
				t.Fatalf("%s went back to %s", before, after)
			}
			if len(after.Acknowledged) > conversation.MaxSessions {
				t.Fatalf("%d sessions", len(after.Acknowledged))
			}
			for session, seq := range after.Acknowledged {
				if seq < before.Acknowledged[session] {
					t.Fatalf("session %s went back from %d to %d", session, before.Acknowledged[session], seq)
				}
			}
		}
	})
}
