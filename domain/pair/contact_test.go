package pair_test

import (
	"testing"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/domain/pair"
)

// Whatever two users ask of each other, in any order: contacts are so on both sides, nobody has a request and a contact,
// and whoever is blocked says nothing.
func TestRandomContacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStory()
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			names := rapid.Permutation([]string{"ann", "bob"}).Draw(t, "who")
			c := anyCommand(t, s, names[0], names[1])
			if rapid.Bool().Draw(t, "about contacts") {
				c = anyContactCommand(t, s, names[0], names[1])
			}
			before := s.State()
			events, refused, err := s.Give(c)
			if err != nil {
				t.Fatal(err)
			}
			checkSides(t, s)
			checkHeard(t, before, c, events, refused)
			checkAgain(t, s, c, refused)
		}
	})
}

func anyContactCommand(t *rapid.T, s *story, name, other string) pair.ContactCommand {
	by, user := s.By(name), pair.Other{User: s.User(other)}
	switch rapid.IntRange(0, 6).Draw(t, "contact command") {
	case 0:
		return pair.RequestContact{Stamp: by, Other: user, Message: rapid.SampledFrom([]string{"", "hello"}).Draw(t, "message")}
	case 1:
		return pair.AcceptContact{Stamp: by, Other: user}
	case 2:
		return pair.DeclineContact{Stamp: by, Other: user}
	case 3:
		return pair.RemoveContact{Stamp: by, Other: user}
	case 4:
		return pair.RemarkContact{Stamp: by, Other: user, Remark: rapid.SampledFrom([]string{"", "neighbour"}).Draw(t, "remark")}
	case 5:
		return pair.Block{Stamp: by, Other: user}
	default:
		return pair.Unblock{Stamp: by, Other: user}
	}
}

func checkSides(t *rapid.T, s *story) {
	ann, bob := s.State().Sides[s.User("ann")], s.State().Sides[s.User("bob")]
	if ann.Contact != bob.Contact {
		t.Fatalf("contacts on one side: %+v, %+v", ann, bob)
	}
	for _, side := range []pair.Side{ann, bob} {
		if side.Contact && (side.Asked || side.Declined) || !side.Contact && side.Remark != "" {
			t.Fatalf("a contact with a request, or a remark without a contact: %+v", side)
		}
	}
	if ann.Asked && bob.Asked || (ann.Asked || bob.Asked) && (ann.Blocks || bob.Blocks) {
		t.Fatalf("a request stands that should not: %+v, %+v", ann, bob)
	}
}

// checkHeard finds that who was blocked put nothing before the other.
func checkHeard(t *rapid.T, before pair.State, c pair.Command, events []domain.Event, refused error) {
	for user, side := range before.Sides {
		if !side.Blocks || c.By().Actor == user {
			continue
		}
		for _, e := range events {
			switch e.Data.(type) {
			case *domain.MessageSent, *domain.MessageEdited, *domain.ContactRequested:
				t.Fatalf("%s blocks, and hears %s", user, e.Data.EventType())
			default:
			}
		}
		if _, asks := c.(pair.RequestContact); asks && domain.CodeOf(refused) != domain.PermissionDenied {
			t.Fatalf("a blocked user's request: %v", refused)
		}
	}
}

// checkAgain finds that what was granted is granted again, and changes nothing.
func checkAgain(t *rapid.T, s *story, c pair.Command, refused error) {
	if _, ok := c.(pair.ContactCommand); !ok || refused != nil {
		return
	}
	events, refused, err := s.Give(c)
	if err != nil || refused != nil || len(events) != 0 {
		t.Fatalf("%#v again: %v, %v, %v", c, events, refused, err)
	}
}

