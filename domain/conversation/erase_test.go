package conversation_test

import (
	"testing"

	"mpim/domain"
	"mpim/domain/conversation"
)

func TestEraseTakesBackWhatWaits(t *testing.T) {
	s := conversation.State{Queues: map[domain.UserID][]domain.ScheduledID{"u1": {"a", "b"}, "u2": {"c"}}}
	facts, err := conversation.DecideMessage(s, conversation.Erase{
		Stamp: domain.Stamp{Actor: "u1"}, Waiting: []domain.ScheduledID{"a", "b"}, Peer: "u2",
	})
	if err != nil || len(facts) != 3 {
		t.Fatalf("%+v, %v", facts, err)
	}
	for i, id := range []domain.ScheduledID{"a", "b"} {
		if cancelled, ok := facts[i].(*domain.ScheduleCancelled); !ok || cancelled.Scheduled != id {
			t.Errorf("got %+v, want %s taken back", facts[i], id)
		}
	}
	if erased, ok := facts[2].(*domain.AccountErased); !ok || erased.Peer != "u2" {
		t.Errorf("got %+v", facts[2])
	}
}

// Who owns a group leaves it to the admin, and without one to the member, who has been in it for longest.
func TestErasedOwnerHasAnHeir(t *testing.T) {
	l := group(t, bob)
	give(t, l, conversation.AddMembers{Stamp: by(ann), Users: []domain.UserID{eve}, Limits: limits})
	if heir := l.State().Heir(ann); heir != bob {
		t.Errorf("%s gets the group, want bob, who was there before eve", heir)
	}
	give(t, l, conversation.SetRole{Stamp: by(ann), User: eve, Role: domain.Admin})
	if heir := l.State().Heir(ann); heir != eve {
		t.Errorf("%s gets the group, want eve, who is an admin", heir)
	}
	give(t, l, conversation.Leave{Stamp: by(eve)})
	refuse(t, l, conversation.Erase{Stamp: by(ann), Heir: eve}, domain.FailedPrecondition)
	refuse(t, l, conversation.Erase{Stamp: by(ann), Heir: ann}, domain.FailedPrecondition)
	refuse(t, l, conversation.Erase{Stamp: by(ann)}, domain.FailedPrecondition)
	give(t, l, conversation.Erase{Stamp: by(ann), Heir: bob})
	s := l.State()
	if s.Role(bob) != domain.Owner || s.Role(ann) != "" || s.MemberCount != 1 {
		t.Errorf("bob is %q, ann %q, of %d members", s.Role(bob), s.Role(ann), s.MemberCount)
	}
	// Once more: there is nobody left to go.
	if events := give(t, l, conversation.Erase{Stamp: by(ann)}); len(events) != 1 {
		t.Errorf("erased again: %+v", events)
	}
	// The last one needs no heir.
	if heir := s.Heir(bob); heir != "" {
		t.Errorf("%s gets a group that nobody else is in", heir)
	}
	give(t, l, conversation.Erase{Stamp: by(bob)})
	if s := l.State(); s.MemberCount != 0 || s.Role(bob) != "" {
		t.Errorf("bob is %q, of %d members", s.Role(bob), s.MemberCount)
	}
}

func TestErasedMemberLeaves(t *testing.T) {
	l := group(t, bob)
	give(t, l, conversation.Erase{Stamp: by(bob)})
	if s := l.State(); s.Role(bob) != "" || s.Role(ann) != domain.Owner || s.MemberCount != 1 {
		t.Errorf("bob is %q, ann %q, of %d members", s.Role(bob), s.Role(ann), s.MemberCount)
	}
}
