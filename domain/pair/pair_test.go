package pair_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/domain/domaintest"
	"mpim/domain/pair"
)

var (
	start  = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	limits = conversation.DefaultLimits()
)

type story = domaintest.Story[pair.State, pair.Command]

func newStory() *story {
	return domaintest.NewStory(domaintest.Rules[pair.State, pair.Command]{
		Needs: pair.Needs, Load: pair.Load, Decide: pair.Decide,
		Evolve: pair.Evolve, Touched: pair.Touched, Store: pair.Store,
	}, start)
}

// The stories in testdata are read from top to bottom. The first word of a line is what is done, "by" who does it.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		t.Helper()
		s := newStory()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			return s.Tell(told(t, s, d))
		})
	})
}

func told(t *testing.T, s *story, d *datadriven.TestData) pair.Command {
	t.Helper()
	var name, to string
	var seq int64
	d.ScanArgs(t, "by", &name)
	d.MaybeScanArgs(t, "to", &to)
	d.MaybeScanArgs(t, "seq", &seq)
	body := domain.Body{Type: domain.TextBody, Text: strings.TrimSpace(d.Input)}
	facts := conversation.Facts{Sender: s.User("ann"), At: start}
	other := pair.Other{User: s.User(to)}
	switch d.Cmd {
	case "send":
		return pair.Send{To: s.User(to), ContactsOnly: d.HasArg("contacts-only"), Message: conversation.SendMessage{
			Stamp: s.By(name), ClientID: "1", Body: body, Limits: limits,
		}}
	case "request":
		return pair.RequestContact{Stamp: s.By(name), Other: other, Message: body.Text}
	case "accept":
		return pair.AcceptContact{Stamp: s.By(name), Other: other}
	case "decline":
		return pair.DeclineContact{Stamp: s.By(name), Other: other}
	case "remove":
		return pair.RemoveContact{Stamp: s.By(name), Other: other}
	case "remark":
		return pair.RemarkContact{Stamp: s.By(name), Other: other, Remark: body.Text}
	case "block":
		return pair.Block{Stamp: s.By(name), Other: other}
	case "unblock":
		return pair.Unblock{Stamp: s.By(name), Other: other}
	case "edit":
		return pair.Shared{Command: conversation.EditMessage{
			Stamp: s.By(name), Message: domain.Seq(seq), Facts: facts, Body: body, Limits: limits,
		}}
	case "recall":
		return pair.Shared{Command: conversation.RecallMessage{Stamp: s.By(name), Message: domain.Seq(seq), Facts: facts, Limits: limits}}
	case "read":
		return pair.Shared{Command: conversation.MoveReceipt{Stamp: s.By(name), Session: "s1", Read: domain.Seq(seq)}}
	default:
		d.Fatalf(t, "nobody can %s", d.Cmd)
		return nil
	}
}

// Whoever of the two writes first, and whatever either does: there is one conversation of both, and it begins with its
// creation.
func TestRandomCommands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStory()
		for range rapid.IntRange(1, 40).Draw(t, "commands") {
			names := rapid.Permutation([]string{"ann", "bob"}).Draw(t, "who")
			if _, _, err := s.Give(anyCommand(t, s, names[0], names[1])); err != nil {
				t.Fatal(err)
			}
		}
		for i, e := range s.Events {
			created, ok := e.Data.(*domain.ConversationCreated)
			if ok != (i == 0) {
				t.Fatalf("event %d is %s", i, e.Data.EventType())
			}
			if ok && (len(created.Members) != 2 || created.Members[0].User >= created.Members[1].User) {
				t.Fatalf("created with %v", created.Members)
			}
		}
	})
}

func anyCommand(t *rapid.T, s *story, name, other string) pair.Command {
	by := s.By(name)
	seq := domain.Seq(rapid.IntRange(0, len(s.Events)+1).Draw(t, "seq"))
	send := conversation.SendMessage{
		Stamp: by, ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: rapid.SampledFrom([]string{"", "hello"}).Draw(t, "text")},
		Limits: limits,
	}
	switch rapid.IntRange(0, 4).Draw(t, "command") {
	case 0:
		return pair.Send{Message: send}
	case 1:
		facts := conversation.Facts{Sender: s.User(rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "sender")), At: start}
		return pair.Shared{Command: conversation.EditMessage{Stamp: by, Message: seq, Facts: facts, Body: send.Body, Limits: limits}}
	case 2:
		return pair.Shared{Command: conversation.RecallMessage{Stamp: by, Message: seq, Facts: conversation.Facts{Sender: by.Actor, At: start}, Limits: limits}}
	case 3:
		return pair.Shared{Command: conversation.MoveReceipt{Stamp: by, Session: "s1", Delivered: seq, Read: seq, Unlogged: 1}}
	default:
		return pair.Send{To: s.User(other), Message: send}
	}
}

func TestSent(t *testing.T) {
	first := domain.NewEventID(start, []byte("0123456789"))
	for _, test := range []struct {
		appended  domain.Appended
		wantSeq   domain.Seq
		wantEvent domain.EventID
	}{
		{domain.Appended{Seq: 1, Event: first}, 2, first.Behind(1)},
		{domain.Appended{Seq: 2, Event: first}, 2, first},
		{domain.Appended{Seq: 17, Event: first}, 17, first},
	} {
		if seq, event := pair.Sent(test.appended); seq != test.wantSeq || event != test.wantEvent {
			t.Errorf("%+v: got %d, %s, want %d, %s", test.appended, seq, event, test.wantSeq, test.wantEvent)
		}
	}
}

// What is stored must read the same for ever.
func TestStoredFormsNeverChange(t *testing.T) {
	const header = `{"kind":"direct","created_at":1767323045678,"users":["u1","u2"],"member_count":2}`
	s, err := pair.Load(domain.Fields{"h": header, "seq": "3", "c:u1": "3 2 s1=3"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Kind != domain.DirectConversation || !s.CreatedAt.Equal(start) || s.Peer("u1") != "u2" || s.Peer("u2") != "u1" || s.Head != 3 {
		t.Errorf("got %+v", s)
	}
	if value, present := pair.Store(s, "h"); !present || value != header {
		t.Errorf("stored again as %q", value)
	}
	for _, user := range []domain.UserID{"u1", "u2"} {
		if got := s.Windows(user).String(); got != "1-" || s.Role(user) != domain.Member {
			t.Errorf("%s sees %s as %q", user, got, s.Role(user))
		}
	}
	if _, err := s.See("u3"); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a third one sees: %v", err)
	}
}

func TestWhoCannotBeWrittenTo(t *testing.T) {
	s := newStory()
	for to, want := range map[domain.UserID]domain.Code{
		s.User("ann"): domain.InvalidArgument,
		"bob":         domain.NotFound,
		"":            domain.NotFound,
	} {
		events, refused, err := s.Give(pair.Send{To: to, Message: conversation.SendMessage{
			Stamp: s.By("ann"), ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: "note"}, Limits: limits,
		}})
		if err != nil || domain.CodeOf(refused) != want || len(events) != 0 {
			t.Errorf("%q: got %v, %v, %v, want %s", to, events, refused, err, want)
		}
	}
}