func TestContactsAreRefused(t *testing.T) {
	s := newStory()
	ann, bob := s.By("ann"), pair.Other{User: s.User("bob")}
	long := string(make([]byte, pair.MaxRequest+1))
	for _, test := range []struct {
		command pair.Command
		want    domain.Code
	}{
		{pair.RequestContact{Stamp: ann, Other: pair.Other{User: s.User("ann")}}, domain.InvalidArgument},
		{pair.Block{Stamp: ann, Other: pair.Other{User: s.User("ann")}}, domain.InvalidArgument},
		{pair.RequestContact{Stamp: ann, Other: pair.Other{User: "bob"}}, domain.NotFound},
		{pair.RequestContact{Stamp: ann, Other: bob, Message: "\xff"}, domain.InvalidArgument},
		{pair.RequestContact{Stamp: ann, Other: bob, Message: long[:pair.MaxRequest]}, domain.InvalidArgument},
		{pair.AcceptContact{Stamp: ann, Other: bob}, domain.NotFound},
		{pair.DeclineContact{Stamp: ann, Other: bob}, domain.NotFound},
		{pair.RemarkContact{Stamp: ann, Other: bob, Remark: "x"}, domain.NotFound},
	} {
		events, refused, err := s.Give(test.command)
		if err != nil || domain.CodeOf(refused) != test.want || len(events) != 0 {
			t.Errorf("%#v: got %v, %v, %v, want %s", test.command, events, refused, err, test.want)
		}
	}
}

// What is stored must read the same for ever: lines may be added here, but never changed.
func TestStoredSidesNeverChange(t *testing.T) {
	for _, value := range []string{
		`{"u1":{"contact":true,"blocks":true},"u2":{"contact":true,"remark":"f2ca1bb6c7e907d06dafe468"}}`,
		`{"u1":{"asked":true}}`,
		`{"u2":{"declined":true}}`,
	} {
		s, err := pair.Load(domain.Fields{"sides": value})
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if again, present := pair.Store(s, "sides"); !present || again != value {
			t.Errorf("%s was read and stored again as %s", value, again)
		}
	}
	if _, err := pair.Load(domain.Fields{"sides": "[]"}); err == nil {
		t.Error("an array was read as sides")
	}
	if value, present := pair.Store(pair.State{Sides: map[domain.UserID]pair.Side{"u1": {}}}, "sides"); present {
		t.Errorf("sides that decided nothing are stored as %s", value)
	}
}

// A remark is stored as a digest, so the text is in its event alone.
func TestRemarksAreNotInTheState(t *testing.T) {
	s := newStory()
	user := pair.Other{User: s.User("bob")}
	for _, c := range []pair.Command{
		pair.RequestContact{Stamp: s.By("bob"), Other: pair.Other{User: s.User("ann")}, Message: "secret request"},
		pair.AcceptContact{Stamp: s.By("ann"), Other: user},
		pair.RemarkContact{Stamp: s.By("ann"), Other: user, Remark: "test"},
	} {
		if _, refused, err := s.Give(c); refused != nil || err != nil {
			t.Fatal(refused, err)
		}
	}
	if got := s.State().Sides[s.User("ann")].Remark; got != "9f86d081884c7d659a2feaa0" {
		t.Errorf("the remark is stored as %q", got)
	}
}

// Who is no side of the pair learns nothing of what the sides decided.
func TestOutsidersLearnNothing(t *testing.T) {
	s := newStory()
	send := conversation.SendMessage{
		Stamp: s.By("ann"), ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: "hello"}, Limits: limits,
	}
	for _, c := range []pair.Command{
		pair.Send{To: s.User("bob"), Message: send},
		pair.Block{Stamp: s.By("ann"), Other: pair.Other{User: s.User("bob")}},
		pair.Block{Stamp: s.By("bob"), Other: pair.Other{User: s.User("ann")}},
	} {
		if _, refused, err := s.Give(c); refused != nil || err != nil {
			t.Fatal(refused, err)
		}
	}
	send.Stamp = s.By("eve")
	if _, refused, err := s.Give(pair.Send{Message: send, ContactsOnly: true}); err != nil || domain.CodeOf(refused) != domain.NotFound {
		t.Errorf("got %v, %v", refused, err)
	}
}
