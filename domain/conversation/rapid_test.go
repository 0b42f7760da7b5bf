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
	switch rapid.IntRange(0, 9).Draw(t, "command") {
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
	default:
		return conversation.SendMessage{Stamp: stamp, ClientID: "1", Body: body, Limits: limits}
	}
}

// factsOf finds what is known about a message, as the handler does.
func factsOf(l *log, seq domain.Seq) (facts conversation.Facts) {
	for _, e := range l.Events {
		if e.Seq != seq {
			continue
		}
		if _, ok := e.Data.(*domain.MessageSent); ok {
			facts = conversation.Facts{Sender: e.Actor, At: e.At}
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
		default:
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
